"""What a score says beyond its numbers: which classes are taken for which, and the images that went worst and best."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor

from .per_image import PerImage, mean_of_defined, ratio


class Confusion(NamedTuple):
    """Pixels of a class that are taken for another."""

    truth: str
    prediction: str
    pixels: int
    share: float  # of the pixels of the true class

    def line(self) -> str:
        percent = f"{100 * self.share:.0f}" if self.share >= 0.01 else f"{100 * self.share:.2g}"
        return f"{self.truth} taken for {self.prediction}: {percent} % of {self.truth}"


def confusions(matrix: Tensor, names: Sequence[str], most: int) -> list[Confusion]:
    """What is most often taken for something else, by pixels; `matrix` has the truth in rows."""
    counts = matrix.cpu().numpy().copy()
    pixels = counts.sum(1)
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts, axis=None, kind="stable")[:most]
    found = []
    for truth, prediction in zip(*np.unravel_index(order, counts.shape), strict=True):
        wrong = int(counts[truth, prediction])
        if wrong:
            found.append(Confusion(names[int(truth)], names[int(prediction)], wrong, wrong / int(pixels[truth])))
    return found


def ranked(images: PerImage) -> list[int]:
    """The indices of the images by the mean IoU within each, the worst first; without those that are all void.

    Of images with the same mean, that with more wrong pixels comes first.
    """
    mean = mean_of_defined(images.iou)
    wrong = 1 - ratio(images.hits.sum(1), images.truth.sum(1))
    return [int(i) for i in np.lexsort((-wrong, mean)) if not np.isnan(mean[i])]


def extremes(images: PerImage, worst: int, best: int) -> tuple[list[int], list[int]]:
    """The indices of so many of the worst and of the best images, each from its end; no image is in both."""
    order = ranked(images)
    first = order[:worst]
    rest = order[len(first) :]
    return first, rest[::-1][:best]
