"""A temperature is fitted: one number, chosen on val by cross-validation, and only if it holds up there.

It is the one of a grid at which the pixels of val are most likely (Guo et al. 2017, https://arxiv.org/abs/1706.04599,
section 4.2), by a sample of the pixels of each image: with one number to choose, thousands say the same as millions.
"""

from typing import NamedTuple

import numpy as np
import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ..data import DataModule
from ..inference.windows import Windows
from ..report.screen import say
from ..runs.temperature import Temperature
from .held_out import BLOCKS, BlockScorer, jackknife_error

EIGHTHS = sorted(range(-18, 25), key=abs)  # of doublings, the least change first
TEMPERATURES = tuple(2 ** (number / 8) for number in EIGHTHS)  # that are tried: 0.21 to 8
PIXELS = 2048  # of each image, or window of a large one, that are looked at, at most
UNIT, LARGEST = 1 << 20, 10_000.0  # steps of a loss of 1, and the largest loss: whole numbers add up in any order
LEAST = 0.001  # gain in negative log-likelihood below which nothing is changed, however sure it is


class Choice(NamedTuple):
    """What cross-validation says of a temperature."""

    value: float  # the best on all images, or 1 where none holds up
    before: float  # negative log-likelihood of a pixel at 1
    after: float  # that of all blocks, each at the temperature that is best on the others
    error: float  # standard error of the gain


class TemperatureScorer(BlockScorer):
    """Sums the negative log-likelihood of pixels at each temperature: `totals` (blocks, temperatures + 1) have the sums
    in `UNIT`, and the number of pixels."""

    doing = "fitting the temperature"

    def __init__(self, network: nn.Module, *, void: int, images: int, windows: Windows | None = None) -> None:
        super().__init__(network, (len(TEMPERATURES) + 1,), void=void, images=images, windows=windows)

    def add(self, logits: Tensor, mask: Tensor, sums: Tensor) -> None:
        sums += losses(logits, mask, self.void)


def losses(logits: Tensor, mask: Tensor, void: int) -> Tensor:
    """The sums (temperatures + 1,) of an image, by logits (classes, H, W) and mask (H, W), over pixels that are spread
    evenly."""
    rows, columns = (mask != void).nonzero(as_tuple=True)
    step = max(1, -(-len(rows) // PIXELS))
    rows, columns = rows[::step], columns[::step]
    some, truth = logits[:, rows, columns].float().T, mask[rows, columns].long()
    sums = []
    for temperature in TEMPERATURES:
        loss = cross_entropy(some / temperature, truth, reduction="none")
        sums.append((UNIT * loss.double().clamp(max=LARGEST)).round().long().sum())
    return torch.stack([*sums, rows.new_tensor(len(rows))])


def fit_temperature(
    trainer: Trainer, network: nn.Module, data: DataModule, windows: Windows | None = None
) -> Temperature | None:
    """The temperature of a network's probabilities; `None`, which is said, if there is no good one but 1.

    All processes take part, and get the same.
    """
    images = len(data.source("val"))
    if images < BLOCKS:
        say(f"no temperature: {images} images of val are too few to fit one")
        return None
    scorer = TemperatureScorer(network, void=data.classes.void, images=images, windows=windows)
    trainer.test(scorer, dataloaders=data.whole_images("val", trainer), verbose=False)
    if not scorer.totals[:, -1].all():
        say("no temperature: too many images of val are void")
        return None
    choice = choose(scorer.totals)
    if choice.value == 1:
        gain = f"negative log-likelihood {choice.before:.4f} -> {choice.after:.4f} out of fold"
        say(f"no temperature: none holds up on val ({gain}, standard error {choice.error:.4f})")
        return None
    return Temperature(choice.value, choice.before, choice.after)


def choose(totals: Tensor) -> Choice:
    """The best temperature by the sums (blocks, temperatures + 1) of blocks of images.

    It counts, as a prior correction does, if the gain on images that did not choose it is above `LEAST` and above its
    own standard error.
    """
    sums, pixels = np.split(totals.numpy(), [-1], axis=1)
    total, number = sums.sum(0), pixels.sum()
    chosen = np.argmin(total - sums, axis=1)  # of equal ones, the first
    held_out = sums[np.arange(len(sums)), chosen]
    before, after = (float(loss / number / UNIT) for loss in (total[0], held_out.sum()))
    losses_before, losses_after = total[0] - sums[:, 0], held_out.sum() - held_out  # without one block each
    gains = (losses_before - losses_after) / (number - pixels[:, 0]) / UNIT
    error = jackknife_error(gains.tolist())
    holds_up = before - after > max(LEAST, error)
    return Choice(TEMPERATURES[int(total.argmin())] if holds_up else 1.0, before, after, error)
