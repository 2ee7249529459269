"""What was read of files before, remembered in a file for all data of this user."""

import json
import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from ...disk import cache_folder
from ..files.by_class import ClassMask
from ..files.images import Header
from ..files.packed import Joined, PackedPairs, texts_of
from ..files.pair import Pair
from .facts import FileFacts, ImageFacts, MaskFacts

COMMIT = 0.5  # seconds after which what was read is safe, and another process may write
FORMAT = 5  # of what is remembered; another number forgets it
TABLES = ("facts", "headers")
WAIT = 1  # seconds that another process may write
T = TypeVar("T")
Named = tuple[str, Sequence[str]]  # a name in the memory, and the files that it stands for


def remembered() -> Path | None:
    """The file of facts of all data of this user; `None` where there is no home."""
    folder = cache_folder()
    return folder and folder / "survey.sqlite"


class Memory:
    """Facts and headers in an SQLite file, each with the size and the time of the files that it was read from.

    What has a problem is not kept: what is mended may leave no trace in size or time. Where the file cannot be written
    or read nothing is remembered, and nothing else changes.
    """

    def __init__(self, path: Path | None) -> None:
        self.path, self.table = path, None
        self.committed = time.monotonic()

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
        table = sqlite3.connect(path, timeout=WAIT)
        try:
            if table.execute("PRAGMA user_version").fetchone()[0] != FORMAT:
                for name in TABLES:
                    table.execute(f"DROP TABLE IF EXISTS {name}")
                table.execute(f"PRAGMA user_version = {FORMAT}")
            for name in TABLES:
                table.execute(f"CREATE TABLE IF NOT EXISTS {name} (name TEXT PRIMARY KEY, size, time, content)")
        except sqlite3.Error:
            table.close()
            raise
        return table

    def facts(self, pairs: Sequence[Pair]) -> list[tuple[ImageFacts, MaskFacts] | None]:
        """Of each pair what is known of image and mask, if neither file has changed."""
        both: list[tuple[ImageFacts, MaskFacts] | None] = []
        for image, mask in zip(self.images(pairs), self.masks(pairs), strict=True):
            both.append((image, mask) if image and mask else None)
        return both

    def images(self, pairs: Iterable[Pair]) -> Iterator[ImageFacts | None]:
        """Of each pair what is known of the image, if it has not changed."""
        for content in self._recall("facts", (named_files(pair)[0] for pair in pairs)):
            yield decoded(content, image_facts)

    def masks(self, pairs: Iterable[Pair]) -> Iterator[MaskFacts | None]:
        """Of each pair what is known of the mask, if it has not changed."""
        for content in self._recall("facts", (named_files(pair)[1] for pair in pairs)):
            yield decoded(content, mask_facts)

    def headers(self, pairs: Sequence[Pair]) -> list[Header | None]:
        """The header of each image whose mask was found to have its size, if neither file has changed."""
        known: dict[str | None, Header | None] = {None: None}  # many images have the same one
        headers: list[Header | None] = []
        for content in self._recall("headers", both_files(pairs)):
            if content not in known:
                known[content] = header_in(content)
            headers.append(known[content])
        return headers

    def knows_facts(self, pairs: Sequence[Pair]) -> list[bool]:
        """Of each pair whether `facts` has something to say; what that is, is not looked at."""
        contents = self._recall("facts", chain.from_iterable(map(named_files, pairs)), what="''")
        both = zip(contents, contents, strict=True)  # in turn
        return [image is not None and mask is not None for image, mask in both]

    def _recall(self, table: str, files: Iterable[Named], what: str = "content") -> Iterator[str | None]:
        """What is kept under each name, unless the file, or a file of the pair, has changed. The rows are sought one by
        one: all together would take up memory, and hardly less time."""
        command = f"SELECT size, time, {what} FROM {table} WHERE name = ?"
        for name, places in files:
            content = None
            if self.table is not None:
                with suppress(sqlite3.Error, OSError, ValueError):
                    row = self.table.execute(command, [name]).fetchone()
                    content = row[2] if row and row[:2] == stamp(places) else None
            yield content

    def keep_facts(self, pair: Pair, image: ImageFacts, mask: MaskFacts) -> None:
        """Note both, unless one of them has a problem."""
        if not image.problem and not mask.problem:
            self._keep_facts(named_files(pair)[0], image)
            self._keep_facts(named_files(pair)[1], mask)

    def keep_image(self, pair: Pair, image: ImageFacts) -> None:
        """Note what is known of the image alone, unless it has a problem."""
        if not image.problem:
            self._keep_facts(named_files(pair)[0], image)

    def _keep_facts(self, named: Named, facts: FileFacts) -> None:
        self._keep("facts", *named, json.dumps(asdict(facts), default=bytes.hex))

    def keep_header(self, pair: Pair, header: Header) -> None:
        self._keep("headers", *both_files_of(pair), json.dumps(header))

    def _keep(self, table: str, name: str, files: Sequence[str], content: str) -> None:
        if self.table is None:
            return
        try:
            self.table.execute(f"REPLACE INTO {table} VALUES (?, ?, ?, ?)", [name, *stamp(files), content])
            if time.monotonic() - self.committed > COMMIT:
                self.table.commit()
                self.committed = time.monotonic()
        except (sqlite3.Error, OSError):  # the disk is full, the file gone: the work goes on without it
            self.table.close()
            self.table = None


def named_files(pair: Pair) -> tuple[Named, Named]:
    """(name in the memory, files or a folder of them) of the image and of the mask."""
    image, mask = absolute(pair.image), absolute(pair.mask.path)
    name, files = f"mask {mask} {pair.mask.name}", [mask]
    if isinstance(pair.mask, ClassMask):  # what is painted depends on the values of the classes too
        name += " " + " ".join(f"{file.name}={value}" for file, value in pair.mask.files)
        files = [absolute(file) for file, _ in pair.mask.files]
    return (f"image {image}", [image]), (name, files)


def header_in(content: str | None) -> Header | None:
    with suppress(ValueError, TypeError):
        return Header(*json.loads(content or ""))
    return None


def absolute(path: Path | str) -> str:
    text = str(path)
    return text if os.path.isabs(text) else os.path.join(os.getcwd(), text)


def both_files(pairs: Sequence[Pair]) -> Iterator[Named]:
    """`both_files_of` each pair. No paths are made of packed pairs."""
    if isinstance(pairs, Joined):
        yield from chain.from_iterable(map(both_files, pairs.parts))
    elif isinstance(pairs, PackedPairs):
        for image, mask in texts_of(pairs):
            files = [absolute(image), absolute(mask)]
            yield f"image {files[0]} mask {files[1]} {mask}", files
    else:
        yield from map(both_files_of, pairs)


def both_files_of(pair: Pair) -> Named:
    """(name in the memory, files) of a pair's header."""
    (image, images), (mask, masks) = named_files(pair)
    return f"{image} {mask}", [*images, *masks]


def stamp(files: Iterable[str]) -> tuple[int, int]:
    """The sizes of files, and of those in folders, together, and the time of the last one; zeros without any."""
    states: list[os.stat_result] = []
    inside: list[str] = []
    for file in files:
        with suppress(FileNotFoundError):  # an image without objects need not have a file that says so
            state = os.stat(file)
            if stat.S_ISDIR(state.st_mode):
                inside += [entry.path for entry in os.scandir(file)]
            else:
                states.append(state)
    for file in inside:
        with suppress(FileNotFoundError):
            states.append(os.stat(file))
    return sum(state.st_size for state in states), max((state.st_mtime_ns for state in states), default=0)


def decoded(content: str | None, facts: Callable[[dict[str, Any]], T]) -> T | None:
    """Facts as they are kept, or nothing where they cannot be read."""
    with suppress(ValueError, TypeError, KeyError, AttributeError):
        return facts(json.loads(content or ""))
    return None


def image_facts(content: dict[str, Any]) -> ImageFacts:
    tuples = {name: tuple(content[name]) for name in ("mean", "square", "low", "high")}
    return ImageFacts(**{**content, **tuples, "look": bytes.fromhex(content["look"])})


def mask_facts(content: dict[str, Any]) -> MaskFacts:
    for name in ("colours", "counts", "solid"):
        content[name] = {int(code): number for code, number in content[name].items()}
    return MaskFacts(**content)
