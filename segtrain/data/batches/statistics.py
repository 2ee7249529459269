"""What a training measures of its images and masks before the first step."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..classes import ClassTable
from ..files.pictures import Kind, Pictures, Summary
from .source import Source

Advance = Callable[[int], None]  # is told how many more are done
Progress = Callable[[str, int], AbstractContextManager[Advance]]  # takes what is done, and of how many

SOME = 200  # images that are measured, and masks that are counted, before a training begins

MEASURING, COUNTING = "measuring images", "counting pixels of classes"
NOTHING = 1e-6  # of the mean: a deviation that is rounding alone
CONSTANT = 0.01  # a standard deviation for channels that have none, as a fraction of white


class Statistics(NamedTuple):
    """What is measured of training images: mean and standard deviation of each channel, as fractions of white, and
    which values the images fill."""

    mean: list[float]
    std: list[float]
    pictures: Pictures | None


class Measured:
    """What a data set says of its training images and masks as a whole. `FolderData` knows some of it without reading
    them. `progress` shows how many of the files are read, where someone has set it."""

    classes: ClassTable

    def __init__(self) -> None:
        super().__init__()
        self.progress: Progress = unseen

    def source(self, split: str) -> Source:
        raise NotImplementedError

    @cached_property
    def measured(self) -> Statistics:
        """Mean, standard deviation and range of up to `SOME` training images."""
        return self.measure("train", SOME)

    def measure(self, split: str, number: int) -> Statistics:
        """The same of so many images of a split, evenly spaced."""
        source = self.source(split)
        return measure(self.summaries(source, evenly_spaced(len(source), number)), source.stored)

    @cached_property
    def class_pixels(self) -> Tensor:
        """Pixels of each class in the training masks, (classes,) int64."""
        source = self.source("train")
        return self.count_classes(source, range(len(source)))

    @cached_property
    def some_class_pixels(self) -> Tensor:
        """The same of up to `SOME` training masks, which are quick to read."""
        source = self.source("train")
        return self.count_classes(source, evenly_spaced(len(source), SOME))

    def summaries(self, source: Source, indices: Sequence[int]) -> list[Summary]:
        """What is to be known of the images with these indices."""
        summaries: list[Summary] = []
        with self.progress(MEASURING, len(indices)) as advance:
            for index in indices:
                summaries.append(Summary.of(source.read_picture(index).values()))
                advance(1)
        return summaries

    def count_classes(self, source: Source, indices: Sequence[int]) -> Tensor:
        """Pixels of each class in the masks with these indices, (classes,) int64."""
        counts = torch.zeros(len(self.classes), dtype=torch.int64)
        with self.progress(COUNTING, len(indices)) as advance:
            for index in indices:
                counts += pixels_of(source.read_mask(index), self.classes)
                advance(1)
        return counts


@contextmanager
def unseen(what: str, total: int) -> Iterator[Advance]:
    """A `Progress` that nobody is shown."""
    yield lambda steps: None


def pixels_of(mask: Tensor, classes: ClassTable) -> Tensor:
    """Pixels of each class in a mask (H, W), (classes,) int64."""
    return torch.bincount(mask.flatten(), minlength=classes.void + 1)[: len(classes)]  # void is above all classes


def measure(images: Sequence[Summary], stored: tuple[Kind, int, int]) -> Statistics:
    """What images of the same channels have together; `stored` is how most of them are, as in `Source`."""
    mean, square = pooled(images)
    std = np.sqrt(np.maximum(square - mean**2, 0))
    std[std <= NOTHING * abs(mean)] = CONSTANT  # a constant channel must not divide by zero
    return Statistics(mean.tolist(), std.tolist(), Pictures.of(*stored, [image.span for image in images]))


def pooled(images: Sequence[Summary]) -> tuple[np.ndarray, np.ndarray]:
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
