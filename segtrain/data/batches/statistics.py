"""What a training measures of its images before the first step."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..files.pictures import Kind, Pictures, Summary

NOTHING = 1e-6  # of the mean: a deviation that is rounding alone
CONSTANT = 0.01  # a standard deviation for channels that have none, as a fraction of white


class Statistics(NamedTuple):
    """What is measured of training images: mean and standard deviation of each channel, as fractions of white, and
    which values the images fill."""

    mean: list[float]
    std: list[float]
    pictures: Pictures | None


def measure(images: Sequence[Summary], stored: tuple[Kind, int, int]) -> Statistics:
    """What images of the same channels have together; `stored` is how most of them are, as in `Source`."""
    mean, square = together(images)
    std = np.sqrt(np.maximum(square - mean**2, 0))
    std[std <= NOTHING * abs(mean)] = CONSTANT  # a constant channel must not divide by zero
    return Statistics(mean.tolist(), std.tolist(), Pictures.of(*stored, [image.span for image in images]))


def together(images: Sequence[Summary]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and mean square (C,) over the pixels of all images, which have the same channels; (0,) without a pixel."""
    images = [image for image in images if image.pixels]
    if not images:
        return np.zeros(0), np.zeros(0)
    weights = [image.pixels for image in images]
    mean = np.average([image.mean for image in images], axis=0, weights=weights)
    return mean, np.average([image.square for image in images], axis=0, weights=weights)


def evenly_spaced(length: int, number: int) -> list[int]:
    """So many indices of `length` images, or all if there are fewer."""
    return np.unique(np.linspace(0, length - 1, number).astype(int)).tolist()
