"""What is counted over a whole split, in exact sums over batches and processes, and the scores that follow."""

from .confusion import (
    ConfusionMatrix,
    ImageMatrices,
    accuracy,
    class_iou,
    class_scores,
    constant_answers,
    count_pairs,
    mean_iou,
    most_likely,
    summary,
)
from .details import Counts, Details
from .loss import FirstNotFinite, MeanLoss

__all__ = [
    "ConfusionMatrix",
    "Counts",
    "Details",
    "FirstNotFinite",
    "ImageMatrices",
    "MeanLoss",
    "accuracy",
    "class_iou",
    "class_scores",
    "constant_answers",
    "count_pairs",
    "mean_iou",
    "most_likely",
    "summary",
]
