"""Whether a network is as sure as it is right: the probability of its answer beside how often the answer is right.

The expected calibration error is that of Guo et al. 2017 (https://arxiv.org/abs/1706.04599): of the pixels in each of
`BINS` equal bins of probability, how far the mean probability is from the share that is right, on average over pixels.
"""

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

BINS = 20  # of the calibration error
FINE = 4000  # bins that are counted: a multiple of the others, so that any share of the pixels can be left out
UNIT = 1 << 24  # steps of a probability of 1: whole numbers add up the same in any order


class ConfidenceCounts(Metric):
    """Counts pixels by the probability of their answer in int64, exact over batches and processes.

    Args:
        void: mask value of the pixels that are left out.
    """

    full_state_update = False
    counts: Tensor

    def __init__(self, void: int) -> None:
        super().__init__()
        self.void = void
        self.add_state("counts", default=torch.zeros(3, FINE, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, confidence: Tensor, prediction: Tensor, mask: Tensor) -> None:
        """Count maps (N, H, W): the probability of the answer, the answer, and the truth."""
        bins = (FINE * confidence).int().clamp_(0, FINE - 1).flatten().long()
        known = mask != self.void
        right, steps = known & (prediction == mask), (UNIT * confidence).round_().int() * known
        for row, values in zip(self.counts, (known, right, steps), strict=True):
            row.scatter_add_(0, bins, values.flatten().long())  # of one axis: these are deterministic on a GPU

    def compute(self) -> Tensor:
        """(3, `FINE`) int64: the pixels in each bin, the right ones, and the sum of their probabilities in `UNIT`."""
        return self.counts


def reliability(counts: Tensor) -> Tensor:
    """(3, `BINS`) float64: the pixels in each bin, the share that is right, and the mean probability; NaN without
    any."""
    pixels, right, confidence = counts.cpu().view(3, BINS, -1).sum(2).double()
    return torch.stack([pixels, right / pixels, confidence / UNIT / pixels])


def calibration_error(counts: Tensor) -> float:
    """The expected calibration error, 0 to 1; NaN without pixels."""
    pixels, right, confidence = reliability(counts)
    return ((right - confidence).abs().nan_to_num() * pixels).sum().div(pixels.sum()).item()


def accuracy_without(counts: Tensor, share: float) -> tuple[float, float]:
    """(accuracy on the rest, the probability that these have at least) without this share of the pixels, the least sure
    ones. Of the bin that is left out in part, right and wrong pixels alike. NaN without pixels."""
    pixels, right, _ = counts.cpu().numpy()
    total = pixels.sum()
    if not total:
        return np.nan, np.nan
    kept = (1 - share) * total
    surest, surest_right = (np.concatenate([[0], values[::-1].cumsum()]) for values in (pixels, right))
    bins = int(np.searchsorted(surest, kept))  # from the top that are needed, the last one perhaps in part
    return float(np.interp(kept, surest, surest_right) / kept), 1 - bins / FINE
