"""Labels that a network contradicts: where it is sure of another class than the mask has, in one connected patch.

That a confident answer against a label is a sign of a wrong label is the idea of confident learning (Northcutt, Jiang
and Chuang, 2021, arXiv:1911.00068). Single pixels of that kind are everywhere along boundaries, so masks need some
measure of a whole image. Lad and Mueller, 2023, arXiv:2307.05080, take a soft minimum over its pixels. Here it is the
largest patch in which one class is taken for one other: an object with a wrong label, or without any, is a patch, and
an inaccurate outline is a thin one.
"""

import csv
import io
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..data.classes import ClassTable
from ..text import plain_cell
from .page import Look, Row, drawing, photograph
from .patches import largest_patch
from .pictures import colorize, displayable

SURE = 0.9  # the probability of another class, from which on a network contradicts a label
FEWEST = 16  # pixels of a patch that is looked at
THIN = 1  # pixels that are taken off a patch all around: outlines are drawn no better
MARGIN = 16  # pixels, at least, that are shown around a patch
COLUMNS = ("image", "labelled", "looks_like", "pixels", "share", "confidence", "left", "top", "right", "bottom")


class Problem(NamedTuple):
    """A patch of an image, labelled as one class, that looks like another."""

    image: str
    labelled: str
    looks_like: str
    pixels: int
    share: float  # of the labelled pixels of the image
    confidence: float  # mean probability of what it looks like
    box: tuple[int, int, int, int]  # left, top, right, bottom

    def line(self) -> str:
        patch = f"{self.pixels:,} pixels in one patch labelled {self.labelled}"
        return f"{patch} look like {self.looks_like} ({self.confidence:.2f})"


def problem_in(name: str, look: Look, classes: ClassTable) -> Problem | None:
    """The largest patch of an image whose label the network contradicts, if there is one of `FEWEST` pixels."""
    patch = largest_patch(contradicted(look, classes))
    if patch is None or patch.pixels < FEWEST:
        return None
    labelled, looks_like = divmod(patch.value, len(classes))
    left, top, right, bottom = patch.box
    return Problem(
        image=name,
        labelled=classes.names[labelled],
        looks_like=classes.names[looks_like],
        pixels=patch.pixels * look.step**2,
        share=patch.pixels / int((look.truth != classes.void).sum()),
        confidence=float(look.confidence[patch.where].mean()),
        box=(left * look.step, top * look.step, (right - 1) * look.step + 1, (bottom - 1) * look.step + 1),
    )


def contradicted(look: Look, classes: ClassTable) -> np.ndarray:
    """(H, W) int32: truth * classes + prediction where the network is sure of another class than the label's, all
    around too; elsewhere -1."""
    against = (look.truth != look.prediction) & (look.truth != classes.void) & (look.confidence >= SURE)
    pairs = np.where(against, look.truth.astype(np.int32) * len(classes) + look.prediction, np.int32(-1))
    inner = pairs.copy()
    for rows, columns in ((-THIN, 0), (THIN, 0), (0, -THIN), (0, THIN)):
        inner[moved(pairs, rows, columns) != pairs] = -1
    return inner


def moved(values: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """The map (H, W) moved by so many rows and columns; what comes in is what lies at the border."""
    height, width = values.shape
    padded = np.pad(values, THIN, mode="edge")
    return padded[THIN - rows : THIN - rows + height, THIN - columns : THIN - columns + width]


def problem_row(problem: Problem, look: Look, classes: ClassTable) -> Row:
    """The image with a frame around the patch, and what lies in that frame: image, label, prediction, the patch."""
    height, width = look.truth.shape
    box = [math.ceil(side / look.step) for side in problem.box]
    left, top, right, bottom = framed(box, height, width)
    image = displayable(look.image).transpose(1, 2, 0)
    frame = (slice(top, bottom), slice(left, right))
    doubt = image // 3
    doubt[contradicted(look, classes) >= 0] = (255, 0, 0)
    pictures = [
        ("image", photograph(outlined(image, (left, top, right, bottom)))),
        ("in the frame", photograph(image[frame])),
        ("label", drawing(colorize(look.truth[frame], classes))),
        ("prediction", drawing(colorize(look.prediction[frame], classes))),
        ("against the label (red)", photograph(doubt[frame])),
    ]
    return Row(problem.image, problem.line(), pictures)


def framed(box: Sequence[int], height: int, width: int) -> tuple[int, int, int, int]:
    """A box with room around it, half as wide as it is on each side, within the image."""
    left, top, right, bottom = box
    across, down = max(MARGIN, (right - left) // 2), max(MARGIN, (bottom - top) // 2)
    return max(0, left - across), max(0, top - down), min(width, right + across), min(height, bottom + down)


def outlined(image: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """The image (H, W, 3) with a red line along the inside of a box, wide enough to be seen when it is reduced."""
    left, top, right, bottom = box
    width = max(1, max(image.shape) // 150)
    inside = np.zeros(image.shape[:2], bool)
    inside[top:bottom, left:right] = True
    inside[top + width : bottom - width, left + width : right - width] = False
    picture = image.copy()
    picture[inside] = (255, 0, 0)
    return picture


def problems_csv(problems: Sequence[Problem]) -> str:
    """A row for each problem, the worst first."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for problem in problems:
        names = map(plain_cell, (problem.image, problem.labelled, problem.looks_like))
        numbers = (problem.pixels, f"{problem.share:.6f}", f"{problem.confidence:.4f}")
        writer.writerow([*names, *numbers, *problem.box])
    return text.getvalue()
