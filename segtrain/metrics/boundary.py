"""IoU at the contours of classes, and away from them.

Boundary IoU is that of Cheng et al. 2021 (https://arxiv.org/abs/2103.16562): of a class, only the pixels near the
contour of its own region count, in the truth and in the prediction alike. As in the code of its authors, near is a
square around a pixel that reaches 2 % of the image's diagonal, and the border of the image is a contour too. Void,
which they do not have, is none: what lies beneath is not known.

Away from contours are the pixels that are near none in the truth, of any class; of these, IoU is what it always is.
Those near a predicted contour stay, since a wrong prediction has one wherever it is wrong.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import pad
from torchmetrics import Metric

from .confusion import count_pairs

WIDTH = 0.02  # of the image's diagonal
AT_ONCE = 1 << 22  # pixels that are looked at at a time, or rows in which squares lie that reach to both sides


class BoundaryCounts(Metric):
    """Counts the pixels of each class at contours and away from them, in int64, exact over batches and processes.

    Args:
        num_classes: number of classes, the same in truth and prediction.
        void: mask value of the pixels that are left out.
    """

    full_state_update = False
    counts: Tensor

    def __init__(self, num_classes: int, void: int) -> None:
        super().__init__()
        self.num_classes, self.void = num_classes, void
        counts = torch.zeros(2, 3, num_classes, dtype=torch.int64)
        self.add_state("counts", default=counts, dist_reduce_fx="sum")

    def update(self, prediction: Tensor, mask: Tensor) -> None:
        """Count maps of classes (N, H, W)."""
        for predicted, truth in zip(prediction, mask, strict=True):
            self.counts += boundary_counts(predicted, truth, self.num_classes, self.void)

    def compute(self) -> Tensor:
        """As `boundary_counts`, of all images together."""
        return self.counts


def boundary_counts(prediction: Tensor, mask: Tensor, num_classes: int, void: int) -> Tensor:
    """Pixels (2, 3, classes) int64 of maps of classes (H, W): at contours and away from them; of each class in both
    maps, in the truth, and in the prediction.

    At contours, each map has the pixels near its own. Away from them are the pixels that are near no true one.
    """
    height, width = mask.shape
    reach = reach_of(height, width)
    rows = max(AT_ONCE // width, 2 * reach)
    counts = torch.zeros(2, 3, num_classes, dtype=torch.int64, device=mask.device)
    for top in range(0, height, rows):
        first = max(0, top - reach)
        seen, counted = slice(first, top + rows + reach), slice(top - first, top - first + rows)
        counts += counts_of_rows(prediction[seen], mask[seen], counted, reach, num_classes, void)
    return counts


def counts_of_rows(prediction: Tensor, mask: Tensor, counted: slice, reach: int, num_classes: int, void: int) -> Tensor:
    """The same of some rows in a part of an image, in which the squares around them lie as far as the image goes."""
    known = mask != void
    kind = torch.uint8 if num_classes <= 256 else torch.int16
    halves = []  # of class c: 2c, and 2c + 1 near a contour; void, which is near none, becomes 2 * void
    for classes in (prediction, mask):
        near = near_contour(classes.to(kind), known, reach)
        halves.append((2 * classes.int() + near)[counted])
    pairs, _ = count_pairs(halves[0], halves[1], 2 * num_classes, 2 * void)
    return counts_of_halves(pairs.view(num_classes, 2, num_classes, 2))


def counts_of_halves(pairs: Tensor) -> Tensor:
    """The counts (2, 3, classes) by pixels (classes, 2, classes, 2): the true class, whether near a contour of it, and
    the same of the prediction."""
    both = pairs.diagonal(dim1=0, dim2=2)  # (2, 2, classes)
    truth, predicted = pairs.sum((2, 3)), pairs.sum(0)  # (classes, 2), (2, classes, 2)
    near = [both[1, 1], truth[:, 1], predicted[..., 1].sum(0)]
    away = [both[0].sum(0), truth[:, 0], predicted[0].sum(1)]
    return torch.stack([torch.stack(near), torch.stack(away)])


def reach_of(height: int, width: int) -> int:
    """How many pixels from a contour are near it."""
    return max(1, round(WIDTH * math.hypot(height, width)))


def near_contour(classes: Tensor, known: Tensor, reach: int) -> Tensor:
    """(H, W) bool: the pixels of classes (H, W) in whose square, which reaches so many pixels to each side, there is
    another class or the border of the image. Pixels that are not `known` are near none, and have no class.

    The highest and the lowest class in the square tell it for all classes at once.
    """
    most = torch.iinfo(classes.dtype).max
    top = highest(classes * known, reach, most)  # 0 is above none
    bottom = most - highest((most - classes) * known, reach, most)
    return (top != bottom) & known


def highest(numbers: Tensor, reach: int, outside: int) -> Tensor:
    """(H, W): the highest of the numbers (H, W) in the square around each, beyond the border of which they are
    `outside`. One axis after the other, in spans that double: the time hardly grows with the reach."""
    for axis, border in ((0, (0, 0, reach, reach)), (1, (reach, reach))):
        numbers = pad(numbers, border, value=outside)
        span = 1
        while 2 * span <= 2 * reach + 1:
            numbers = higher_of_two(numbers, span, axis)
            span *= 2
        numbers = higher_of_two(numbers, 2 * reach + 1 - span, axis)
    return numbers


def higher_of_two(numbers: Tensor, apart: int, axis: int) -> Tensor:
    """The higher one of each number and the one that stands so far behind it."""
    left = numbers.shape[axis] - apart
    return torch.maximum(numbers.narrow(axis, 0, left), numbers.narrow(axis, apart, left))


def iou_of(counts: Tensor) -> Tensor:
    """IoU (classes,) float64 of pixels (3, classes) in both maps, the truth and the prediction; NaN where in none."""
    both, truth, predicted = counts.cpu().double()
    return both / (truth + predicted - both)
