"""Predicted masks as pictures that other programs read: by class index, or in the data set's own values or colours."""

from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np
from PIL import Image

from ..data.classes import ClassTable

Encoding = Literal["index", "values", "colors"]
ENCODINGS = get_args(Encoding)
DEEPEST = (1 << 16) - 1  # the largest number of a picture of 16 bits
STRIKING = (0x000000, 0xFFFFFF, 0xFF00FF, 0x00FFFF)  # colours for void, of which the first is taken that no class has


def encoded(mask: np.ndarray, classes: ClassTable, encoding: Encoding) -> Image.Image:
    """The picture of a mask (H, W) of class indices, with `void` for no class."""
    if encoding == "colors":
        return Image.fromarray(colors_of(classes)[mask])
    if encoding == "values":
        values = values_of(classes)
        return Image.fromarray(values.astype(np.uint8 if values.max() < 256 else np.uint16)[mask])
    if len(classes) > 256 or mask.max(initial=0) > 255:
        return Image.fromarray(mask.astype(np.uint16))
    image = Image.fromarray(mask.astype(np.uint8))
    image.putpalette(classes.palette.tobytes())
    return image


def void_number(classes: ClassTable, encoding: Encoding) -> int | None:
    """The number that void has in such a picture; `None` for colours."""
    if encoding == "colors":
        return None
    return classes.void if encoding == "index" else int(values_of(classes)[classes.void])


def values_of(classes: ClassTable) -> np.ndarray:
    """(void + 1,) int64: the value of each class in the masks of the data set, the first one where it has several.

    Void has the value that is ignored there; where none is, the largest of 8 bits, or of 16, that no class has.
    """
    numbers = firsts(classes.values)
    table = np.zeros(classes.void + 1, np.int64)
    table[list(numbers)] = list(numbers.values())
    if classes.void not in numbers:
        table[classes.void] = next(value for value in (255, *range(DEEPEST, 0, -1)) if value not in classes.values)
    return table


def colors_of(classes: ClassTable) -> np.ndarray:
    """(void + 1, 3) uint8: the colour of each class in the masks of the data set, or else the one that it is shown in.

    Void has the colour that is ignored there; where none is, black, or a striking one if a class is black.
    """
    numbers = firsts(classes.rgb)
    table = np.zeros((classes.void + 1, 3), np.uint8)
    table[: len(classes)] = classes.colors
    if classes.void not in numbers:
        taken = {int(red) << 16 | int(green) << 8 | int(blue) for red, green, blue in classes.colors} | set(classes.rgb)
        numbers[classes.void] = next((color for color in STRIKING if color not in taken), 0)
    for index, number in numbers.items():
        table[index] = number >> 16, number >> 8 & 255, number & 255
    return table


def firsts(owners: Mapping[int, int]) -> dict[int, int]:
    """Class index -> the first of its values or colours."""
    found: dict[int, int] = {}
    for number, owner in owners.items():
        found.setdefault(owner, number)
    return found
