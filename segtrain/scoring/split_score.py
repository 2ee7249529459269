"""What scoring a network on the images of a split gives."""

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor

from ..metrics import Counts
from ..report.page import Look
from ..report.per_image import PerImage


class SplitScore(NamedTuple):
    """A score, or the part of one that is over several splits."""

    result: dict[str, Any]  # as in `metrics.json`
    matrix: Tensor  # (classes, classes)
    images: PerImage
    counts: Counts  # of what the matrix does not say
    look: Callable[[int], Look]  # an image by its place among `images`, with what the network makes of it
    precision: str  # that was computed in
