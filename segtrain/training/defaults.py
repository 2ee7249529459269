"""What `auto` stands for, chosen by facts of the data: the one place to read, and to change.

The rules were found on small sets, made-up and real ones: docs/experiments.md.
"""

import math
from typing import NamedTuple

from torch import Tensor

from ..data import DataModule
from ..runs.record import Settings
from ..text import counted

AUTO = "auto"
STEPS = 300  # times the root of the number of classes
MOST_STEPS = 2000


class Facts(NamedTuple):
    """What the choices depend on: the number of training images, and the pixels of each class in some of their
    masks."""

    images: int
    names: tuple[str, ...]
    pixels: Tensor  # (classes,) int64

    @classmethod
    def of(cls, data: DataModule) -> "Facts":
        return cls(len(data.source("train")), data.classes.names, data.some_class_pixels)

    @property
    def rarest(self) -> tuple[str, float]:
        """The rarest class that occurs, and its share of the pixels."""
        total = int(self.pixels.sum())
        occurring = [(number, name) for number, name in zip(self.pixels.tolist(), self.names, strict=True) if number]
        number, name = min(occurring, default=(0, ""))
        return name, number / max(total, 1)

    def __str__(self) -> str:
        """In words, such as '54 images, rarest class deco 0.6 %'."""
        name, share = self.rarest
        rarest = f", rarest class {name} {100 * share:.2g} %" if name else ""
        return f"{counted(self.images, 'image')}{rarest}"


def least_steps(facts: Facts) -> int:
    """Steps below which no training ends: more classes take longer to tell apart, however few images there are."""
    return min(MOST_STEPS, STEPS * math.ceil(math.sqrt(len(facts.names))))


def with_choices(settings: Settings, data: DataModule) -> Settings:
    """The settings of a new training with a choice in place of each `auto`, but for the class weights, which are
    numbers: `parts.loss_spec` fills them in."""
    train, crop = settings["train"], settings["data"].get("crop", ())
    if train["min_steps"] == AUTO:
        settings = {**settings, "train": {**train, "min_steps": least_steps(Facts.of(data))}}
    if crop is None:  # another machine, on which the run goes on, may choose another one
        settings = {**settings, "data": {**settings["data"], "crop": list(data.crop)}}
    return settings
