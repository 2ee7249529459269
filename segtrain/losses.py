"""Losses. Each maps logits and mask to a sum over the valid pixels and their number.

The learner adds up both over all parts of a batch, on all devices, and divides: the mean is exact however the batch is
shared out.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["CrossEntropy"]  # what a configuration may name


class CrossEntropy(nn.Module):
    """Cross entropy summed over the valid pixels, and their number.

    Args:
        weights: factor on the loss of each class's pixels; `None` for 1. The number of pixels is not weighted, so that
            a pixel counts as much in every batch.
        label_smoothing: share of each pixel's truth that is spread evenly over all classes: 0 or more, less than 1.
        ignore_index: mask value of void pixels; `None` if no pixel is void.
    """

    weights: Tensor | None

    def __init__(self, *, weights: Sequence[float] | None, label_smoothing: float, ignore_index: int | None) -> None:
        super().__init__()
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"loss.label_smoothing={label_smoothing}: expected 0 or more, and less than 1")
        factors = None
        if weights is not None:
            in_range = all(0 <= weight < math.inf for weight in weights)
            if not in_range or not any(weights):
                raise ValueError(f"loss.weights={list(weights)}: expected numbers of 0 or more, not all of them 0")
            factors = torch.tensor(weights, dtype=torch.float32)
        self.register_buffer("weights", factors)
        self.label_smoothing = label_smoothing
        self.ignore_index = -100 if ignore_index is None else ignore_index  # -100, torch's default, is in no mask

    def forward(self, logits: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """(sum, pixels), float32, from logits (N, classes, H, W) and mask (N, H, W); (0, 0) if all is void."""
        # On a CPU, the softmax runs five times faster with one plane per class than with channels last.
        weights = None if self.weights is None else self.weights.float()  # bf16-true and 64-true convert buffers
        total = F.cross_entropy(
            logits.contiguous().float(),
            mask.long(),
            weights,
            ignore_index=self.ignore_index,
            reduction="none",  # and then sum(): CUDA's own sum is not deterministic
            label_smoothing=self.label_smoothing,
        ).sum()
        return total, (mask != self.ignore_index).sum().float()


def class_weights(pixels: Tensor, rule: str) -> list[float]:
    """Weights (classes,) of a rule, from the number of pixels (classes,) of each class.

    `inverse` is 1 / frequency and `sqrt` is 1 / sqrt(frequency), both scaled to a mean of 1 over the pixels.
    `median_frequency` is median frequency / frequency (Eigen and Fergus 2015, https://arxiv.org/abs/1411.4734, section
    6.3.2), which differs from `inverse` in its scale alone. A class without pixels gets the largest weight of all.

    Raises:
        ValueError: for an unknown rule, and if no class has pixels.
    """
    if not pixels.any():
        raise ValueError("every pixel of the training masks is void: look at `ignore` in the class table")
    frequency = pixels.double() / pixels.sum()
    seen = frequency > 0
    median = frequency[seen].median()
    rules = {"inverse": frequency**-1, "sqrt": frequency**-0.5, "median_frequency": median / frequency}
    if rule not in rules:
        raise ValueError(f"loss.weights={rule}: expected null, {', '.join(rules)}, or one number per class")
    weights = rules[rule]
    weights[~seen] = weights[seen].max()
    if rule != "median_frequency":
        weights = weights / (weights * frequency).sum()
    return weights.tolist()
