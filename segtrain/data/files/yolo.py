"""Masks in YOLO's text files: a polygon in each line (https://docs.ultralytics.com/datasets/segment)."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import UserError
from ..color import Coding
from .documents import text_in
from .images import displayed_size
from .polygons import MAX_OBJECTS, Drawn, Order, Polygon, painted

MAX_BYTES = 20_000_000  # of a text file
OVER = 0.05  # how far a coordinate, a fraction of the image's width or height, may lie outside
BOX = 5  # numbers in a line: class, centre, width and height


@dataclass(frozen=True)
class YoloMask:
    """The polygons of an image, painted: class i is i + 1, and 0 where there is none. An image without polygons has an
    empty file, or none: then all of it is 0."""

    path: Path
    image: Path
    classes: int  # how many there are
    order: Order

    @property
    def name(self) -> str:
        return str(self.path)

    def size(self, max_pixels: int) -> tuple[int, int]:
        return displayed_size(self.image, max_pixels)

    def read(self, max_pixels: int, coding: Coding) -> np.ndarray:
        """(H, W) uint8, or uint16 for values above 255; UserError names the line that is no polygon."""
        height, width = self.size(max_pixels)
        try:
            objects: list[Drawn] = []
            for value, ring in polygons_in(text_of(self.path), self.classes):
                objects.append(Drawn(value, Polygon([ring * np.array([width, height])])))
            return painted(objects, (height, width), self.order)
        except UserError as error:
            raise UserError(f"{self.path}: {error}") from None


def text_of(path: Path) -> str:
    """The text of a file; nothing where there is none."""
    is_there = path.exists() or path.is_symlink()
    return text_in(path, MAX_BYTES) if is_there else ""


def polygons_in(text: str, classes: int) -> Iterator[tuple[int, np.ndarray]]:
    """(class + 1, points (N, 2) as fractions of width and height) of each line that is not blank."""
    lines = text.splitlines()
    if len(lines) > MAX_OBJECTS:
        raise UserError(f"{len(lines)} lines, more than {MAX_OBJECTS}")
    for number, line in enumerate(lines, 1):
        if words := line.split():
            try:
                yield parse_line(words, classes)
            except UserError as error:
                raise UserError(f"line {number}: {error}") from None


def parse_line(words: list[str], classes: int) -> tuple[int, np.ndarray]:
    """A line `class x1 y1 x2 y2 x3 y3 ...`; what stands there is not told, since it may be another file by a link."""
    try:
        first, *points = map(float, words)
    except ValueError:
        raise UserError("no numbers: expected a polygon, `class x1 y1 x2 y2 x3 y3 ...`") from None
    if len(words) == BOX:
        raise UserError("a box (5 numbers), which is no mask: expected a polygon, `class x1 y1 x2 y2 x3 y3 ...`")
    if len(points) < 6 or len(points) % 2:
        raise UserError(f"{len(words)} numbers: expected a polygon, `class x1 y1 x2 y2 x3 y3 ...`")
    if first not in range(classes):
        raise UserError(f"class {words[0][:20]}: the {classes} names that are listed are those of 0 to {classes - 1}")
    if not all(map(math.isfinite, points)) or min(points) < -OVER or max(points) > 1 + OVER:
        wrong = next(point for point in points if not -OVER <= point <= 1 + OVER)
        raise UserError(f"the coordinate {wrong:g}: expected fractions of the image's width and height, 0 to 1")
    return int(first) + 1, np.array(points).reshape(-1, 2)
