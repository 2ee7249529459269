"""Losses. Each returns a numerator and a denominator; the learner divides the sums over the whole batch."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class CrossEntropy(nn.Module):
    """Cross entropy summed over the valid pixels, and their number.

    Args:
        weights: one factor per class on its pixels' loss; `None` for 1. They do not enter the denominator, so that a
            pixel weighs the same in every batch.
        label_smoothing: share of the truth that is spread over all classes, in 0..1.
        ignore_index: void; `None` where there is none.
    """

    weights: Tensor | None

    def __init__(self, *, weights: Sequence[float] | None, label_smoothing: float, ignore_index: int | None) -> None:
        super().__init__()
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"loss.label_smoothing={label_smoothing}: expected 0 or more, and less than 1")
        if weights is not None and not (all(0 <= weight < math.inf for weight in weights) and any(weights)):
            raise ValueError(f"loss.weights={list(weights)}: expected numbers of 0 or more, not all of them 0")
        self.register_buffer("weights", None if weights is None else torch.tensor(weights, dtype=torch.float32))
        self.label_smoothing = label_smoothing
        self.ignore_index = -100 if ignore_index is None else ignore_index

    def forward(self, logits: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """(sum, pixels), float32, from logits (N, classes, H, W) and mask (N, H, W); (0, 0) if all is void."""
        # In one plane per class the softmax runs five times faster on a CPU than with channels last.
        total = F.cross_entropy(
            logits.contiguous().float(),
            mask.long(),
            self.weights,
            ignore_index=self.ignore_index,
            reduction="none",  # and then sum(): CUDA's own sum is not deterministic
            label_smoothing=self.label_smoothing,
        ).sum()
        return total, (mask != self.ignore_index).sum().float()


def class_weights(pixels: Tensor, rule: str) -> list[float]:
    """Weights (classes,) from pixels (classes,), scaled to a mean of 1 over the pixels.

    `inverse`: 1 / frequency. `sqrt`: its square root. `median_frequency`: median frequency / frequency
    (Eigen and Fergus 2015, https://arxiv.org/abs/1411.4734, section 6.3.2), which differs from `inverse` in its scale
    alone, and is left unscaled. A class without pixels gets the largest weight of the others.

    Raises:
        ValueError: for another rule, and without any pixels.
    """
    if not pixels.any():
        raise ValueError("every pixel of the training masks is void: look at `ignore` in the class table")
    frequency = pixels.double() / pixels.sum()
    seen = frequency > 0
    median = frequency[seen].median()
    rules = {"inverse": frequency**-1, "sqrt": frequency**-0.5, "median_frequency": median / frequency}
    if rule not in rules:
        raise ValueError(f"loss.weights={rule}: expected none, {', '.join(rules)}, or one number per class")
    weights = rules[rule]
    weights[~seen] = weights[seen].max()
    if rule != "median_frequency":
        weights = weights / (weights * frequency).sum()
    return weights.tolist()
