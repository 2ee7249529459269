"""The numbers in all masks, and which of them are meant where JPEG or soft edges have added others."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..color import Coding, unpack
from ..survey.facts import MaskFacts
from ..survey.tally import in_coding

THIN = 0.15  # share of solid pixels below which a number is one of edges or noise
FEW = 5  # values that may all be classes, though of lines too thin to be solid; soft edges go through more
INDICES = 40  # up to this, values are taken for class indices, however small the objects
NOISE = 48  # how far JPEG moves the colour of a flat place


class Histogram(NamedTuple):
    """The values, palette indices or 24-bit colours in masks: pixels of each, those of them that equal their neighbours
    as in `MaskFacts`, and the masks in which it occurs."""

    pixels: Counter[int]
    solid: Counter[int]
    masks: Counter[int]

    @classmethod
    def of(cls, masks: Sequence[MaskFacts], coding: Coding) -> "Histogram":
        """The numbers that a table sees which reads all masks in `coding`."""
        histogram = cls(Counter(), Counter(), Counter())
        for facts in masks:
            pixels, solid = in_coding(facts, coding)
            histogram.pixels.update(pixels)
            histogram.solid.update(solid)
            histogram.masks.update(pixels.keys())
        return histogram


def is_soft(histogram: Histogram) -> bool:
    """Whether most numbers are shades of soft edges or noise: such a pixel hardly ever equals its neighbours."""
    pixels, solid = histogram.pixels, histogram.solid
    thin = [number for number in pixels if solid[number] < THIN * pixels[number]]
    return len(pixels) > FEW and 2 * len(thin) > len(pixels)


def crowds_both_ends(histogram: Histogram) -> bool:
    """Whether grey values are those of two classes, 0 and 255: few pixels, and no flat places, lie between the ends.
    Kvasir-SEG's JPEG masks hold 0-7 and 248-255 (https://github.com/DengPingFan/PraNet/issues/54); soft edges fill what
    lies between (DUTS, https://github.com/ArcherFMY/sal_eval_toolbox/issues/5; resized masks of ISIC,
    https://github.com/JCruan519/EGE-UNet/issues/13)."""
    dark = bright = between = flat = 0
    for value, pixels in histogram.pixels.items():
        if value < 64:
            dark += pixels
        elif 192 <= value < 256:
            bright += pixels
        else:
            between += pixels
            flat += histogram.solid[value]
    return 2 * between < min(dark, bright) and flat <= THIN * between


def peaks(histogram: Histogram) -> list[int]:
    """The colours that masks had before JPEG changed them, the most frequent first.
    The colour with the most solid pixels stands for all within `NOISE`, then that with the most of the rest; what has
    hardly any solid pixels is edges. BKAI-IGH NeoPolyp has such masks, of three classes
    (https://www.kaggle.com/competitions/bkai-igh-neopolyp/data)."""
    codes = np.array(sorted(histogram.solid, key=lambda code: (-histogram.solid[code], code)))
    pixels = np.array([histogram.pixels[code] for code in codes])
    solid = np.array([histogram.solid[code] for code in codes])
    colors = unpack(codes)
    held = Counter[int]()
    left = np.ones(len(codes), bool)
    while left.any():
        peak = left.argmax()
        near = left & (((colors - colors[peak]) ** 2).sum(1) <= NOISE**2)
        left &= ~near
        number = int(pixels[near].sum())
        if solid[near].sum() >= THIN * number:
            held[int(codes[peak])] = number
    return [code for code, _ in held.most_common()]
