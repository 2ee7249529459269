"""What of a long work is done, noted in a file, so that the same work goes on where it was stopped."""

import json
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from .. import disk

Cells = list[int | float | str]
LARGEST = 1 << 28  # bytes of a file that is read
NUMBER = re.compile(r"[\d.]*")


class Journal:
    """A file with a line for each piece of a work, which is gone once all of it is done.

    What another work left is begun anew. What is read may be a stranger's, or torn: a line counts only if it is whole
    and holds `columns` numbers, of which some may be texts.

    Args:
        key: What the work is; another key, another work.
        home: The folder out of which no link may lead.
    """

    def __init__(self, file: Path, key: str, *, columns: int, home: Path) -> None:
        disk.stay_inside(home, file)
        self.file, self.key, self.columns = file, key, columns
        self._done: dict[str, tuple[Any, Cells]] = {}  # before
        self._out: TextIO | None = None

    def __enter__(self) -> "Journal":
        lines = self._lines()
        if lines[:1] == [{"key": self.key}]:
            for line in lines[1:]:
                self._take(line)
        if self._done:
            self._begin()
        elif os.path.lexists(self.file):
            self.file.unlink()  # another work's, whose results may be overwritten from now on
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._out is not None:
            self._out.close()
        if kind is None:
            self.file.unlink(missing_ok=True)

    def done(self, name: str, source: Path) -> Cells | None:
        """What was noted of a piece whose source has not changed since; `None` if nothing was."""
        stamp, cells = self._done.get(name, (None, None))
        return cells if cells is not None and stamp == stamp_of(source) else None

    def note(self, name: str, stamp: Sequence[Any], cells: Cells) -> None:
        """A piece is done, with these numbers; `stamp` is that of its source before it was read."""
        if self._out is None:
            self._begin()
        assert self._out is not None
        self._out.write(line_of(name, stamp, cells))
        self._out.flush()

    def _begin(self) -> None:
        """Open the file, with what it held before, to add lines."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        lines = [line_of(name, stamp, cells) for name, (stamp, cells) in self._done.items()]
        disk.write(self.file, json.dumps({"key": self.key}) + "\n" + "".join(lines))  # in one go, and through no link
        self._out = self.file.open("a", encoding="utf-8")

    def _lines(self) -> list[Any]:
        """What the lines of the file hold, up to the first that is torn."""
        lines: list[Any] = []
        if self.file.is_symlink() or not self.file.is_file() or self.file.stat().st_size > LARGEST:
            return lines
        with suppress(OSError, ValueError, RecursionError):
            texts = self.file.read_text(encoding="utf-8").splitlines()
            lines.extend(map(json.loads, texts))
        return lines

    def _take(self, line: Any) -> None:
        known = line if isinstance(line, dict) else {}
        name, cells = known.get("name"), known.get("cells")
        if not (isinstance(name, str) and isinstance(cells, list)):
            return
        if len(cells) == self.columns and all(map(is_number, cells)):
            self._done[name] = (known.get("stamp"), cells)


def is_number(cell: Any) -> bool:
    """Whether a cell is a number, as one or as a text, or is empty."""
    return type(cell) in (int, float) or (isinstance(cell, str) and NUMBER.fullmatch(cell) is not None)


def line_of(name: str, stamp: Sequence[Any], cells: Cells) -> str:
    return json.dumps({"name": name, "stamp": stamp, "cells": cells}) + "\n"


def stamp_of(source: Path) -> list[Any]:
    """The path, size and time of a file, by which a change of it is noticed."""
    status = os.stat(source)
    return [os.path.abspath(source), status.st_size, status.st_mtime_ns]


def key_of(files: Sequence[Path], settings: Any) -> str:
    """One text for what files hold and for settings, which JSON can write."""
    digest = sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for file in files:
        with file.open("rb") as opened:
            for block in iter(lambda: opened.read(1 << 20), b""):
                digest.update(block)
    return digest.hexdigest()
