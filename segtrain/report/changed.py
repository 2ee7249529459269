"""What two networks make of the same image, side by side."""

import numpy as np

from ..data.classes import ClassTable
from .page import Row, drawing, photograph
from .pictures import colorize, displayable

BETTER, WORSE, NEITHER = (40, 200, 90), (255, 0, 0), (255, 190, 0)  # colours of pixels that the second has right alone


def changed_row(
    name: str,
    remark: str,
    image: np.ndarray,
    truth: np.ndarray,
    answers: tuple[np.ndarray, np.ndarray],
    classes: ClassTable,
) -> Row:
    """An image (C, H, W), its truth (H, W), what the first and the second network answer, and which is right."""
    photo = displayable(image).transpose(1, 2, 0)
    first, second = answers
    pictures = [
        ("image", photograph(photo)),
        ("truth", drawing(colorize(truth, classes))),
        ("first", drawing(colorize(first, classes))),
        ("second", drawing(colorize(second, classes))),
        (
            "second right alone (green), first alone (red), neither (yellow)",
            photograph(verdicts(photo, truth, answers, classes.void)),
        ),
    ]
    return Row(name, remark, pictures)


def verdicts(photo: np.ndarray, truth: np.ndarray, answers: tuple[np.ndarray, np.ndarray], void: int) -> np.ndarray:
    """(H, W, 3) uint8: where only one of two answers is right, or neither; dimmed where both are, and void black."""
    first, second = (answer == truth for answer in answers)
    picture = photo // 3
    picture[second & ~first] = BETTER
    picture[first & ~second] = WORSE
    picture[~first & ~second] = NEITHER
    picture[truth == void] = 0
    return picture
