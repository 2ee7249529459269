"""The one metric: a confusion matrix over a whole split, and the scores that follow from it."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric


class ConfusionMatrix(Metric):
    """Counts pixels by (truth, prediction) in int64, exact for any number of pixels, batches and processes.

    Args:
        num_classes: of truth and prediction.
        void: value in the truth that is left out.
    """

    full_state_update = False
    matrix: Tensor
    void_pixels: Tensor
    images: Tensor
    broken: Tensor

    def __init__(self, num_classes: int, void: int) -> None:
        super().__init__()
        self.num_classes, self.void = num_classes, void
        for name, shape in (
            ("matrix", (num_classes, num_classes)),
            ("void_pixels", ()),
            ("images", ()),
            ("broken", ()),
        ):
            state = torch.zeros(shape, dtype=torch.int64)
            self.add_state(name, default=state, dist_reduce_fx="sum")

    def update(self, logits: Tensor, mask: Tensor) -> None:
        """Count the most likely class of logits (N, classes, H, W) against mask (N, H, W)."""
        pairs = logits.argmax(1).add_(mask, alpha=self.num_classes)
        pairs.masked_fill_(mask == self.void, self.num_classes**2)  # one bin more, for void: cheaper than to select
        counts = torch.bincount(pairs.flatten(), minlength=self.num_classes**2 + 1)
        self.matrix += counts[:-1].view(self.num_classes, self.num_classes)
        self.void_pixels += counts[-1]
        self.images += len(mask)
        # A mean is finite only if all its terms are; kept on the device, so that nothing waits for it here.
        self.broken += ~logits.mean().isfinite()

    def compute(self) -> Tensor:
        """(classes, classes) int64: rows truth, columns prediction.

        Raises:
            ValueError: if logits were not finite, since their argmax means nothing.
        """
        if self.broken:
            raise ValueError(
                f"the network's output was not finite (NaN or infinite) in {int(self.broken)} batches: "
                "lower optimizer.lr, or set trainer.precision=32-true"
            )
        return self.matrix


class Ratio(Metric):
    """The sum of numerators over the sum of denominators: a mean over pixels, however they are batched."""

    full_state_update = False
    numerator: Tensor
    denominator: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("numerator", "denominator"):
            # float32 would round away what a batch adds to the pixels of a large split
            state = torch.zeros((), dtype=torch.float64)
            self.add_state(name, default=state, dist_reduce_fx="sum")

    def update(self, numerator: Tensor, denominator: Tensor) -> None:
        self.numerator += numerator
        self.denominator += denominator

    def compute(self) -> Tensor:
        """NaN before anything was counted."""
        return self.numerator / self.denominator


class FirstNotFinite(Metric):
    """The first step whose loss was NaN or infinite, noted on the device, so that no step waits for the answer."""

    NEVER = torch.iinfo(torch.int64).max
    full_state_update = False
    step: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("step", default=torch.tensor(self.NEVER), dist_reduce_fx="min")

    def update(self, loss: Tensor, step: int) -> None:
        self.step = torch.where(loss.isfinite(), self.step, self.step.clamp(max=step))

    def compute(self) -> int | None:
        """Its number, or `None` so far."""
        step = int(self.step)
        return None if step == self.NEVER else step


def class_iou(matrix: Tensor) -> Tensor:
    """TP / (TP + FP + FN) per class, float64; NaN for a class that neither truth nor prediction has."""
    matrix = matrix.cpu().double()
    true_positive = matrix.diagonal()
    return true_positive / (matrix.sum(0) + matrix.sum(1) - true_positive)


def mean_iou(matrix: Tensor) -> float:
    """The mean over the classes that occur; NaN if none does."""
    return class_iou(matrix).nanmean().item()


def accuracy(matrix: Tensor) -> float:
    """Share of the pixels that are right; NaN without pixels."""
    matrix = matrix.cpu().double()
    return (matrix.trace() / matrix.sum()).item()


def class_scores(matrix: Tensor) -> dict[str, Tensor]:
    """Per class, float64: iou, dice, precision and recall, NaN where undefined; and pixels of the truth, int64."""
    matrix = matrix.cpu()
    counts = matrix.double()
    true_positive, predicted, truth = counts.diagonal(), counts.sum(0), counts.sum(1)
    return {
        "iou": class_iou(matrix),
        "dice": 2 * true_positive / (predicted + truth),
        "precision": true_positive / predicted,
        "recall": true_positive / truth,
        "pixels": matrix.sum(1),
    }


def summary(confusion: ConfusionMatrix) -> dict[str, Any]:
    """The scores of a whole split as plain numbers, but for the names of the classes."""
    matrix = confusion.compute().cpu()
    with confusion.sync_context():  # over all processes
        images, void_pixels = int(confusion.images), int(confusion.void_pixels)
    return {
        "images": images,
        "pixels": int(matrix.sum()),
        "void_pixels": void_pixels,
        "miou": mean_iou(matrix),
        "accuracy": accuracy(matrix),
    }
