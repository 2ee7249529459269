"""Masks painted from shapes that were drawn over an image: polygons, and what other formats add to them.

A pixel belongs to a polygon if its centre does, by the even-odd rule; the rings of one object are united.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from ...errors import UserError
from ..color import Coding
from .images import displayed_size, turned_text

MAX_CROSSINGS = 50_000_000  # of the rows of an image with the edges of one polygon
CROSSING, RING = 4, 5_000  # what a crossing and what a ring take, in pixels that are filled in the same time
MAX_WORK, MAX_LAYERS = 500_000_000, 100  # pixels in the boxes around all objects of an image (10 s), or times its own
MAX_COORDINATE = 1e7
MAX_OBJECTS = 50_000  # of an image
AT_ONCE = 1 << 18  # crossings that are computed at a time
AREA_AT_ONCE = 1 << 22  # pixels that are filled at a time

Order = Literal["area", "file"]


class Shape(Protocol):
    """What an object looks like."""

    def area(self) -> float:
        """About how many pixels it has, for the order of painting."""
        ...

    def work(self, height: int, width: int) -> int:
        """About how many numbers are computed to paint it in an image of this size."""
        ...

    def paint(self, mask: np.ndarray, value: int) -> None:
        """Set its pixels in a mask, in place; UserError for a shape that cannot be."""
        ...


class Drawn(NamedTuple):
    """An object: its value in the mask, and its shape."""

    value: int
    shape: Shape


@dataclass(frozen=True, eq=False)
class Polygon:
    """An object of one or several rings, (points, 2) of x and y."""

    rings: Sequence[np.ndarray]

    def area(self) -> float:
        total = 0.0
        for ring in self.rings:
            if np.isfinite(ring).all():
                x, y = ring.astype(np.float64).T
                total += abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2
        return total

    def work(self, height: int, width: int) -> int:
        return sum(ring_work(ring, height, width) for ring in self.rings)

    def paint(self, mask: np.ndarray, value: int) -> None:
        for ring in self.rings:
            fill(mask, ring, value)


@dataclass(frozen=True)
class NoShape:
    """What was written in place of a shape; painting it raises an error, so that other images can be read."""

    reason: str

    def area(self) -> float:
        return 0.0

    def work(self, height: int, width: int) -> int:
        return 0

    def paint(self, mask: np.ndarray, value: int) -> None:
        raise UserError(self.reason)


@dataclass(frozen=True, eq=False)
class PaintedMask:
    """The mask of an image, painted when it is read: 0 where there is no object, else the value of its class."""

    path: Path  # of the file that holds the shapes, of this image alone or of many
    image: Path
    stated_size: tuple[int, int] | None  # (height, width) by that file, if it says it
    objects: Sequence[Drawn]
    order: Order

    @property
    def name(self) -> str:
        return f"{self.path}: {self.image}"

    def size(self, max_pixels: int) -> tuple[int, int]:
        """(height, width) by the file, or by the image where that does not say it."""
        return self.stated_size or displayed_size(self.image, max_pixels)

    def read(self, max_pixels: int, coding: Coding) -> np.ndarray:
        """(H, W) uint8, or uint16 for values above 255.

        Raises:
            UserError: For objects that cannot be painted on this image, and for too many pixels.
        """
        where = f"{self.path}: {self.image.name}"
        size = displayed_size(self.image, max_pixels)  # what the file states may take all memory
        if self.size(max_pixels) != size:
            hint = turned_text(self.image, self.size(max_pixels), size)
            raise UserError(f"{where}: {self.size(max_pixels)} (height, width), but the image is {size}{hint}")
        try:
            return painted(self.objects, size, self.order)
        except (ValueError, TypeError, OverflowError) as error:
            raise UserError(f"{where}: {error}") from None


def painted(objects: Sequence[Drawn], size: tuple[int, int], order: Order) -> np.ndarray:
    """A mask with these objects: with `area` the largest first, so that small ones stay visible; or as in the file."""
    if len(objects) > MAX_OBJECTS:
        raise UserError(f"{len(objects)} objects, more than {MAX_OBJECTS}")
    work = sum(item.shape.work(*size) for item in objects)
    most = max(MAX_WORK, MAX_LAYERS * size[0] * size[1])
    if work > most:
        raise UserError(f"{len(objects)} objects that take {work} steps to paint, more than {most}")
    largest = max((item.value for item in objects), default=0)
    mask = np.zeros(size, np.uint8 if largest < 256 else np.uint16)
    if order == "area":
        objects = sorted(objects, key=lambda item: -item.shape.area())
    for item in objects:
        item.shape.paint(mask, item.value)
    return mask


class Edges(NamedTuple):
    """The edges of a polygon: both ends, and the rows whose centres they cross, from `first` to before `last`."""

    x0: np.ndarray
    y0: np.ndarray
    x1: np.ndarray
    y1: np.ndarray
    first: np.ndarray
    last: np.ndarray


def edges_of(ring: np.ndarray, height: int) -> Edges:
    """The edges of the polygon (points, 2) of x and y, in an image of so many rows."""
    x0, y0 = ring.astype(np.float64).T
    x1, y1 = np.roll(x0, -1), np.roll(y0, -1)
    first = np.ceil(np.minimum(y0, y1) - 0.5).clip(0, height).astype(np.int64)
    last = np.ceil(np.maximum(y0, y1) - 0.5).clip(0, height).astype(np.int64)
    return Edges(x0, y0, x1, y1, first, last)


def ring_work(ring: np.ndarray, height: int, width: int) -> int:
    """The pixels of the box around a ring, and what its edges take that cross the rows."""
    if len(ring) == 0 or not np.isfinite(ring).all():
        return RING
    edges = edges_of(ring, height)
    left, right = ring[:, 0].clip(0, width).min(), ring[:, 0].clip(0, width).max()
    rows = int(edges.last.max() - edges.first.min())
    return RING + CROSSING * int((edges.last - edges.first).sum()) + rows * int(right - left + 1)


def fill(mask: np.ndarray, ring: np.ndarray, value: int) -> None:
    """Sets the pixels whose centres lie in the polygon (points, 2) of x and y.

    Where an edge crosses a row of centres, inside and outside change places from the next centre on. Rows are filled in
    stripes, so that the memory this takes does not depend on how often the edges cross them.
    """
    if len(ring) < 3:
        raise UserError(f"a polygon of {len(ring)} points, expected 3 or more")
    if not np.isfinite(ring).all() or np.abs(ring).max(initial=0) > MAX_COORDINATE:
        raise UserError(f"a polygon with coordinates that are no numbers up to {MAX_COORDINATE:.0f}")
    height, width = mask.shape
    edges = edges_of(ring, height)
    crossed = edges.last - edges.first
    if crossed.sum() > MAX_CROSSINGS:
        raise UserError(f"a polygon whose edges cross {crossed.sum()} rows, more than {MAX_CROSSINGS}")
    if not crossed.any():
        return
    top, bottom = edges.first[crossed > 0].min(), edges.last[crossed > 0].max()
    rows = max(1, min(AT_ONCE // len(ring), AREA_AT_ONCE // (width + 1)))
    for start in range(top, bottom, rows):
        fill_rows(mask[start : min(start + rows, bottom)], edges, start, value)


def fill_rows(stripe: np.ndarray, edges: Edges, start: int, value: int) -> None:
    """Likewise for the rows of a mask that begin with `start`."""
    height, width = stripe.shape
    first, last = edges.first.clip(start, start + height), edges.last.clip(start, start + height)
    crossed = last - first
    if not crossed.any():
        return
    edge = np.repeat(np.arange(len(crossed)), crossed)
    row = first[edge] + np.arange(len(edge)) - (np.cumsum(crossed) - crossed)[edge]
    x0, y0 = edges.x0[edge], edges.y0[edge]
    x = x0 + (row + 0.5 - y0) * (edges.x1 - edges.x0)[edge] / (edges.y1 - edges.y0)[edge]
    column = np.ceil(x - 0.5).clip(0, width).astype(np.int64)
    left, right = int(column.min()), int(column.max())
    span = right - left + 1
    place = (row - start) * span + column - left
    flips = (np.bincount(place, minlength=height * span) & 1).astype(bool).reshape(height, span)
    stripe[:, left:right][np.logical_xor.accumulate(flips, axis=1)[:, :-1]] = value


def ring_of(numbers: Any) -> np.ndarray | None:
    """(points, 2) float32 of numbers x, y, x, y, ... or of points [x, y]; `None` for what is neither."""
    try:
        with np.errstate(over="ignore"):  # infinity is refused when it is painted
            return np.array(numbers, np.float32).reshape(-1, 2)
    except (ValueError, TypeError, OverflowError):
        return None
