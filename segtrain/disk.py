"""Files that are whole or not there: written beside their name, waited for, renamed; and folders that are missing."""

import os
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from itertools import count
from pathlib import Path

from .errors import UserError

TEMPORARY = ".tmp"  # how names of unfinished files end
LONGEST = 40  # characters of `file_name`
WEIGHTS = (".safetensors", ".pth", ".pt", ".bin", ".ckpt")  # how the names of files of weights end
PACKED = {".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"}


def write(path: Path, content: bytes | memoryview | str) -> None:
    """Put `content` in the place of the file `path` in one go; on an error, what was there before is still there."""
    if isinstance(content, str):
        content = content.encode()
    unfinished = path.with_name(path.name + TEMPORARY)
    write_through(unfinished, content)
    unfinished.replace(path)
    sync_folder(path.parent)


@contextmanager
def finished(path: Path) -> Iterator[Path]:
    """The name of a file to write, which gets the name `path` in the end; on an error nothing is left of it."""
    unfinished = path.with_name(path.name + TEMPORARY)
    unfinished.unlink(missing_ok=True)  # a link of this name would be written through
    try:
        yield unfinished
        sync(unfinished)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise
    unfinished.replace(path)
    sync_folder(path.parent)


def keep_copy(path: Path) -> Path | None:
    """Copy a file to a name that is not taken yet, such as x.csv.bak or x.csv.bak2; `None` if there is no file."""
    if not path.exists():
        return None
    content = path.read_bytes()
    for number in count(1):
        copy = path.with_name(f"{path.name}.bak{number if number > 1 else ''}")
        with suppress(FileExistsError):
            copy.touch(exist_ok=False)
            write(copy, content)
            return copy
    return None


def write_through(path: Path, content: bytes | memoryview) -> None:
    """Write, and wait until it is on the disk; on an error nothing is left."""
    path.unlink(missing_ok=True)  # a link of this name would be written through
    try:
        with open(path, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        raise


def sync(path: Path) -> None:
    """Wait until what was written into a file, by whomever, is on the disk."""
    with open(path, "r+b") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until renames in `folder` are on the disk, where the system can be asked for that."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def link(file: Path, name: Path) -> None:
    """Make `name`, which is not there yet, a second name of `file`, or a copy where there are no hard links."""
    try:
        name.hardlink_to(file)
    except OSError:
        write(name, file.read_bytes())


def stay_inside(home: Path, *paths: Path) -> None:
    """Raises UserError if a link leads out of `home` to one of `paths`, as in a run folder that a stranger made."""
    for path in paths:
        if not path.resolve().is_relative_to(home.resolve()):
            raise UserError(f"{path} leads out of {home}, to {path.resolve()}: remove the link")


def clear(folder: Path) -> None:
    """Remove what interrupted writing has left in `folder` and below."""
    for path in folder.rglob(f"*{TEMPORARY}"):
        with suppress(OSError):
            path.unlink()


def file_name(text: str) -> str:
    """`text` as part of the name of a file that needs no quotes anywhere: letters and digits of all scripts, - _ and .

    Empty if nothing is left.
    """
    kept = ""
    for character in unicodedata.normalize("NFC", text):
        is_word = character.isalnum() or unicodedata.category(character).startswith("M")
        kept += character if is_word or character in "-_." else " "
    return "_".join(kept.split()).strip("-_.")[:LONGEST].rstrip("-_.")


def no_folder(root: Path) -> str:
    """Why there is no folder to list at this path, and what may have been meant."""
    if root.is_file():
        unpack = "unpack it, and " if root.suffix.lower() in PACKED else ""
        return f"this is a file: {unpack}name the folder"
    reason = f"there is no such folder (seen from {Path.cwd()})"
    if root.parent.is_dir():
        reason += near_name(root, (path for path in root.parent.iterdir() if path.is_dir()))
    return reason


def near_name(path: Path, others: Iterable[Path]) -> str:
    """The end of a sentence about a path that is not there: what may have been meant among others in its folder."""
    near = get_close_matches(path.name, [other.name for other in others], n=1)
    return "".join(f"; did you mean {path.with_name(name)}?" for name in near)


def names_weights(text: str) -> bool:
    """Whether a text is the path of a file of weights, and not the name of weights that a library has."""
    return text.endswith(WEIGHTS) or "/" in text


def cache_folder() -> Path | None:
    """Where files of this user lie that can be made again; `None` where there is no home. It may not be there yet."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "segtrain"
    except RuntimeError:
        return None
