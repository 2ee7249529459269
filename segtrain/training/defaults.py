"""What `auto` stands for, chosen by facts of the data: the one place to read, and to change.

The rules were found on small sets, made-up and real ones: docs/experiments.md.
"""

import math
from collections.abc import Collection, Sequence
from typing import NamedTuple

from torch import Tensor

from ..build import Spec
from ..data import DataModule
from ..runs.record import Settings
from ..text import counted

AUTO = "auto"
LOSS = "ce_dice"  # where conf/train.yaml stays as it is
LEAST_STEPS = 1200  # of 8 crops of 256 x 256 in about five minutes on two cores
MOST_IMAGES = 2000 * 8  # crops in all the steps that are more than that
STEPS = 300  # times the root of the number of classes
PIXELS = LEAST_STEPS * 8 * 256 * 256  # summed over all crops of all steps: of smaller crops it takes more of them


class Facts(NamedTuple):
    """What the choices depend on: the number of training images, the pixels of each class in some of their masks, the
    height and width of a crop, and the crops in a batch."""

    images: int
    names: tuple[str, ...]
    pixels: Tensor  # (classes,) int64
    crop: Sequence[int]
    batch: int

    @classmethod
    def of(cls, data: DataModule) -> "Facts":
        return cls(len(data.source("train")), data.classes.names, data.some_class_pixels, data.crop, data.batch_size)

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
    """Steps below which no training ends, however few images there are: more for many classes, which take longer to
    tell apart, and more for small crops or batches, which show fewer pixels in a step."""
    height, width = facts.crop
    for_classes = STEPS * math.ceil(math.sqrt(len(facts.names)))
    for_crops = PIXELS // (facts.batch * height * width)
    return max(LEAST_STEPS, min(MOST_IMAGES // facts.batch, max(for_classes, for_crops)))


def with_choices(settings: Settings, data: DataModule) -> Settings:
    """The settings of a new training with a choice in place of each `auto`, but for the class weights, which are
    numbers: `parts.loss_spec` fills them in."""
    train, crop = settings["train"], settings["data"].get("crop", ())
    if train["min_steps"] == AUTO:
        settings = {**settings, "train": {**train, "min_steps": least_steps(Facts.of(data))}}
    if crop is None:  # another machine, on which the run goes on, may choose another one
        settings = {**settings, "data": {**settings["data"], "crop": list(data.crop)}}
    return settings


def choices_in_words(settings: Settings, typed: Collection[str], data: DataModule, loss: Spec, steps: int) -> str:
    """What a new training took that was not typed, such as '54 images, rarest class deco 0.6 %: 1,200 steps, crops of
    256 x 256, ce_dice, classes weigh 0.4 to 3.1'; empty if that is nothing.

    Args:
        settings: Those before `with_choices`.
        typed: Names of the settings that were typed.
        loss: Settings of the loss, with the weights that were chosen.
    """
    train, crop, weights = settings["train"], settings["data"].get("crop", ()), loss.get("weights")
    words = []
    if train["steps"] is None and train["min_steps"] == AUTO and train.get("max_minutes") is None:
        words.append(f"{steps:,} steps")
    if crop is None:
        words.append(f"crops of {data.crop[0]} x {data.crop[1]}")
    if not {"loss", "experiment"}.intersection(typed):
        words.append(LOSS)
    if settings["loss"].get("weights") == AUTO and weights:
        words.append(f"classes weigh {min(weights):.2g} to {max(weights):.2g}")
    return f"{Facts.of(data)}: {', '.join(words)}" if words else ""
