"""All that is counted of a score beyond its confusion matrix."""

from typing import NamedTuple

from torch import Tensor, nn

from .boundary import BoundaryCounts
from .calibration import ConfidenceCounts
from .sizes import SizeCounts


class Counts(NamedTuple):
    """What the metrics of `Details` have counted, int64 on the CPU."""

    boundary: Tensor  # (2, 3, classes)
    sizes: Tensor  # (classes, sizes, counts)
    confidence: Tensor  # (3, bins)

    def plus(self, others: "Counts") -> "Counts":
        """Those of two splits together."""
        return Counts(*(one + other for one, other in zip(self, others, strict=True)))


class Details(nn.Module):
    """Counts at contours, by the size of objects, and by how sure the answers are.

    Args:
        num_classes: number of classes, the same in truth and prediction.
        void: mask value of the pixels that are left out.
    """

    def __init__(self, num_classes: int, void: int) -> None:
        super().__init__()
        self.boundary = BoundaryCounts(num_classes, void)
        self.sizes = SizeCounts(num_classes, void)
        self.confidence = ConfidenceCounts(void)

    def reset(self) -> None:
        for metric in (self.boundary, self.sizes, self.confidence):
            metric.reset()

    def update(self, prediction: Tensor, mask: Tensor) -> None:
        """Count maps (N, H, W) of whole images: the answer and the truth. How sure it is, `confidence` counts, of any
        part of them."""
        self.boundary.update(prediction, mask)
        for predicted, truth in zip(prediction, mask, strict=True):
            self.sizes.update(self.sizes.of(predicted, truth))

    def compute(self) -> Counts:
        """Over all processes."""
        return Counts(self.boundary.compute().cpu(), self.sizes.compute().cpu(), self.confidence.compute().cpu())
