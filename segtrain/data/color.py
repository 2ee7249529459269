"""Colours as 24-bit numbers, with red in the highest byte: what masks, class tables and class files compare."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

Color = tuple[int, int, int]  # red, green, blue
# How the numbers of a mask say its classes: by values (palette indices too), by colours, or (None) as they are stored.
Coding = Literal["values", "colors"] | None
GREY_STEP = 0x010101  # between the numbers of two neighbouring greys


def pack(colors: np.ndarray, dtype: type[np.integer] = np.intp) -> np.ndarray:
    """The numbers (...) of colours (..., 3) uint8. numpy indexes fastest by the default type."""
    numbers = colors[..., 0].astype(dtype)
    for channel in (1, 2):
        numbers <<= 8
        numbers |= colors[..., channel]
    return numbers


def unpack(numbers: np.ndarray) -> np.ndarray:
    """The colours (..., 3) int64 of numbers (...)."""
    return numbers[..., None].astype(np.int64) >> np.array([16, 8, 0]) & 255


def number_of(color: Sequence[int]) -> int:
    """(255, 0, 16) -> 0xFF0010"""
    red, green, blue = color
    return red << 16 | green << 8 | blue


def color_of(number: int) -> Color:
    """0xFF0010 -> (255, 0, 16)"""
    return number >> 16, number >> 8 & 255, number & 255


def hex_of(number: int) -> str:
    """0xFF0010 -> "#FF0010" """
    return f"#{number:06X}"
