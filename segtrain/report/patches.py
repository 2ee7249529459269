"""Connected patches of a map: pixels of one value that touch each other along an edge."""

from typing import NamedTuple

import numpy as np


class Patch(NamedTuple):
    """A connected patch of a map."""

    value: int
    pixels: int
    where: np.ndarray  # (H, W) bool

    @property
    def box(self) -> tuple[int, int, int, int]:
        """(left, top, right, bottom), the last two exclusive."""
        rows, columns = (np.flatnonzero(self.where.any(axis)) for axis in (1, 0))
        return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def largest_patch(values: np.ndarray) -> Patch | None:
    """The patch of a map (H, W) of integers with the most pixels; `None` if all are negative, which stand for none."""
    labels = labelled(values)
    sizes = np.bincount(labels[values >= 0])
    if not len(sizes):
        return None
    largest = int(sizes.argmax())
    where = labels == largest
    return Patch(int(values[where][0]), int(sizes[largest]), where)


def labelled(values: np.ndarray) -> np.ndarray:
    """(H, W) int32: equal numbers from 0 on for the pixels of a patch, other ones for other patches; -1 where the value
    is negative."""
    starts = np.ones(values.shape, bool)
    starts[:, 1:] = values[:, 1:] != values[:, :-1]
    runs = starts.ravel().cumsum(dtype=np.int32).reshape(values.shape) - 1  # pixels of one value beside each other
    touch = (values[1:] == values[:-1]) & (values[1:] >= 0)
    first = touch & (starts[1:] | starts[:-1] | ~np.pad(touch, ((0, 0), (1, 0)))[:, :-1])  # two runs touch once
    labels = roots(int(runs[-1, -1]) + 1 if runs.size else 0, runs[:-1][first], runs[1:][first])[runs]
    labels[values < 0] = -1
    return labels


def roots(number: int, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(number,) int32: for each node the least node that edges between `one` and `other` connect it with.

    All nodes at a time are hooked to the least neighbour, then pointed to the end of their chain (Shiloach and Vishkin,
    1982, "An O(log n) parallel connectivity algorithm").
    """
    root = np.arange(number, dtype=np.int32)
    while len(one):
        low, high = np.minimum(root[one], root[other]), np.maximum(root[one], root[other])
        np.minimum.at(root, high, low)
        while (root[root] != root).any():
            root = root[root]
        apart = root[one] != root[other]
        one, other = one[apart], other[apart]
    return root
