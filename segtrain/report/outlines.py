"""The regions of a mask as rings along the edges of their pixels, so that nothing of it is lost."""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from contourpy import FillType, contour_generator

TILE = 4096  # pixels a side, of which outlines are drawn at a time: regions of larger masks are cut along tiles
FEWEST = 8  # corners of a ring that comes to one of them twice: those of two pixels
SPREAD = np.array([1 << 32, 1])  # tells points apart by one number


class Region(NamedTuple):
    """Pixels of one class that touch each other along edges.

    Attributes:
        rings: (points, 2) int64, x and y of the corners, each ring without its first point again at the end. The first
            one goes around the region, the others around the holes in it.
    """

    value: int
    rings: list[np.ndarray]

    @property
    def pixels(self) -> int:
        outer, *holes = (abs(area(ring)) for ring in self.rings)
        return outer - sum(holes)

    @property
    def box(self) -> tuple[int, int, int, int]:
        """(left, top, width, height)"""
        low, high = self.rings[0].min(0), self.rings[0].max(0)
        return int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1])


def area(ring: np.ndarray) -> int:
    """The area of a ring by the shoelace formula; its sign says which way the ring goes around."""
    x, y = ring.T
    return int(x @ np.roll(y, -1) - y @ np.roll(x, -1)) // 2


def regions(mask: np.ndarray) -> Iterator[Region]:
    """All regions of a mask (H, W) of integers."""
    for top in range(0, mask.shape[0], TILE):
        for left in range(0, mask.shape[1], TILE):
            tile = mask[top : top + TILE, left : left + TILE]
            for value in np.unique(tile).tolist():
                yield from regions_of(tile == value, value, left, top)


def regions_of(where: np.ndarray, value: int, left: int, top: int) -> Iterator[Region]:
    """The regions of a map (H, W) of bools, whose upper left corner is at `left`, `top`."""
    surrounded = np.pad(where, 1).astype(np.float64)
    contours = contour_generator(z=surrounded, name="serial", fill_type=FillType.OuterOffset)
    middle = np.array([left - 0.5, top - 0.5])  # of the pixel above and left of the first one
    for points, ends in zip(*contours.filled(0.5, 1.5), strict=True):
        rings: list[np.ndarray] = []
        for first, last in pairwise(ends):
            rings += simple(corners(points[first:last] + middle))
        yield Region(value, rings if len(rings) == 1 else sorted(rings, key=lambda ring: -abs(area(ring))))


def corners(line: np.ndarray) -> np.ndarray:
    """A ring along the edges of pixels, of one (points + 1, 2) that cuts their corners: it goes from the middle of an
    edge to the middle of the next one, and where these two meet is a corner."""
    here, there = line[:-1], line[1:]
    turns = (here != there).all(1)
    here, there = here[turns], there[turns]
    is_vertical = here[:, 0] % 1 == 0  # the edge that it comes from
    x = np.where(is_vertical, here[:, 0], there[:, 0])
    y = np.where(is_vertical, there[:, 1], here[:, 1])
    return np.column_stack([x, y]).astype(np.int64)


def simple(ring: np.ndarray) -> list[np.ndarray]:
    """A ring that comes to a corner twice, where pixels touch at it, as rings that do not."""
    if len(ring) < FEWEST or len(np.unique(ring @ SPREAD)) == len(ring):
        return [ring]
    found: list[np.ndarray] = []
    path: list[tuple[int, int]] = []
    places: dict[tuple[int, int], int] = {}
    for x, y in ring.tolist():
        if (x, y) in places:
            start = places[x, y]
            found.append(np.array(path[start:]))
            for point in path[start:]:
                del places[point]
            del path[start:]
        places[x, y] = len(path)
        path.append((x, y))
    return [*found, np.array(path)]
