"""Losses with a value for each pixel, counted in valid pixels."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .contract import IGNORED, exact

Weights = Sequence[float] | str | None  # a rule of `class_weights` by name becomes numbers once the data are known


class PixelLoss(nn.Module):
    """The sum over the valid pixels of what `each` says of them.

    Args:
        weights: factor on the loss of each class's pixels; `None` for 1. The number of pixels is not weighted, so that
            a pixel counts as much in every batch.
        ignore_index: mask value of void pixels; `None` if no pixel is void.
    """

    terms = 1
    weights: Tensor | None

    def __init__(self, *, weights: Weights, ignore_index: int | None) -> None:
        super().__init__()
        factors = None
        if isinstance(weights, str):
            raise ValueError(f"loss.weights={weights}: without data, expected one number per class")
        if weights is not None:
            in_range = all(0 <= weight < math.inf for weight in weights)
            if not in_range or not any(weights):
                raise ValueError(f"loss.weights={list(weights)}: expected numbers of 0 or more, not all of them 0")
            factors = torch.tensor(weights, dtype=torch.float32)
        self.register_buffer("weights", factors)
        self.ignore_index = IGNORED if ignore_index is None else ignore_index

    def count(self, mask: Tensor) -> Tensor:  # (N, H, W) -> (1,)
        return (mask != self.ignore_index).sum().float()[None]

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:  # (N, classes, H, W), (N, H, W) -> (1,)
        return self.each(exact(logits), mask.long()).sum()[None]  # CUDA's own reduction is not deterministic

    def each(self, logits: Tensor, mask: Tensor) -> Tensor:  # (N, classes, H, W), (N, H, W) -> (N, H, W)
        """The loss of every pixel, 0 where it is void."""
        raise NotImplementedError

    def cross_entropy(self, logits: Tensor, mask: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
        """That of every pixel (N, H, W) with its class's weight, 0 where it is void."""
        weights = None if self.weights is None else self.weights.to(logits.dtype)
        return F.cross_entropy(
            logits,
            mask,
            weights,
            ignore_index=self.ignore_index,
            reduction="none",
            label_smoothing=label_smoothing,
        )

    def surprise(self, logits: Tensor, mask: Tensor) -> Tensor:
        """-log of the probability of each pixel's class, 0 where it is void: the cross entropy without weights."""
        return F.cross_entropy(logits, mask, ignore_index=self.ignore_index, reduction="none")


class CrossEntropy(PixelLoss):
    """Cross entropy.

    Args:
        label_smoothing: share of each pixel's truth that is spread evenly over all classes: 0 or more, less than 1.
    """

    def __init__(self, *, weights: Weights, label_smoothing: float, ignore_index: int | None) -> None:
        super().__init__(weights=weights, ignore_index=ignore_index)
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"loss.label_smoothing={label_smoothing}: expected 0 or more, and less than 1")
        self.label_smoothing = label_smoothing

    def each(self, logits: Tensor, mask: Tensor) -> Tensor:
        return self.cross_entropy(logits, mask, label_smoothing=self.label_smoothing)


class OHEM(PixelLoss):
    """Cross entropy of the hard pixels alone (Shrivastava et al. 2016, https://arxiv.org/abs/1604.03540).

    A pixel is hard if the probability of its class is below `threshold`, or among the lowest of its image, of which a
    share is kept in any case. Others divide by the number of hard pixels; here, as in every loss, the number of valid
    pixels divides, which the masks alone decide.

    Args:
        threshold: probability of the true class, 0 to 1.
        kept: share of each image's valid pixels that count at least, 0 to 1.
    """

    def __init__(self, *, weights: Weights, threshold: float, kept: float, ignore_index: int | None) -> None:
        super().__init__(weights=weights, ignore_index=ignore_index)
        for name, share in (("threshold", threshold), ("kept", kept)):
            if not 0 <= share <= 1:
                raise ValueError(f"loss.{name}={share}: expected 0 to 1")
        self.threshold, self.kept = threshold, kept

    def each(self, logits: Tensor, mask: Tensor) -> Tensor:
        return self.cross_entropy(logits, mask) * self.hard(logits.detach(), mask)

    def hard(self, logits: Tensor, mask: Tensor) -> Tensor:  # (N, classes, H, W), (N, H, W) -> (N, H, W), bool
        valid = mask != self.ignore_index
        surprise = self.surprise(logits, mask).masked_fill(~valid, -1)  # behind all others
        ordered = surprise.flatten(1).sort(descending=True).values
        least = (self.kept * valid.flatten(1).sum(1, keepdim=True)).ceil().long()
        last_kept = ordered.gather(1, (least - 1).clamp(min=0))[..., None]
        in_any_case = (surprise >= last_kept) & (least > 0)[..., None]
        return valid & (in_any_case | (surprise > -math.log(max(self.threshold, 1e-30))))


class Focal(PixelLoss):
    """Cross entropy times (1 - p) ** gamma, where p is the probability of a pixel's class: what is known counts less
    (Lin et al. 2017, https://arxiv.org/abs/1708.02002, equation 5, with the softmax in place of the sigmoid).

    Args:
        gamma: 0 is the cross entropy; else 1 or more, since below 1 the gradient has no bound.
    """

    def __init__(self, *, weights: Weights, gamma: float, ignore_index: int | None) -> None:
        super().__init__(weights=weights, ignore_index=ignore_index)
        if gamma != 0 and not 1 <= gamma < math.inf:
            raise ValueError(f"loss.gamma={gamma}: expected 0, or 1 or more")
        self.gamma = gamma

    def each(self, logits: Tensor, mask: Tensor) -> Tensor:
        unlikely = -torch.expm1(-self.surprise(logits, mask))  # 1 - p, without its rounding near p = 1
        return self.cross_entropy(logits, mask) * unlikely**self.gamma


class BoundaryCrossEntropy(PixelLoss):
    """Cross entropy that counts more near boundaries between classes, in the spirit of the weight map of Ronneberger et
    al. 2015 (https://arxiv.org/abs/1505.04597, equation 2), with a band in place of their bell curve.

    Args:
        factor: factor on the loss of pixels near a boundary, 0 or more.
        width: how many rows and columns away another class may lie, 1 or more. Void is no class.
    """

    def __init__(self, *, weights: Weights, factor: float, width: int, ignore_index: int | None) -> None:
        super().__init__(weights=weights, ignore_index=ignore_index)
        if not 0 <= factor < math.inf:
            raise ValueError(f"loss.factor={factor}: expected 0 or more")
        if width < 1:
            raise ValueError(f"loss.width={width}: expected 1 or more pixels")
        self.factor, self.width = factor, width

    def each(self, logits: Tensor, mask: Tensor) -> Tensor:
        loss = self.cross_entropy(logits, mask)
        return torch.where(self.near_boundary(mask), self.factor * loss, loss)

    def near_boundary(self, mask: Tensor) -> Tensor:  # (N, H, W) -> (N, H, W), bool
        void = mask == self.ignore_index
        size = 2 * self.width + 1
        labels = mask.float()
        highest = F.max_pool2d(labels.masked_fill(void, -math.inf), size, stride=1, padding=self.width)
        lowest = -F.max_pool2d((-labels).masked_fill(void, -math.inf), size, stride=1, padding=self.width)
        return ~void & (highest > lowest)
