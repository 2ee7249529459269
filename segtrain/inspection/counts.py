"""How many pixels, and how many images, each class has."""

from typing import NamedTuple

import numpy as np

from ..data.classes import ClassTable
from ..data.survey.tally import tally
from .inspect import Inspection


class Counts(NamedTuple):
    """Counts over the masks without problems."""

    pixels: dict[str, np.ndarray]  # split -> the pixels of each class (classes,)
    images: dict[str, np.ndarray]  # split -> the images that have each class (classes,)
    void: int  # pixels that belong to no class

    @property
    def shares(self) -> np.ndarray:
        """The share of each class (classes,) of all pixels that have a class."""
        total = sum(self.pixels.values(), np.zeros(()))
        return total / max(total.sum(), 1)


def count(inspection: Inspection, table: ClassTable) -> Counts:
    """Pixels and images of the classes of the table, in all splits."""
    counts = Counts({}, {}, 0)
    void = 0
    for split, pairs in inspection.splits.items():
        pixels, images = np.zeros((2, len(table)), np.int64)
        for mask in inspection.survey.usable_masks(pairs):
            share = tally(mask, table)
            for index, number in share.classes.items():
                pixels[index] += number
                images[index] += number > 0
            void += share.void
        counts.pixels[split], counts.images[split] = pixels, images
    return counts._replace(void=void)
