"""What a training measures of its images and masks before the first step."""

import numpy as np
import torch
from torch import Tensor

from ..classes import ClassTable
from .source import Source


def channel_statistics(source: Source, images: int = 200) -> tuple[list[float], list[float]]:
    """Mean and standard deviation per channel, as fractions of white, over evenly spaced images."""
    pixels, total, squares = 0, torch.zeros(()), torch.zeros(())
    for index in np.unique(np.linspace(0, len(source) - 1, images).astype(int)):
        image = source.read(int(index))[0]
        values = image.double().flatten(1) / torch.iinfo(image.dtype).max
        pixels, total, squares = pixels + values.shape[1], total + values.sum(1), squares + (values**2).sum(1)
    mean = total / pixels
    std = (squares / pixels - mean**2).clamp(min=1e-4).sqrt()  # a constant channel must not divide by zero
    return mean.tolist(), std.tolist()


def count_classes(source: Source, classes: ClassTable) -> Tensor:
    """Pixels of each class in all masks, (classes,) int64."""
    counts = np.zeros(len(classes), np.int64)
    for index in range(len(source)):
        values = source.read_mask(index).numpy().ravel()
        counts += np.bincount(values, minlength=classes.void + 1)[: len(classes)]  # void is above all classes
    return torch.from_numpy(counts)
