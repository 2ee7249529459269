"""What a class table makes of the numbers that were counted in a mask."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ..classes import ClassTable
from ..color import GREY_STEP, Coding, color_of
from ..files.masks import GREY_ENOUGH
from .facts import MaskFacts


class Tally(NamedTuple):
    """The pixels of a mask: of each class by its index, void, of values or colours that no class owns, uncounted."""

    classes: dict[int, int]
    void: int
    unowned: dict[int, int]
    rest: int


def grey_level(code: int) -> int | None:
    """The value of a 24-bit colour that is grey, or nearly; as Pillow's `convert("L")` rounds it."""
    red, green, blue = color_of(code)
    if max(red, green, blue) - min(red, green, blue) > GREY_ENOUGH:
        return None
    return (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16


def in_coding(facts: MaskFacts, coding: Coding) -> tuple[dict[int, int], dict[int, int]]:
    """Pixels and solid pixels by the numbers that a table sees which reads all masks in `coding`.

    Colours that are no values, since they are no grey, are left out.
    """
    if coding == "values" and facts.channels >= 3:
        levels = {code: grey_level(code) for code in facts.counts}
        numbers = {code: level for code, level in levels.items() if level is not None}
    elif coding == "colors" and facts.colours:
        numbers = dict(facts.colours)
    elif coding == "colors" and facts.channels < 3:
        step = 255 // (2**facts.bits - 1) if facts.bits in (1, 2, 4) else 1  # black to white, as in pictures
        numbers = {value: min(value * step, 255) * GREY_STEP for value in facts.counts}
    else:
        numbers = {code: code for code in facts.counts}
    pixels, solid = Counter[int](), Counter[int]()
    for code, meant in numbers.items():
        pixels[meant] += facts.counts.get(code, 0)
        solid[meant] += facts.solid.get(code, 0)
    return pixels, solid


def shows_colours(facts: MaskFacts, coding: Coding) -> bool:
    """Whether the numbers that a table sees in a mask, which reads all masks in `coding`, are colours."""
    return coding == "colors" or (coding is None and facts.channels >= 3)


def tally(facts: MaskFacts, table: ClassTable) -> Tally:
    """What the table makes of a mask."""
    colours = shows_colours(facts, table.coding)
    owners = table.rgb if colours else table.values
    pixels, _ = in_coding(facts, table.coding)
    classes, unowned = Counter[int](), Counter[int]()
    for code, n in pixels.items():
        owner = owners.get(code, -1)
        if owner < 0 and table.other != "error":
            owner = encoded(code, table, colours)
        if owner < 0:
            unowned[code] += n
        else:
            classes[owner] += n
    void = classes.pop(table.void, 0)
    rest = facts.rest + sum(facts.counts.values()) - sum(pixels.values())
    return Tally(dict(classes), void, dict(unowned), rest)


def class_pixels(masks: Iterable[MaskFacts], table: ClassTable) -> Counter[int]:
    """The pixels that masks have of each class, by its index."""
    pixels = Counter[int]()
    for facts in masks:
        pixels.update(tally(facts, table).classes)
    return pixels


def encoded(code: int, table: ClassTable, colours: bool) -> int:
    """The class index that the table gives to a single pixel of this value or colour."""
    pixel = np.array([[color_of(code)]], np.uint8) if colours else np.array([[code]], np.uint16)
    return int(table.encode(pixel)[0, 0])
