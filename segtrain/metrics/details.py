"""All that is counted of a score beyond its confusion matrix."""

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, NamedTuple

from torch import Tensor, nn

from .boundary import BoundaryCounts
from .calibration import ConfidenceCounts
from .sizes import SizeCounts

Add = Callable[[Callable[[], Any], Callable[[Future[Any]], None]], None]  # some work, and what takes its result


def at_once(work: Callable[[], Any], take: Callable[[Future[Any]], None]) -> None:
    """Do some work, and have its result taken."""
    done: Future[Any] = Future()
    done.set_result(work())
    take(done)


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

    def update(self, prediction: Tensor, mask: Tensor, add: Add = at_once) -> None:
        """Count maps (N, H, W) of whole images: the answer and the truth. How sure it is, `confidence` counts, of any
        part of them. `add` may do the work that is left to the CPU in threads, as `machine.threads.Behind.add`."""
        self.boundary.update(prediction, mask)
        for predicted, truth in zip(prediction, mask, strict=True):
            add(partial(self.sizes.of, predicted, truth), self._take_sizes)

    def _take_sizes(self, counted: Future[Any]) -> None:
        """Add what was counted, or end with the error of that."""
        self.sizes.update(counted.result())

    def compute(self) -> Counts:
        """Over all processes."""
        return Counts(self.boundary.compute().cpu(), self.sizes.compute().cpu(), self.confidence.compute().cpu())
