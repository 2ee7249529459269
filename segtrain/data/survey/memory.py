"""Facts that were read before, remembered in a file for all data of this user."""

import json
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..files.by_class import ClassMask
from ..files.pair import Pair
from .facts import ImageFacts, MaskFacts

COMMIT = 64  # pairs after which what was read is safe, and another process may write
FORMAT = 1  # of what is remembered; another number forgets it


def remembered() -> Path | None:
    """The file of facts of all data of this user; `None` where there is no home."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "segtrain" / "survey.sqlite"
    except RuntimeError:
        return None


class Memory:
    """Facts in an SQLite file, each with the size and the time of the file that it was read from.

    Facts with a problem are not kept: what is mended may leave no trace in size or time. Where the file cannot be
    written or read nothing is remembered, and nothing else changes.
    """

    def __init__(self, path: Path | None) -> None:
        self.path, self.table = path, None
        self.kept = 0

    def __enter__(self) -> "Memory":
        if self.path is not None:
            with suppress(sqlite3.Error, OSError):
                try:
                    self.table = self._open(self.path)
                except sqlite3.OperationalError:  # another process writes, or this place cannot be written
                    pass
                except sqlite3.DatabaseError:  # damaged, or no file of ours
                    self.path.unlink()
                    self.table = self._open(self.path)
        return self

    def __exit__(self, *error: object) -> None:
        if self.table is not None:
            with suppress(sqlite3.Error), closing(self.table):
                self.table.commit()

    @staticmethod
    def _open(path: Path) -> sqlite3.Connection:
        path.parent.mkdir(parents=True, exist_ok=True)
        table = sqlite3.connect(path, timeout=1)
        try:
            if table.execute("PRAGMA user_version").fetchone()[0] != FORMAT:
                table.execute("DROP TABLE IF EXISTS facts")
                table.execute(f"PRAGMA user_version = {FORMAT}")
            table.execute("CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, size, time, content)")
        except sqlite3.Error:
            table.close()
            raise
        return table

    def recall(self, pair: Pair) -> tuple[ImageFacts, MaskFacts] | None:
        """Both, if neither file has changed."""
        if self.table is None:
            return None
        with suppress(sqlite3.Error, OSError, ValueError, TypeError, KeyError):
            contents = []
            for name, files in files_of(pair):
                entry = self.table.execute("SELECT size, time, content FROM facts WHERE name = ?", [name]).fetchone()
                if not entry or entry[:2] != stamp(files):
                    return None
                contents.append(json.loads(entry[2]))
            return image_facts(contents[0]), mask_facts(contents[1])
        return None

    def keep(self, pair: Pair, image: ImageFacts, mask: MaskFacts) -> None:
        """Note both, unless one of them has a problem."""
        if self.table is None or image.problem or mask.problem:
            return
        try:
            for (name, files), facts in zip(files_of(pair), (image, mask), strict=True):
                entry = [name, *stamp(files), json.dumps(asdict(facts), default=bytes.hex)]
                self.table.execute("REPLACE INTO facts VALUES (?, ?, ?, ?)", entry)
            self.kept += 1
            if self.kept % COMMIT == 0:
                self.table.commit()
        except (sqlite3.Error, OSError):  # the disk is full, the file gone: the work goes on without it
            self.table.close()
            self.table = None


def files_of(pair: Pair) -> tuple[tuple[str, list[Path]], tuple[str, list[Path]]]:
    """(name in the memory, files) of the image and of the mask."""
    image, mask = pair.image.absolute(), pair.mask.path.absolute()
    name, files = f"mask {mask} {pair.mask.name}", [mask]
    if isinstance(pair.mask, ClassMask):  # what is painted depends on the values of the classes too
        files = [file for file, _ in pair.mask.files]
        name += " " + " ".join(f"{file.name}={value}" for file, value in pair.mask.files)
    elif mask.is_dir():
        files = list(mask.iterdir())
    return (f"image {image}", [image]), (name, files)


def stamp(files: Sequence[Path]) -> tuple[int, int]:
    """The sizes of files together, and the time of the last one."""
    states = [file.stat() for file in files]
    return sum(state.st_size for state in states), max(state.st_mtime_ns for state in states)


def image_facts(content: dict[str, Any]) -> ImageFacts:
    pairs = {"look": bytes.fromhex(content["look"]), "mean": tuple(content["mean"]), "square": tuple(content["square"])}
    return ImageFacts(**(content | pairs))


def mask_facts(content: dict[str, Any]) -> MaskFacts:
    for name in ("colours", "counts", "solid"):
        content[name] = {int(code): number for code, number in content[name].items()}
    return MaskFacts(**content)
