"""The files below a data folder, listed once, and the way from a name in a list to one of them."""

import os
import posixpath
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path

from ...errors import UserError
from ...text import UNPRINTABLE
from ..files.coco import Order
from ..files.images import SUFFIXES
from .words import splits_beside

MAX_FILES = 5_000_000
LINK_DEPTH = 3  # links to folders are followed down to here, as in photos/images/train
PACKED = {".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"}
PASSED_OVER = {"__MACOSX", "@eaDir"}  # what a Mac or a NAS leaves behind, besides all that is hidden


class Tree:
    """What lies below `root`; hidden files and folders are passed over.

    Attributes:
        files: paths below the root, with forward slashes, sorted.
        folders: likewise, the root itself being "".
        outside: whether lists may name files outside the root.
        order: in which the objects of a COCO file are painted over one another.

    Raises:
        FileNotFoundError: for a missing root.
        UserError: for more files than any data set has, and for pictures whose names a terminal would obey.
    """

    def __init__(self, root: Path, *, outside: bool = False, order: Order = "area") -> None:
        if not root.is_dir():
            raise FileNotFoundError(f"data.root={root}: {no_folder(root)}")
        self.root, self.outside = root, outside
        self.order: Order = order
        self.files: list[str] = []
        self.paths: dict[str, Path] = {}
        self.folders = [""]
        for path, is_folder in walk(root, "", 0):
            (self.folders if is_folder else self.files).append(path)
            if len(self.files) > MAX_FILES:
                raise UserError(f"{root}: more than {MAX_FILES} files: name the folder of the images alone")
        self.files.sort()
        self.folders.sort()
        for path in self.pictures:
            if UNPRINTABLE.search(path):
                raise UserError(f"{str(root / path)!r}: the name holds control or invalid characters: rename it")

    @cached_property
    def pictures(self) -> list[str]:
        """The files that are images or masks, by their suffix."""
        return [path for path in self.files if posixpath.splitext(path)[1].lower() in SUFFIXES]

    def below(self, folder: str) -> list[str]:
        """The pictures in a folder and in those below it."""
        start, end = (bisect_left(self.pictures, f"{folder}{after}") for after in "/0") if folder else (0, None)
        return self.pictures[start:end]

    @cached_property
    def children(self) -> dict[str, list[str]]:
        """Folder -> the names of the folders in it."""
        found: dict[str, list[str]] = defaultdict(list)
        for folder in self.folders[1:]:
            parent, _, name = folder.rpartition("/")
            found[parent].append(name)
        return found

    @cached_property
    def _parts(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {"": ()}
        for folder in self.folders:  # sorted: each comes after the one that it lies in
            splits = splits_beside(tuple(self.children.get(folder, ())))
            for name in self.children.get(folder, ()):
                found[posixpath.join(folder, name)] = (*found[folder], splits.get(name, name))
        return found

    def parts(self, path: str) -> tuple[str, ...]:
        """The folders of a file; `uavid_train`, which stands beside `uavid_val`, is called `train`."""
        folder = posixpath.dirname(path)
        return self._parts[folder] if folder in self._parts else tuple(folder.split("/"))

    def find_folder(self, entry: str, base: str = "") -> str | None:
        """The folder that a list in the folder `base` names."""
        paths = (posixpath.normpath(posixpath.join(folder, entry.strip())) for folder in (base, ""))
        return next((path for path in paths if path in self._parts), None) if entry.strip() else None

    @cached_property
    def known(self) -> frozenset[str]:
        return frozenset(self.files)

    def with_suffix(self, suffix: str) -> list[str]:
        return [path for path in self.files if path.lower().endswith(suffix.lower())]

    def path(self, below: str) -> Path:
        """One and the same object whenever it is asked for, since making them takes longer than pairing them."""
        if below not in self.paths:
            self.paths[below] = self.root / below
        return self.paths[below]

    def find(self, entry: str, base: str = "") -> str | None:
        """The file that a list in the folder `base` names: relative to it or to the root, or by an absolute path.

        An absolute path from another computer is found by its end. What lies outside the root is found with `outside`
        alone, and is given as an absolute path.
        """
        entry = entry.strip().replace("\\", "/")
        if UNPRINTABLE.search(entry):
            return None
        for folder in dict.fromkeys((base, "")):
            path = posixpath.normpath(posixpath.join(folder, entry))
            if path in self.known:
                return path
        if self.outside:
            path = Path(os.path.abspath(self.root / base / entry))
            return path.as_posix() if path.is_file() else None
        if entry.startswith("/") or entry[1:3] == ":/":
            return next((end for end in map("/".join, ends(entry.split("/")[1:])) if end in self.known), None)
        return None


def no_folder(root: Path) -> str:
    """Why there is nothing to list, and what may have been meant."""
    if root.is_file():
        packed = root.suffix.lower() in PACKED
        return "this is a file: unpack it, and name the folder" if packed else "this is a file: name the folder"
    beside = [path.name for path in root.parent.iterdir() if path.is_dir()] if root.parent.is_dir() else []
    near = get_close_matches(root.name, beside, n=1)
    hint = f"; did you mean {root.parent / near[0]}?" if near else ""
    return f"there is no such folder (seen from {Path.cwd()}){hint}"


def ends(parts: list[str]) -> Iterator[list[str]]:
    return (parts[start:] for start in range(len(parts)))


def walk(root: Path, below: str, depth: int) -> Iterator[tuple[str, bool]]:
    """(path below the root, whether it is a folder) of all that is not hidden, depth first."""
    with os.scandir(root / below) as entries:
        found = [entry for entry in entries if not entry.name.startswith(".") and entry.name not in PASSED_OVER]
    for entry in found:
        path = f"{below}/{entry.name}" if below else entry.name
        if not entry.is_dir():
            yield path, False
        elif not entry.is_symlink() or (depth < LINK_DEPTH and not leads_up(root / path)):
            yield path, True
            yield from walk(root, path, depth + 1)


def leads_up(link: Path) -> bool:
    """Whether a link leads to a folder that it lies in, which would have no end."""
    return link.resolve() in (parent.resolve() for parent in link.parents)


def beside_root(root: Path) -> Path:
    """Where the description of a folder stands that cannot be written to."""
    return root.resolve().with_name(f"{root.resolve().name}.segtrain")
