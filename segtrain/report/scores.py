"""The score of a network: as numbers, as a table, and as files."""

import csv
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from .. import disk
from ..metrics import class_scores
from ..text import plain_cell
from .intervals import Interval, Intervals
from .per_image import PerImage, per_image_csv, per_image_npz
from .pictures import confusion_picture
from .screen import say

METRICS = "metrics.json"


def score(totals: dict[str, Any], matrix: Tensor, split: str, names: tuple[str, ...]) -> dict[str, Any]:
    """The content of `metrics.json`: fractions, `None` for what is undefined; `totals` as `metrics.summary` has it."""
    columns = class_scores(matrix)
    classes = {}
    for index, name in enumerate(names):
        classes[name] = {key: _defined(column[index].item()) for key, column in columns.items()}
    return {"split": split, **{k: _defined(v) for k, v in totals.items()}, "classes": classes}


def _defined(value: float) -> float | None:
    return None if isinstance(value, float) and math.isnan(value) else value


def with_intervals(score: dict[str, Any], found: Intervals) -> dict[str, Any]:
    """The content of `metrics.json` with the 95 % intervals of mean IoU and of each class, and what makes them too
    narrow."""
    classes = {}
    for (name, values), interval in zip(score["classes"].items(), found.classes, strict=True):
        classes[name] = {**values, "iou_interval": _both(interval)}
    return {
        **score,
        "miou_interval": _both(found.miou),
        "interval_of": found.drawn,
        "interval_doubts": found.doubts,
        "classes": classes,
    }


def _both(interval: Interval) -> list[float] | None:
    return None if math.isnan(interval.low) else list(interval)


def write_score(folder: Path, score: dict[str, Any], matrix: Tensor, images: PerImage) -> list[str]:
    """What a score has besides `metrics.json`, which is written when all else is there: the matrix (rows truth, columns
    prediction) as `confusion.csv`, those of all images, and `confusion.png`.

    Returns the names of the files. A picture that cannot be drawn costs no score: it is said, and left out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / METRICS).unlink(missing_ok=True)  # where it is, the score is complete
    names = list(score["classes"])
    disk.write(folder / "confusion.csv", matrix_csv(names, matrix))
    disk.write(folder / "per_image.csv", per_image_csv(images))
    disk.write(folder / "per_image.npz", per_image_npz(images))
    written = ["confusion.csv", "per_image.csv", "per_image.npz"]
    picture = folder / "confusion.png"
    picture.unlink(missing_ok=True)  # that of an earlier score would be taken for this one's
    try:
        disk.write(picture, confusion_picture(names, matrix))
    except Exception as error:  # whatever it is: the numbers are there
        say(f"{picture}: it could not be drawn ({type(error).__name__}: {error}); the numbers are in confusion.csv")
        return written
    return [*written, "confusion.png"]


def finish_score(folder: Path, score: dict[str, Any]) -> None:
    """`metrics.json`, the last file of a score, by which a training that goes on can tell that it was scored."""
    disk.write(folder / METRICS, json.dumps(score, indent=2, ensure_ascii=False) + "\n")


def matrix_csv(names: Sequence[str], matrix: Tensor) -> str:
    """Row by row: the numbers of thousands of classes, all at once, would fill the memory."""
    rows = io.StringIO(newline="")
    writer = csv.writer(rows)
    cells = [plain_cell(name) for name in names]
    writer.writerow(["truth \\ prediction", *cells])
    for cell, row in zip(cells, matrix, strict=True):
        writer.writerow([cell, *row.tolist()])
    return rows.getvalue()


def table(score: dict[str, Any]) -> str:
    """The scores as lines of text: one per class, then the mean."""
    columns = ("iou", "dice", "precision", "recall")
    width = max(10, *(len(name) for name in score["classes"]))
    lines = [f"{'class':{width}}  {'IoU':>9} {'Dice':>9} {'precision':>9} {'recall':>9} {'pixels':>12}"]
    for name, values in score["classes"].items():
        cells = " ".join(f"{_percent(values[column]):>9}" for column in columns)
        lines.append(f"{name:{width}}  {cells} {values['pixels']:>12,}")
    lines.append(f"{'mIoU':{width}}  {_percent(score['miou']):>9}   accuracy {_percent(score['accuracy'])}")
    if score.get("miou_interval"):
        low, high = map(_percent, score["miou_interval"])
        doubts = "; ".join(score["interval_doubts"])
        narrow = f" (too narrow: {doubts})" if doubts else ""
        lines.append(f"mIoU on other such images: {low} to {high} in 95 %{narrow}")
    return "\n".join(lines)


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{fraction:.4f}"


def final_scores(run: Path) -> dict[str, Any] | None:
    """What metrics.json of a run folder says of the held-out split; `None` where there is none."""
    for split in ("test", "val"):
        file = run / "evaluate" / split / METRICS
        if file.is_file():
            return json.loads(file.read_text(encoding="utf-8"))
    return None
