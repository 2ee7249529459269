"""The labels of a split that its network contradicts most are looked for."""

from typing import NamedTuple

import numpy as np

from ..data.classes import ClassTable
from ..report.labels import Problem, problem_in, problem_row
from ..report.page import Row
from ..report.per_image import PerImage, ratio
from ..report.screen import counted_down
from .split_score import SplitScore

LOOKS = 4  # images that are looked at again for each problem that is wanted, at most


class Found(NamedTuple):
    """A problem, and its pictures: an image is not computed again for them."""

    problem: Problem
    row: Row


def label_problems(scored: SplitScore, classes: ClassTable, wanted: int) -> list[Found]:
    """The images with the largest patches against their labels, by their share of the image, the worst first.

    No patch is larger than all that one class has lost to another in its image, which the score knows: so images are
    looked at in that order, until no other one can have a larger patch.
    """
    most = largest_confusions(scored.images)
    found: list[Found] = []
    order: list[int] = np.argsort(-most, kind="stable")[: LOOKS * wanted].tolist()
    for index in counted_down("looking for label problems", order, transient=True):
        enough = len(found) == wanted and found[-1].problem.share >= most[index]
        if enough or not most[index]:
            break
        look = scored.look(index)
        problem = problem_in(scored.images.names[index], look, classes)
        if problem is not None:
            found.append(Found(problem, problem_row(problem, look, classes)))
            found.sort(key=lambda item: -item.problem.share)
            del found[wanted:]
    return found


def largest_confusions(images: PerImage) -> np.ndarray:
    """(images,) float64: the largest share of the labelled pixels of an image that is of one class and predicted as one
    other."""
    image, truth, prediction, pixels = images.pairs.T
    wrong = truth != prediction
    most = np.zeros(len(images), np.int64)
    np.maximum.at(most, image[wrong], pixels[wrong])
    return np.nan_to_num(ratio(most, images.truth.sum(1)))
