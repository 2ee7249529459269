"""What a score says beyond IoU: at contours, by the size of objects, and how far its probabilities can be believed."""

import math
from typing import Any

from torch import Tensor

from ..metrics import Counts, boundary, calibration, sizes

LEFT_OUT = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)  # shares of the pixels, the least sure ones


def with_details(score: dict[str, Any], counts: Counts) -> dict[str, Any]:
    """The content of `metrics.json` with what is counted beside the confusion matrix."""
    near, inner = map(boundary.iou_of, counts.boundary)
    by_size = sizes.iou_of(counts.sizes)
    classes = {}
    for index, (name, values) in enumerate(score["classes"].items()):
        iou = {"boundary_iou": _defined(near[index]), "interior_iou": _defined(inner[index])}
        own = zip(sizes.SIZES, counts.sizes[index].tolist(), by_size[index], strict=True)
        classes[name] = {**values, **iou, "sizes": {size: _size(pixels, share) for size, pixels, share in own}}
    objects = counts.sizes[..., -1].sum(0).tolist()
    means = zip(sizes.SIZES, objects, by_size.T, strict=True)
    return {
        **score,
        "boundary": {"miou": _defined(near.nanmean()), "width": boundary.WIDTH},
        "interior": {"miou": _defined(inner.nanmean())},
        "sizes": {size: {"miou": _defined(iou.nanmean()), "objects": number} for size, number, iou in means},
        "size_limits": list(sizes.LIMITS),
        "calibration": calibrated(counts.confidence),
        "classes": classes,
    }


def _size(counts: list[int], iou: Tensor) -> dict[str, Any]:
    return {"iou": _defined(iou), **dict(zip(sizes.COUNTS, counts, strict=True))}


def calibrated(confidence: Tensor) -> dict[str, Any]:
    """What `ConfidenceCounts` has counted, as plain numbers."""
    bins = []
    for index, (pixels, right, mean) in enumerate(calibration.reliability(confidence).T):
        low, high = index / calibration.BINS, (index + 1) / calibration.BINS
        numbers = {"pixels": int(pixels), "accuracy": _defined(right), "confidence": _defined(mean)}
        bins.append({"low": low, "high": high, **numbers})
    coverage = []
    for share in LEFT_OUT:
        right, least = calibration.accuracy_without(confidence, share)
        coverage.append({"left_out": share, "accuracy": _defined(right), "confidence": _defined(least)})
    return {"ece": _defined(calibration.calibration_error(confidence)), "bins": bins, "coverage": coverage}


def _defined(value: Tensor | float) -> float | None:
    return None if math.isnan(value) else float(value)


def details_text(score: dict[str, Any]) -> str:
    """The same as lines of text, for below the table."""
    near, inner = score["boundary"]["miou"], score["interior"]["miou"]
    lines = [f"mIoU at contours {_share(near)}, away from them {_share(inner)}"]
    each = [f"{size} {_share(values['miou'])} ({values['objects']})" for size, values in score["sizes"].items()]
    lines.append(f"mIoU by the size of objects (how many): {', '.join(each)}")
    found = score["calibration"]
    if found["ece"] is not None:
        lines.append(f"probabilities are off by {_share(found['ece'])} (calibration error); {coverage_line(found)}")
    return "\n".join(lines)


def coverage_line(found: dict[str, Any]) -> str:
    """What leaving out a tenth of the pixels comes to, in words."""
    accuracy = {point["left_out"]: _share(point["accuracy"]) for point in found["coverage"]}
    return f"without the least sure tenth of the pixels, accuracy is {accuracy[0.1]} in place of {accuracy[0.0]}"


def _share(fraction: float | None) -> str:
    return "-" if fraction is None else f"{fraction:.4f}"
