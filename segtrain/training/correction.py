"""A prior correction is fitted: one number, chosen on val by cross-validation, and only if it holds up there.

What is taken off the logits is a share of the logarithm of the loss's class weights. Cross entropy with weights w is
least where the logits are log(w) plus the logarithm of the classes' probabilities: without log(w), the answer is the
most likely class. The mean IoU asks for rare classes more often than that, and for more of them the less a network can
tell them apart, so that a negative share may be the best one too. A network that was trained without weights knows no
other direction than the logarithm of the classes' frequencies among the training pixels, which Menon et al. 2021 take
off (https://arxiv.org/abs/2007.07314).

It is one number, and not one per class with shrinkage. With fcn_tiny after 413 steps on CamVid, whose val is one clip,
eleven numbers raised mIoU from 0.290 to 0.370 out of fold, and one number to 0.324; but on training images, of other
sequences, the eleven took it from 0.317 to 0.294 (half of them to 0.323), and the one to 0.327. What is fitted per
class is fitted to the clip, and its other frames cannot show that.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn

from ..build import Spec
from ..data import DataModule
from ..inference.windows import Windows
from ..metrics import count_pairs, mean_iou, most_likely
from ..report.screen import say
from ..runs.corrected import shifted
from ..runs.correction import FREQUENCY, LOSS, Correction
from ..runs.record import with_each
from .held_out import BLOCKS, BlockScorer, jackknife_error

TENTHS = [number / 10 for number in range(-10, 11)]
SHARES = tuple(sorted(TENTHS, key=lambda share: (abs(share), share < 0)))  # that are tried, the least first
MOST_CLASSES = 500  # beyond, the matrices of all blocks and shares would fill the memory
LEAST = 0.001  # gain in mIoU below which no answer is changed, however sure it is


class Choice(NamedTuple):
    """What cross-validation says of a share."""

    share: float  # the best on all images, or 0 where none holds up
    before: float  # mIoU with a share of 0
    after: float  # mIoU of all blocks, each with the share that is best on the others
    error: float  # standard error of the gain


class GridScorer(BlockScorer):
    """Scores a network under several corrections at once: `totals` (blocks, corrections, classes, classes) are
    confusion matrices.

    `grid` has the offsets (classes,) of each correction: shares of the same numbers, the two farthest from 0 last.
    """

    doing = "fitting the prior correction"

    def __init__(
        self,
        network: nn.Module,
        grid: Sequence[tuple[float, ...]],
        *,
        void: int,
        images: int,
        windows: Windows | None = None,
    ) -> None:
        classes = len(grid[0])
        super().__init__(network, (len(grid), classes, classes), void=void, images=images, windows=windows)
        self.grid = grid

    def add(self, logits: Tensor, mask: Tensor, sums: Tensor) -> None:
        """Count the pixels under each correction.

        Logits are linear in the share, so that where both ends of the grid give one answer, all of it does: most pixels
        are counted once.
        """
        classes, logits, mask = len(logits), logits[None], mask[None]
        one_end, other_end = (most_likely(shifted(logits, offsets)) for offsets in self.grid[-2:])
        moves = one_end != other_end
        sums += count_pairs(one_end, mask.masked_fill(moves, self.void), classes, self.void)[0]
        moving, truth = logits.movedim(1, -1)[moves][..., None, None], mask[moves][:, None, None]  # images of one pixel
        for matrix, offsets in zip(sums, self.grid, strict=True):
            matrix += count_pairs(most_likely(shifted(moving, offsets)), truth, classes, self.void)[0]


def fit_correction(
    trainer: Trainer, network: nn.Module, data: DataModule, loss: Spec, windows: Windows | None = None
) -> Correction | None:
    """The correction of a network that was trained with this loss; `None`, which is said, if there is no good one.

    All processes take part, and get the same.
    """
    images = len(data.source("val"))
    if images < BLOCKS:
        say(f"no prior correction: {images} images of val are too few to fit one")
        return None
    if len(data.classes) > MOST_CLASSES:
        say(f"no prior correction: {len(data.classes)} classes are too many to fit one")
        return None
    of, logarithms = bias(loss, data)
    grid = [tuple(-share * value for value in logarithms) for share in SHARES]
    scorer = GridScorer(network, grid, void=data.classes.void, images=images, windows=windows)
    trainer.test(scorer, dataloaders=data.whole_images("val", trainer), verbose=False)
    choice = choose(scorer.totals)
    if not choice.share:
        gain = f"mIoU {choice.before:.4f} -> {choice.after:.4f} out of fold, standard error {choice.error:.4f}"
        say(f"no prior correction: none holds up on val ({gain})")
        return None
    offsets = grid[SHARES.index(choice.share)]
    return Correction(choice.share, of, offsets, choice.before, choice.after)


def choose(matrices: Tensor) -> Choice:
    """The best share by the confusion matrices (blocks, shares, classes, classes) of blocks of images.

    It counts if the gain on images that did not choose it is above `LEAST`, and above its own standard error (the
    one-standard-error rule of Breiman et al. 1984, Classification and Regression Trees, section 3.4.3), estimated by
    leaving out one block after the other (the jackknife).
    """
    total = matrices.sum(0)
    held_out = torch.stack([block[best(total - block)] for block in matrices])
    before, after = mean_iou(total[0]), mean_iou(held_out.sum(0))
    gains = []
    for block, chosen in zip(matrices, held_out, strict=True):
        gains.append(mean_iou(held_out.sum(0) - chosen) - mean_iou(total[0] - block[0]))
    error = jackknife_error(gains)
    holds_up = after - before > max(LEAST, error)
    return Choice(SHARES[best(total)] if holds_up else 0.0, before, after, error)


def best(matrices: Tensor) -> int:
    """The index of the matrix (n, classes, classes) with the best mIoU; of equal ones, the first."""
    scores = [mean_iou(matrix) for matrix in matrices]
    return scores.index(max(scores))


def bias(loss: Spec, data: DataModule) -> tuple[str, list[float]]:
    """(what it is, its logarithm for each class, with a mean of 0) of what a share is taken off the logits."""
    weights = stored_weights(loss, len(data.classes))
    if weights is not None and min(weights) < max(weights):
        most = max(weights)  # a class of weight 0 was never taught: it is not to be favoured
        return LOSS, centred([math.log(weight or most) for weight in weights])
    pixels = data.class_pixels.tolist()
    fewest = min(filter(None, pixels))
    return FREQUENCY, centred([math.log(number or fewest) for number in pixels])


def centred(values: Sequence[float]) -> list[float]:
    mean = sum(values) / len(values)
    return [value - mean for value in values]


def stored_weights(loss: Spec, classes: int) -> list[float] | None:
    """The weights of the classes in a loss, or of a part of it; `None` if there are none."""
    found: list[list[float]] = []

    def note(spec: Spec) -> None:
        weights = spec.get("weights")
        if isinstance(weights, list) and len(weights) == classes:
            found.append(weights)

    with_each(loss, note)
    return found[0] if found else None
