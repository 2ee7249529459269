"""Pictures of how far the probabilities of a network can be believed."""

import io
from collections.abc import Mapping
from typing import Any

from .page import data_uri

SIZE = 5.2, 3.2  # inches: on a phone, letters keep their size
CALIBRATION, COVERAGE = "probability and accuracy", "accuracy without the least sure pixels"


def diagrams(calibration: Mapping[str, Any]) -> dict[str, str]:
    """Heading -> picture, as a data URI, of what `metrics.json` has of calibration; none without pixels."""
    if calibration["ece"] is None:
        return {}
    return {CALIBRATION: reliability(calibration["bins"]), COVERAGE: coverage(calibration["coverage"])}


def reliability(bins: list[dict[str, Any]]) -> str:
    """The share of right pixels over the probability of their answer, beside what it ought to be."""
    figure, axes = drawing()
    pixels = sum(each["pixels"] for each in bins)
    filled = [each for each in bins if each["pixels"]]
    width = bins[0]["high"]
    axes.bar(
        [50 * (each["low"] + each["high"]) for each in filled],
        [100 * each["accuracy"] for each in filled],
        92 * width,
        color="#9bc",
        label="right",
    )
    shares = [100 * each["pixels"] / pixels for each in bins]
    axes.stairs(shares, [100 * width * edge for edge in range(len(bins) + 1)], color="#d80", label="pixels")
    axes.plot([0, 100], [0, 100], color="#222", linestyle="--", linewidth=1, label="as sure as right")
    axes.set(xlabel="probability of the answer, %", ylabel="%", xlim=(0, 100), ylim=(0, 105), title=CALIBRATION)
    axes.legend(loc="upper left")
    return svg(figure)


def coverage(points: list[dict[str, Any]]) -> str:
    """Accuracy over the share of the pixels that are left out."""
    figure, axes = drawing()
    axes.plot([100 * point["left_out"] for point in points], [100 * point["accuracy"] for point in points], marker=".")
    axes.set(xlabel="least sure pixels that are left out, %", ylabel="accuracy, %", title=COVERAGE)
    return svg(figure)


def drawing() -> tuple[Any, Any]:
    """An empty figure, and its axes."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG  # only now: it takes half a second
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE, layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.subplots()
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)
    return figure, axes


def svg(figure: Any) -> str:
    content = io.BytesIO()
    figure.savefig(content, format="svg")
    return data_uri(content.getvalue(), "image/svg+xml")
