"""What people are shown: lines, tables, pictures, and the files of a score."""

import csv
import io
import json
import logging
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from torch import Tensor

from . import disk
from .data.classes import ClassTable
from .metrics import class_scores

CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")  # which a terminal would obey, but for line ends


class Screen(Console):
    """Where lines are printed. When what they are piped into has ended, the work goes on without them."""

    def on_broken_pipe(self) -> None:
        self.quiet = True


console = Screen(highlight=False, soft_wrap=True)
_log = logging.getLogger("segtrain")
_log.propagate = False
_log.setLevel(logging.INFO)
_log.addHandler(logging.NullHandler())


def say(text: str) -> None:
    """Print `text` on the screen, above a progress bar if there is one, and into the run's log."""
    text = CONTROL.sub("?", text)
    try:
        console.print(text, markup=False)
    except OSError:  # the terminal was closed, or what we were piped into has ended: the work goes on
        console.quiet = True
    _log.info(text)


def be_quiet() -> None:
    """Say nothing from now on: another process does."""
    console.quiet = True
    _log.disabled = True


@contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Inside, what is said is also appended to this file, with the time."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.handleError = lambda record: None  # type: ignore[method-assign]  # a full disk is no reason to end
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    _log.addHandler(handler)
    try:
        yield
    finally:
        _log.removeHandler(handler)
        handler.close()


def score(totals: dict[str, Any], matrix: Tensor, split: str, names: tuple[str, ...]) -> dict[str, Any]:
    """The content of `metrics.json`: fractions, `None` for what is undefined; `totals` as `metrics.summary` has it."""
    columns = class_scores(matrix)
    classes = {name: {key: _plain(column[i]) for key, column in columns.items()} for i, name in enumerate(names)}
    return {"split": split, **{k: _defined(v) for k, v in totals.items()}, "classes": classes}


def _plain(value: Tensor) -> float | int | None:
    return _defined(value.item())


def _defined(value: float) -> float | None:
    return None if isinstance(value, float) and math.isnan(value) else value


def write_score(folder: Path, score: dict[str, Any], matrix: Tensor) -> None:
    """The matrix (rows truth, columns prediction) as `confusion.csv` and `confusion.png`; then `metrics.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = io.StringIO(newline="")
    writer = csv.writer(rows)
    writer.writerow(["truth \\ prediction", *score["classes"]])
    writer.writerows([name, *row] for name, row in zip(score["classes"], matrix.tolist(), strict=True))
    disk.write(folder / "confusion.csv", rows.getvalue())
    disk.write(folder / "confusion.png", confusion_picture(list(score["classes"]), matrix))
    disk.write(folder / "metrics.json", json.dumps(score, indent=2, ensure_ascii=False) + "\n")


def confusion_picture(names: Sequence[str], matrix: Tensor) -> bytes:
    """A PNG: where the pixels of each class went: every row is shared out to 100 %."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # only now: it takes half a second
    from matplotlib.figure import Figure

    shares = 100 * matrix.cpu().double() / matrix.cpu().sum(1, keepdim=True).clamp(min=1)
    size = 3 + 0.45 * len(names)
    figure = Figure(figsize=(size, size), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=100)
    ticks = range(len(names))
    axes.set_xticks(ticks, names, rotation=90)
    axes.set_yticks(ticks, names)
    axes.set(xlabel="prediction", ylabel="truth", title="% of the true pixels")
    if len(names) <= 40:  # more would not be readable
        for row in ticks:
            for column in ticks:
                share = float(shares[row, column])
                color = "white" if share > 60 else "black"
                axes.text(column, row, f"{share:.0f}", ha="center", va="center", color=color, fontsize=8)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    return picture.getvalue()


def table(score: dict[str, Any]) -> str:
    """The scores as lines of text: one per class, then the mean."""
    columns = ("iou", "dice", "precision", "recall")
    width = max(10, *(len(name) for name in score["classes"]))
    lines = [f"{'class':{width}}  {'IoU':>9} {'Dice':>9} {'precision':>9} {'recall':>9} {'pixels':>12}"]
    for name, values in score["classes"].items():
        cells = " ".join(f"{_percent(values[column]):>9}" for column in columns)
        lines.append(f"{name:{width}}  {cells} {values['pixels']:>12,}")
    lines.append(f"{'mIoU':{width}}  {_percent(score['miou']):>9}   accuracy {_percent(score['accuracy'])}")
    return "\n".join(lines)


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{fraction:.4f}"


def colorize(mask: np.ndarray, classes: ClassTable) -> np.ndarray:
    """(H, W, 3) uint8: each class in its colour, void black."""
    return classes.palette[np.minimum(mask, 255)] if mask.dtype != np.uint8 else classes.palette[mask]


def overlay(image: np.ndarray, mask: np.ndarray, classes: ClassTable, opacity: float = 0.5) -> np.ndarray:
    """(H, W, 3) uint8: the class colours laid over the image (3, H, W)."""
    picture = image.transpose(1, 2, 0).astype(np.float32)
    return ((1 - opacity) * picture + opacity * colorize(mask, classes)).round().astype(np.uint8)


def mosaic(rows: Sequence[Sequence[np.ndarray]], classes: ClassTable, gap: int = 4) -> np.ndarray:
    """(H, W, 3) uint8: a row for each (image (3, h, w), truth (h, w), prediction (h, w)), and a fourth picture.

    The fourth is the error: wrong pixels red, right ones dimmed, void black.
    """
    strips = []
    for image, truth, prediction in rows:
        picture = image.transpose(1, 2, 0)
        error = picture // 3
        error[(truth != prediction) & (truth != classes.void)] = (255, 0, 0)
        error[truth == classes.void] = 0
        pictures = (picture, colorize(truth, classes), colorize(prediction, classes), error)
        strips.append(np.hstack([np.pad(p, ((0, gap), (0, gap), (0, 0)), constant_values=255) for p in pictures]))
    width = max(strip.shape[1] for strip in strips)
    return np.vstack([np.pad(s, ((0, 0), (0, width - s.shape[1]), (0, 0)), constant_values=255) for s in strips])
