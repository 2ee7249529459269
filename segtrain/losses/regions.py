"""Losses with a value for each image: how well the regions of its classes are covered. Counted in images.

An image's value is the mean over the classes that occur in it, so that a small region weighs as much as a large one.
Void pixels belong to no region. An image that is all void is not counted.
"""

import math

import torch
from torch import Tensor, nn

from .contract import IGNORED, exact


class RegionLoss(nn.Module):
    """The sum over the images of what `each` says of their classes, averaged over those that occur in the image.

    Args:
        ignore_index: mask value of void pixels; `None` if no pixel is void.
    """

    terms = 1

    def __init__(self, *, ignore_index: int | None) -> None:
        super().__init__()
        self.ignore_index = IGNORED if ignore_index is None else ignore_index

    def count(self, mask: Tensor) -> Tensor:  # (N, H, W) -> (1,)
        return (mask != self.ignore_index).flatten(1).any(1).sum().float()[None]

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """The sum (1,) over the images, from logits (N, classes, H, W) and masks (N, H, W)."""
        probabilities = exact(logits).softmax(1).flatten(2)
        mask = mask.flatten(1)
        valid = mask != self.ignore_index
        classes = mask.long().masked_fill(~valid, 0)
        losses = self.each(probabilities.masked_fill(~valid[:, None], 0), classes, valid)
        occurs = sums_by_class(valid, classes, logits.shape[1]) > 0
        return (losses.masked_fill(~occurs, 0).sum(1) / occurs.sum(1).clamp(min=1)).sum()[None]

    def each(self, probabilities: Tensor, classes: Tensor, valid: Tensor) -> Tensor:
        """The loss (N, classes) of each class in each image, from probabilities (N, classes, H * W) that are 0 where
        the mask is void, and the class (N, H * W) of each pixel, which says nothing where it is not `valid`."""
        raise NotImplementedError


def sums_by_class(values: Tensor, classes: Tensor, num_classes: int) -> Tensor:
    """The sums (N, num_classes) of an image's values (N, H * W) over the pixels of each class, in float64: one after
    another, float32 would round away what a pixel adds to those of a large image."""
    sums = values.new_zeros(len(values), num_classes, dtype=torch.float64)
    return sums.scatter_add(1, classes, values.double())


class Tversky(RegionLoss):
    """1 - (TP + smooth) / (TP + alpha FP + beta FN + smooth), in sums of probabilities
    (Salehi et al. 2017, https://arxiv.org/abs/1706.05721).

    Args:
        alpha: cost of false positives, 0 or more.
        beta: cost of false negatives, 0 or more; more than `alpha` finds more of what is rare.
        smooth: pixels that are added above and below, above 0: they calm regions of a few pixels.
    """

    def __init__(self, *, alpha: float, beta: float, smooth: float, ignore_index: int | None) -> None:
        super().__init__(ignore_index=ignore_index)
        for name, cost in (("alpha", alpha), ("beta", beta)):
            if not 0 <= cost < math.inf:
                raise ValueError(f"loss.{name}={cost}: expected 0 or more")
        if not 0 < smooth < math.inf:
            raise ValueError(f"loss.smooth={smooth}: expected a number above 0")
        self.alpha, self.beta, self.smooth = alpha, beta, smooth

    def each(self, probabilities: Tensor, classes: Tensor, valid: Tensor) -> Tensor:
        """The loss (N, classes) from the sums of the probabilities over the pixels of each class."""
        num_classes = probabilities.shape[1]
        # Each pixel's own class is looked up: masking an array of all classes takes three times as long on a CPU.
        of_truth = probabilities.gather(1, classes[:, None]).squeeze(1)
        hits = sums_by_class(of_truth, classes, num_classes).to(probabilities)
        pixels = sums_by_class(valid, classes, num_classes).to(probabilities)
        false_positives = probabilities.sum(2) - hits
        misses = pixels - hits
        union = hits + self.alpha * false_positives + self.beta * misses
        return 1 - (hits + self.smooth) / (union + self.smooth)


class Dice(Tversky):
    """1 - 2 TP / (2 TP + FP + FN), in sums of probabilities, with `smooth` added to TP above and below
    (Milletari et al. 2016, https://arxiv.org/abs/1606.04797, without their squares)."""

    def __init__(self, *, smooth: float, ignore_index: int | None) -> None:
        super().__init__(alpha=0.5, beta=0.5, smooth=smooth, ignore_index=ignore_index)


class Lovasz(RegionLoss):
    """Lovasz-softmax: the convex surrogate of 1 - IoU of each class
    (Berman et al. 2018, https://arxiv.org/abs/1705.08790, with the classes that are present in an image)."""

    def each(self, probabilities: Tensor, classes: Tensor, valid: Tensor) -> Tensor:
        numbers = torch.arange(probabilities.shape[1], device=classes.device)[:, None]
        truth = (classes[:, None] == numbers) & valid[:, None]
        errors, order = torch.where(truth, 1 - probabilities, probabilities).sort(dim=2, descending=True)
        return (errors * jaccard_steps(truth.gather(2, order))).sum(2)


def jaccard_steps(truth: Tensor) -> Tensor:
    """By how much 1 - IoU grows with each further pixel that is wrong, along the last dimension."""
    seen = truth.cumsum(-1)  # int64: exact, and deterministic on a GPU
    pixels = seen[..., -1:]
    places = torch.arange(1, truth.shape[-1] + 1, device=truth.device)
    union = pixels + places - seen
    jaccard = 1 - (pixels - seen) / union.clamp(min=1)
    return torch.cat([jaccard[..., :1], jaccard.diff(dim=-1)], dim=-1)
