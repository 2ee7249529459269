"""What a score says beyond its numbers: which classes are taken for which, and the images that went worst and best, on
the whole and for each class."""

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


class Costly(NamedTuple):
    """An image that costs a class much of its IoU."""

    class_name: str
    image: int  # its place among the images
    lost: int  # pixels that truth or prediction have of the class, but not both
    iou: float  # of the class within the image

    def line(self) -> str:
        return f"IoU {100 * self.iou:.1f} %, {self.lost:,} pixels lost"


class Best(NamedTuple):
    """The image in which a class is found best."""

    class_name: str
    image: int  # its place among the images
    iou: float  # of the class within the image

    def line(self) -> str:
        return f"IoU {100 * self.iou:.1f} %"


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


def costly(images: PerImage, most: int) -> list[Costly]:
    """The images that cost each class that occurs most of its IoU: two of each class if `most` are enough for these and
    for its best one, else one; where even these are too many, of the classes with the lowest IoU.

    What is lost is counted in pixels: so an image with ten pixels of a class, none of which is found, is not the worst.
    """
    lost = images.truth + images.predicted - 2 * images.hits
    classes = lowest(images, most)
    each = 2 if 3 * len(classes) <= most else 1
    within = images.iou
    found = []
    for c in classes:
        worst = [int(i) for i in np.argsort(-lost[:, c], kind="stable")[:each] if lost[i, c] > 0]
        found += [Costly(images.class_names[c], i, int(lost[i, c]), float(within[i, c])) for i in worst]
    return found


def bests(images: PerImage, most: int) -> list[Best]:
    """The image with the highest IoU of each class, of no more classes than `most`, as in `costly`; of a class that is
    found nowhere there is none.

    It is one of that half of the images with the class that have most pixels of it: a few pixels are soon right.
    """
    within = images.iou
    found = []
    for c in lowest(images, most):
        pixels = images.truth[:, c]
        half = np.argsort(-pixels, kind="stable")[: (np.count_nonzero(pixels) + 1) // 2]
        if len(half) and within[half, c].max() > 0:
            best = int(half[np.argmax(within[half, c])])
            found.append(Best(images.class_names[c], best, float(within[best, c])))
    return found


def lowest(images: PerImage, most: int) -> list[int]:
    """So many of the classes that occur, by their IoU, the lowest first."""
    iou = ratio(images.hits.sum(0), (images.truth + images.predicted - images.hits).sum(0))
    return [int(c) for c in np.argsort(iou, kind="stable") if not np.isnan(iou[c])][:most]
