"""The IoU of every class in the course of a training, as one picture."""

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..data.classes import ClassTable
from .pictures import short_name

MOST_LINES = 20  # that can be told apart by their colours; more classes are rows of a map
MOST_ROWS, LOWEST = 30, 15  # half of them the lowest, the others from all the rest
WIDTH, PLOT, LINE, DPI = 5.4, 2.6, 0.19, 100  # inches: of the picture, of the height of lines' axes, of a name


def class_curves(steps: Sequence[int], iou: np.ndarray, classes: ClassTable) -> np.ndarray:
    """(H, W, 3) uint8: the IoU (validations, classes) after these steps; NaN where a class did not occur.

    Each class is a line in its colour, named beside it in the order of the last scores. Of more classes than lines can
    show, the lowest and some others are the rows of a map.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # only now: it takes half a second
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    order = by_last_score(iou)
    as_map = len(order) > MOST_LINES
    shown = rows_of_map(order) if as_map else order[::-1]
    below = 0.6 if as_map else 0.6 + 0.85 * LINE * math.ceil(len(shown) / 2)
    height = 0.4 + below + (LINE * len(shown) if as_map else PLOT)
    figure = Figure(figsize=(WIDTH, height), dpi=DPI)
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots()
    names = [f"{last_score(iou[:, index]):.2f}  {short_name(classes.names[index])}" for index in shown]
    colors = [classes.colors[index] / 255 for index in shown]
    if as_map:
        draw_map(axes, steps, iou[:, shown], names, colors)
    else:
        draw_lines(axes, steps, iou[:, shown], names, colors)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_title(title(len(shown), len(classes), as_map), fontsize=9, loc="left", x=-0.5 if as_map else 0)
    axes.set_xlabel("step", fontsize=9)
    axes.tick_params(axis="x", labelsize=8)
    figure.subplots_adjust(left=0.36 if as_map else 0.09, right=0.94 if as_map else 0.97)
    figure.subplots_adjust(top=1 - 0.4 / height, bottom=below / height)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # it draws a box
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def title(shown: int, classes: int, as_map: bool) -> str:
    """What the picture shows, and what it leaves out."""
    if not as_map:
        return "IoU of each class on the validation images"
    if shown < MOST_ROWS:
        return "IoU on the validation images, lowest first"
    return f"IoU on the validation images: the {LOWEST} lowest of {classes} classes, {shown - LOWEST} others"


def rows_of_map(order: Sequence[int]) -> list[int]:
    """Of many classes, from the lowest to the highest, the lowest ones, and some that are spread over the others."""
    if len(order) <= MOST_ROWS:
        return list(order)
    others = order[LOWEST:]
    places = np.linspace(0, len(others) - 1, MOST_ROWS - LOWEST).round().astype(int)
    return [*order[:LOWEST], *(others[place] for place in places)]


def by_last_score(iou: np.ndarray) -> list[int]:
    """The classes that ever had a score, from the lowest last one to the highest."""
    last = np.array([last_score(line) for line in iou.T])
    return [int(index) for index in np.argsort(last, kind="stable") if not np.isnan(last[index])]


def last_score(line: np.ndarray) -> float:
    """The last of the scores of a class that is defined; NaN if none is."""
    defined = line[~np.isnan(line)]
    return float(defined[-1]) if len(defined) else float("nan")


def draw_lines(
    axes: Any, steps: Sequence[int], iou: np.ndarray, names: Sequence[str], colors: Sequence[np.ndarray]
) -> None:
    """A line for each class over grey, on which white and black are seen too."""
    axes.set_facecolor("#d9d9d9")
    for line, name, color in zip(iou.T, names, colors, strict=True):
        axes.plot(steps, line, color=color, linewidth=1.5, marker=".", markersize=5, label=name)
    axes.set_ylim(-0.02, 1.02)
    axes.tick_params(axis="y", labelsize=8)
    axes.grid(color="white", linewidth=0.6)
    if names:
        place = {"loc": "upper left", "bbox_to_anchor": (0, -0.42 / PLOT), "borderaxespad": 0, "ncols": 2}
        legend = axes.legend(
            fontsize=8, facecolor="#d9d9d9", columnspacing=1.2, labelspacing=0.35, handlelength=1.2, **place
        )
        for text in legend.get_texts():
            text.set_parse_math(False)  # a $ in a name is a $


def draw_map(
    axes: Any, steps: Sequence[int], iou: np.ndarray, names: Sequence[str], colors: Sequence[np.ndarray]
) -> None:
    """A row for each class, the brighter the higher its IoU, with a square in its colour beside the name."""
    picture = axes.imshow(iou.T, aspect="auto", vmin=0, vmax=1, interpolation="nearest", cmap="viridis")
    rows = np.arange(len(names))
    axes.set_yticks(rows, names, fontsize=7, parse_math=False)
    axes.tick_params(axis="y", length=0, pad=12)
    squares = {"marker": "s", "s": 26, "c": colors, "edgecolors": "grey", "linewidths": 0.5, "clip_on": False}
    axes.scatter(np.full(len(names), -0.02), rows, transform=axes.get_yaxis_transform(), **squares)
    columns = np.unique(np.linspace(0, len(steps) - 1, 5).round().astype(int))
    axes.set_xticks(columns, [str(steps[column]) for column in columns])
    bar = axes.figure.colorbar(picture, ax=axes, fraction=0.05, pad=0.03)
    bar.ax.tick_params(labelsize=8)
