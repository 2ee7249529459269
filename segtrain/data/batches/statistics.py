"""What a training measures of its images and masks before the first step."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..classes import ClassTable
from ..files.pictures import Pictures, filled
from .source import Source

IMAGES = 200  # that are measured, evenly spaced
NOTHING = 1e-6  # of the mean: a deviation that is rounding alone
CONSTANT = 0.01  # a standard deviation for channels that have none, as a fraction of white


class Statistics(NamedTuple):
    """What is measured of training images: mean and standard deviation of each channel, as fractions of white, and
    which values the images fill."""

    mean: list[float]
    std: list[float]
    pictures: Pictures | None


def measure(source: Source, images: int = IMAGES) -> Statistics:
    """Statistics over evenly spaced images, without pixels that hold no data."""
    pixels, total, squares = 0, torch.zeros(()), torch.zeros(())
    spans = []
    for index in evenly_spaced(source, images):
        numbers = source.read_picture(index).values()
        spans.append(filled(numbers))
        values = torch.from_numpy(numbers)
        pixels, total, squares = pixels + values.shape[1], total + values.sum(1), squares + (values**2).sum(1)
    mean = total / max(pixels, 1)
    std = (squares / max(pixels, 1) - mean**2).clamp(min=0).sqrt()
    std[std <= NOTHING * mean.abs()] = CONSTANT  # a constant channel must not divide by zero
    return Statistics(mean.tolist(), std.tolist(), Pictures.of(*source.stored, spans))


def evenly_spaced(source: Source, images: int) -> list[int]:
    """The indices of so many images, or of all if there are fewer."""
    return np.unique(np.linspace(0, len(source) - 1, images).astype(int)).tolist()


def count_classes(source: Source, classes: ClassTable, images: int | None = None) -> Tensor:
    """Pixels of each class in all masks, or in so many of them, (classes,) int64."""
    counts = np.zeros(len(classes), np.int64)
    for index in range(len(source)) if images is None else evenly_spaced(source, images):
        values = source.read_mask(index).numpy().ravel()
        counts += np.bincount(values, minlength=classes.void + 1)[: len(classes)]  # void is above all classes
    return torch.from_numpy(counts)
