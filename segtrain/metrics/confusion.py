"""The confusion matrix over a whole split, and the scores that follow from it."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.distributed import gather_all_tensors

AT_ONCE = 1 << 22  # pixels that are counted at a time, since their numbers take eight bytes each


class ConfusionMatrix(Metric):
    """Counts pixels by (truth, prediction) in int64, exact for any number of pixels, batches and processes.

    Args:
        num_classes: number of classes, the same in truth and prediction.
        void: mask value of the pixels that are left out.
    """

    full_state_update = False
    matrix: Tensor
    void_pixels: Tensor
    images: Tensor
    broken: Tensor

    def __init__(self, num_classes: int, void: int) -> None:
        super().__init__()
        self.num_classes, self.void = num_classes, void
        matrix = torch.zeros(num_classes, num_classes, dtype=torch.int64)
        self.add_state("matrix", default=matrix, dist_reduce_fx="sum")
        for name in ("void_pixels", "images", "broken"):
            self.add_state(name, default=torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, prediction: Tensor, mask: Tensor) -> None:
        """Count maps of classes (N, H, W), predicted and true."""
        self.count(prediction, mask)

    def count(self, prediction: Tensor, mask: Tensor) -> Tensor:
        """Count maps of classes (N, H, W), and return the pixels of each cell of their matrix, then of void."""
        matrix, void_pixels = count_pairs(prediction, mask, self.num_classes, self.void)
        self.matrix += matrix
        self.void_pixels += void_pixels
        self.images += len(mask)
        return torch.cat([matrix.flatten(), void_pixels[None]])

    def note_broken(self, logits: Tensor) -> None:
        """Look whether logits are finite: their mean is only if all are. The answer stays on the device, so that
        nothing waits for it."""
        self.broken += ~logits.mean().isfinite()

    def compute(self) -> Tensor:
        """The matrix (classes, classes), int64: a row per true class, a column per predicted one.

        Raises:
            ValueError: if any logits were not finite, since their argmax means nothing.
        """
        if self.broken:
            raise ValueError(
                f"the network's output was not finite (NaN or infinite) in {int(self.broken)} batches: "
                "lower optimizer.lr, or set trainer.precision=32-true"
            )
        return self.matrix


class ImageMatrices(ConfusionMatrix):
    """A confusion matrix that keeps that of every image too, without its zeros.

    Attributes:
        cells: Of the images of this process, (n, 3) int64 in pieces: the key of an image, a cell of its matrix (row by
            row, then one for void), and the pixels in it. It is no state of the metric: lists that are empty in one
            process, which may have no image, are not gathered there, and the others would wait for it.
    """

    def __init__(self, num_classes: int, void: int) -> None:
        super().__init__(num_classes, void)
        self.cells: list[Tensor] = []

    def reset(self) -> None:
        super().reset()
        self.cells = []

    def update(self, prediction: Tensor, mask: Tensor, keys: Tensor) -> None:
        """Count maps of classes (N, H, W), predicted and true, of images with these keys (N,)."""
        for key, predicted, truth in zip(keys, prediction, mask, strict=True):
            pixels = self.count(predicted[None], truth[None])
            cells = pixels.nonzero()
            self.cells.append(torch.cat([key.to(cells).expand(len(cells), 1), cells, pixels[cells]], 1))

    def all_cells(self) -> Tensor:
        """The cells (n, 3) of all images over all processes, sorted by key and cell, on the CPU."""
        cells = torch.cat([torch.zeros(0, 3, dtype=torch.int64, device=self.device), *self.cells])
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            cells = torch.cat(gather_all_tensors(cells))
        cells = cells.cpu()
        order = (cells[:, 0] * (self.num_classes**2 + 1) + cells[:, 1]).argsort()
        return cells[order]


def most_likely(logits: Tensor, dim: int = 1) -> Tensor:
    """The most likely class, int64; of equal ones the first. On a CPU, `argmax` takes up to ten times as long."""
    return logits.max(dim).indices


def count_pairs(prediction: Tensor, mask: Tensor, num_classes: int, void: int) -> tuple[Tensor, Tensor]:
    """(pixels by truth and prediction (classes, classes), number of void pixels), int64, of two maps of classes of the
    same shape."""
    counts = torch.zeros(num_classes**2 + 1, dtype=torch.int64, device=prediction.device)
    one = torch.ones((), dtype=torch.int64, device=prediction.device)
    parts = (classes.flatten().split(AT_ONCE) for classes in (prediction, mask))
    for predicted, truth in zip(*parts, strict=True):
        pairs = predicted.int().add(truth, alpha=num_classes).add_(1)
        pairs *= truth != void  # a bin for void, the first one, is cheaper than selecting the rest
        counts.scatter_add_(0, pairs.long(), one.expand(len(pairs)))  # on a GPU, bincount would wait for it
    return counts[1:].view(num_classes, num_classes), counts[0]


def class_iou(matrix: Tensor) -> Tensor:
    """TP / (TP + FP + FN) per class, float64; NaN for a class that neither truth nor prediction has."""
    matrix = matrix.cpu().double()
    true_positive = matrix.diagonal()
    return true_positive / (matrix.sum(0) + matrix.sum(1) - true_positive)


def mean_iou(matrix: Tensor) -> float:
    """Mean IoU over the classes that occur in truth or prediction; NaN if none does."""
    return class_iou(matrix).nanmean().item()


def constant_answers(matrix: Tensor) -> Tensor:
    """The mean IoU (classes,) of each class as the answer everywhere: its share of the true pixels is its own IoU."""
    truth = matrix.cpu().double().sum(1)
    return truth / truth.sum() / (truth > 0).sum()


def accuracy(matrix: Tensor) -> float:
    """Share of the pixels whose class is predicted correctly; NaN without pixels."""
    matrix = matrix.cpu().double()
    return (matrix.trace() / matrix.sum()).item()


def class_scores(matrix: Tensor) -> dict[str, Tensor]:
    """Scores of each class, float64 and NaN where undefined, and `pixels`, the number of its true pixels, int64."""
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
    """The scores of a whole split, over all processes, as plain numbers."""
    matrix = confusion.compute().cpu()
    with confusion.sync_context():  # outside of compute(), the counts are those of this process
        images, void_pixels = int(confusion.images), int(confusion.void_pixels)
    return {
        "images": images,
        "pixels": int(matrix.sum()),
        "void_pixels": void_pixels,
        "miou": mean_iou(matrix),
        "accuracy": accuracy(matrix),
    }
