"""The confusion matrix as a picture that is drawn at once, for every validation; that of a report is matplotlib's."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from .pictures import most_confused, short_name

MOST = 24  # classes that are shown
CELL, TEXT, GAP = 28, 12, 8  # pixels: of a side, of letters, between things
BLUE = np.array([8, 48, 107])  # of a class of which all pixels are found
LEAST = 0.5  # % that a number is written for
BRIGHT = 55  # % from which on numbers are white


def confusion_chart(names: Sequence[str], matrix: Tensor, most: int = MOST) -> np.ndarray:
    """(H, W, 3) uint8: where the pixels of each class went, in % of the true ones; of many classes, the most confused.

    `matrix` (classes, classes) has the truth in rows.
    """
    matrix = matrix.cpu()
    shown = most_confused(matrix, most)
    shares = 100 * matrix[shown][:, shown].double() / matrix[shown].sum(1, keepdim=True).clamp(min=1)
    labels = [short_name(names[index]) for index in shown]
    title = "% of the true pixels; rows: truth, columns: prediction"
    if len(shown) < len(names):
        title += f"\nof {len(names)} classes, the {len(shown)} confused most"
    return np.asarray(chart(labels, shares.numpy(), title))


def chart(labels: Sequence[str], shares: np.ndarray, title: str) -> Image.Image:
    """The rows of a matrix (n, n) of per cent with their names on the left, those of its columns below them."""
    longest = max(round(length(label)) for label in labels)
    left, top = longest + 2 * GAP, (title.count("\n") + 1) * (TEXT + GAP) + GAP
    side = CELL * len(labels)
    widest = max(round(length(line)) for line in title.split("\n"))
    size = (max(left + side, widest + GAP) + GAP, top + side + longest + 2 * GAP)
    whole = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(whole)
    draw.multiline_text((GAP, GAP), title, fill="black", font_size=TEXT, spacing=GAP)
    for index, label in enumerate(labels):
        middle = CELL * index + CELL // 2
        draw.text((left - GAP, top + middle), label, fill="black", font_size=TEXT, anchor="rm")
        standing = written(label).rotate(90, expand=True)
        whole.paste(standing, (left + middle - standing.width // 2, top + side + GAP))
    for row, column in np.ndindex(shares.shape):
        paint(draw, (left + CELL * column, top + CELL * row), float(shares[row, column]))
    return whole


def paint(draw: ImageDraw.ImageDraw, corner: tuple[int, int], share: float) -> None:
    """A cell of the matrix: the more per cent, the darker."""
    x, y = corner
    color = tuple(int(value) for value in np.round(255 + (BLUE - 255) * share / 100))
    draw.rectangle((x, y, x + CELL - 1, y + CELL - 1), fill=color, outline=(225, 225, 225))
    if share >= LEAST:
        middle = (x + CELL // 2, y + CELL // 2)
        draw.text(middle, f"{share:.0f}", fill="white" if share > BRIGHT else "black", font_size=TEXT, anchor="mm")


def length(text: str) -> float:
    return ImageDraw.Draw(Image.new("RGB", (1, 1))).textlength(text, font_size=TEXT)


def written(text: str) -> Image.Image:
    """A line of text as a picture."""
    line = Image.new("RGB", (max(1, round(length(text))), TEXT + GAP), "white")
    ImageDraw.Draw(line).text((0, line.height // 2), text, fill="black", font_size=TEXT, anchor="lm")
    return line
