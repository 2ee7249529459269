"""Masks painted from the polygons and run lengths of COCO's format (https://cocodataset.org/#format-data).

A pixel belongs to a polygon if its centre does, by the even-odd rule; the rings of one object are united.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from ...errors import UserError
from ..color import Coding
from .images import displayed_size

MAX_CROSSINGS = 50_000_000  # of the rows of an image with the edges of one polygon
MAX_COORDINATE = 1e7

Order = Literal["area", "file"]


class CocoObject(NamedTuple):
    """An object: its value in the mask, and its rings (points, 2) float32 of x and y, its run lengths, or anything."""

    value: int
    shape: Any


@dataclass(frozen=True, eq=False)
class CocoMask:
    """The mask of an image, painted when it is read: 0 where there is no object, else the value of its category."""

    path: Path  # of the JSON file
    image: Path
    stated_size: tuple[int, int] | None  # (height, width) by the JSON file, if that says it
    objects: Sequence[CocoObject]
    order: Order  # the largest objects are painted first, so that small ones stay visible, or as in the file

    @property
    def name(self) -> str:
        return f"{self.path}: {self.image}"

    def size(self, max_pixels: int) -> tuple[int, int]:
        """(height, width) by the JSON file, or by the image where that does not say it."""
        return self.stated_size or displayed_size(self.image, max_pixels)

    def read(self, max_pixels: int, coding: Coding) -> np.ndarray:
        """(H, W) uint8, or uint16 for values above 255.

        Raises:
            UserError: For objects that are no polygons or run lengths of this image, and for too many pixels.
        """
        where = f"{self.path}: {self.image.name}"
        size = displayed_size(self.image, max_pixels)  # what the JSON file states may take all memory
        if self.size(max_pixels) != size:
            raise UserError(f"{where}: {self.size(max_pixels)} (height, width), but the image is {size}")
        largest = max((item.value for item in self.objects), default=0)
        mask = np.zeros(size, np.uint8 if largest < 256 else np.uint16)
        try:
            objects = self.objects
            if self.order == "area":
                objects = sorted(objects, key=lambda item: -area(item.shape))
            for item in objects:
                paint(mask, item.shape, item.value)
        except (ValueError, TypeError, OverflowError) as error:
            raise UserError(f"{where}: {error}") from None
        return mask


def paint(mask: np.ndarray, shape: Any, value: int) -> None:
    """Sets the pixels of one object, in place."""
    if isinstance(shape, Mapping):
        mask[decode(shape, mask.shape)] = value
    elif isinstance(shape, list) and shape and all(isinstance(ring, np.ndarray) for ring in shape):
        for ring in shape:
            fill(mask, ring, value)
    else:
        raise UserError(f"an object without polygon or run lengths ({str(shape)[:40]})")


def fill(mask: np.ndarray, ring: np.ndarray, value: int) -> None:
    """Sets the pixels whose centres lie in the polygon (points, 2) of x and y.

    Where an edge crosses a row of centres, inside and outside change places from the next centre on.
    """
    if not np.isfinite(ring).all() or np.abs(ring).max(initial=0) > MAX_COORDINATE:
        raise UserError(f"a polygon with coordinates that are no numbers up to {MAX_COORDINATE:.0f}")
    height, width = mask.shape
    x0, y0 = ring.astype(np.float64).T
    x1, y1 = np.roll(x0, -1), np.roll(y0, -1)
    first = np.ceil(np.minimum(y0, y1) - 0.5).clip(0, height).astype(np.int64)
    last = np.ceil(np.maximum(y0, y1) - 0.5).clip(0, height).astype(np.int64)  # excluded
    crossed = last - first
    if crossed.sum() > MAX_CROSSINGS:
        raise UserError(f"a polygon whose edges cross {crossed.sum()} rows, more than {MAX_CROSSINGS}")
    if not crossed.any():
        return
    edge = np.repeat(np.arange(len(ring)), crossed)
    row = first[edge] + np.arange(len(edge)) - (np.cumsum(crossed) - crossed)[edge]
    x = x0[edge] + (row + 0.5 - y0[edge]) * (x1 - x0)[edge] / (y1 - y0)[edge]
    column = np.ceil(x - 0.5).clip(0, width).astype(np.int64)
    top, left = row.min(), column.min()
    box = mask[top : row.max() + 1, left : column.max()]
    flips = np.zeros((box.shape[0], box.shape[1] + 1), bool)
    np.logical_xor.at(flips, (row - top, column - left), True)
    box[np.logical_xor.accumulate(flips, axis=1)[:, :-1]] = value


def decode(shape: Mapping[str, Any], size: tuple[int, ...]) -> np.ndarray:
    """(H, W) bool from run lengths {size: [H, W], counts}: down the columns, by turns outside and inside."""
    if list(shape.get("size", ())) != list(size):
        raise UserError(f"run lengths of an image of {str(shape.get('size'))[:40]}, expected {list(size)}")
    counts = run_lengths(shape)
    pixels = size[0] * size[1]
    if counts is None or not all(0 <= count <= pixels for count in counts):
        raise UserError("run lengths that are no list of whole numbers")
    if sum(counts) != pixels:
        raise UserError(f"run lengths of {sum(counts)} pixels, expected {pixels}")
    inside = np.arange(len(counts)) % 2 == 1
    return np.repeat(inside, counts).reshape(size[1], size[0]).T


def run_lengths(shape: Mapping[str, Any]) -> list[int] | None:
    """What stands in `counts`, unpacked; `None` for what is no list of whole numbers."""
    counts = shape.get("counts")
    if isinstance(counts, str):
        return list(unpacked(counts))
    is_list = isinstance(counts, list) and all(type(count) is int for count in counts)
    return counts if is_list else None


def unpacked(text: str) -> Iterator[int]:
    """Run lengths from COCO's text: groups of 5 bits, lowest first, as signed differences to the last but one."""
    before: list[int] = []
    number = bits = 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64 or bits > 30:
            raise UserError("run lengths in a text that is not COCO's")
        number |= (code & 31) << bits
        bits += 5
        if code & 32:
            continue
        if code & 16:
            number -= 1 << bits
        number += before[-2] if len(before) > 2 else 0
        before = [*before[-2:], number]
        yield number
        number = bits = 0
    if bits:
        raise UserError("run lengths in a text that is cut off")


def area(shape: Any) -> float:
    """About the pixels of an object, for the order of painting."""
    if isinstance(shape, Mapping):
        return sum((run_lengths(shape) or [])[1::2])
    total = 0.0
    for ring in shape if isinstance(shape, list) else ():
        if np.isfinite(ring).all():
            x, y = ring.astype(np.float64).T
            total += abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2
    return total


def compact(shape: Any) -> Any:
    """Polygons as arrays, which take a tenth of the memory of lists; what is none is refused when it is painted."""
    if not isinstance(shape, list):
        return shape
    try:
        return [np.array(ring, np.float32).reshape(-1, 2) for ring in shape]
    except (ValueError, TypeError, OverflowError):
        return None
