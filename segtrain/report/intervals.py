"""How far a score can be trusted: what it might have been on other images of the same kind.

The images are drawn again with replacement, many times, and scored together each time; where 95 % of these scores lie
is the interval (Efron's percentile bootstrap). Images that belong together, such as frames of a sequence, are drawn
together. It says nothing of another training, whose score differs by the seed too.
"""

from typing import NamedTuple

import numpy as np

from ..text import counted, enumerated
from .per_image import PerImage, mean_of_defined, ratio

DRAWS, AT_ONCE = 2000, 250  # how often the images are drawn, and for how many draws at a time they are added up
NAMES = 6  # of classes, in a sentence
TAILS = (0.025, 0.975)
FEW_IMAGES, FEW_WITH_CLASS = 50, 20  # of fewer, the interval is too narrow


class Interval(NamedTuple):
    """Where 95 % of the scores lie; NaN where the score is not defined."""

    low: float
    high: float


class Intervals(NamedTuple):
    """Of the mean IoU, and of the IoU of each class."""

    miou: Interval
    classes: list[Interval]
    drawn: int  # images, or groups of them
    doubts: list[str]  # why they may be too narrow


def intervals(images: PerImage, seed: int = 0) -> Intervals:
    """The intervals of the scores that all images together have."""
    iou, drawn = redrawn_iou(images, seed)
    return intervals_of(iou, mean_of_defined(iou), drawn, images)


def differences(first: PerImage, second: PerImage, seed: int = 0) -> Intervals:
    """The intervals of what the second scores have over the first, of the same images: both are drawn alike."""
    before, drawn = redrawn_iou(first, seed)
    after, _ = redrawn_iou(second, seed)
    return intervals_of(after - before, mean_of_defined(after) - mean_of_defined(before), drawn, first)


def intervals_of(classes: np.ndarray, means: np.ndarray, drawn: int, images: PerImage) -> Intervals:
    """The intervals of scores (draws, classes) and of their means (draws,)."""
    return Intervals(interval_of(means), [interval_of(column) for column in classes.T], drawn, doubts(images))


def redrawn_iou(images: PerImage, seed: int) -> tuple[np.ndarray, int]:
    """(draws, classes) float64: the IoU of as many units as there are, drawn with replacement; and how many."""
    units, number = units_of(images)
    hits, union = summed(images.hits, units, number), summed(unions(images), units, number)
    if not number:
        return np.full((1, hits.shape[1]), np.nan), 0
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(0, DRAWS, AT_ONCE):
        times = rng.multinomial(number, np.full(number, 1 / number), AT_ONCE).astype(np.float64)
        parts.append(ratio(times @ hits, times @ union))
    return np.concatenate(parts), number


def units_of(images: PerImage) -> tuple[np.ndarray, int]:
    """(images,) the unit that each image is drawn with, itself or its group; and how many there are."""
    units = np.arange(len(images))
    if images.groups is not None:
        units = np.unique(np.array(images.groups), return_inverse=True)[1].ravel()
    return units, int(units.max(initial=-1)) + 1


def interval_of(scores: np.ndarray) -> Interval:
    defined = scores[~np.isnan(scores)]
    return Interval(*np.quantile(defined, TAILS).tolist()) if len(defined) else Interval(np.nan, np.nan)


def unions(images: PerImage) -> np.ndarray:
    """(images, classes) int64: pixels that truth or prediction have of a class."""
    return images.truth + images.predicted - images.hits


def summed(counts: np.ndarray, units: np.ndarray, number: int) -> np.ndarray:
    """(units, classes) float64: counts (images, classes) of the images of each unit together."""
    result = np.zeros((number, counts.shape[1]))
    np.add.at(result, units, counts)
    return result


def doubts(images: PerImage) -> list[str]:
    """Why the intervals may be too narrow, if they may."""
    units, number = units_of(images)
    drawn = "image" if images.groups is None else "group"
    if number < FEW_IMAGES:
        return [f"only {counted(number, drawn)}{'' if drawn == 'image' else ' of images'}"]
    occurs = (summed(images.truth, units, number) > 0).sum(0)
    rare = [name for name, n in zip(images.class_names, occurs.tolist(), strict=True) if 0 < n < FEW_WITH_CLASS]
    return [f"fewer than {FEW_WITH_CLASS} {drawn}s have {enumerated(rare, NAMES)}"] if rare else []
