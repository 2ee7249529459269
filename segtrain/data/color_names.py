"""What colours are called, and colours that are easily told apart."""

import colorsys
from collections.abc import Sequence
from typing import Any

from .class_files import Color

# degrees of the colour circle up to which a word goes
HUES = (12, "red"), (42, "orange"), (68, "yellow"), (160, "green"), (195, "cyan"), (255, "blue"), (290, "purple")
HUES += (335, "pink"), (360, "red")
PALETTE = ((230, 60, 60), (70, 130, 230), (250, 200, 50), (90, 200, 110), (190, 100, 220), (250, 140, 40))


def rgb_of(code: int) -> Color:
    return code >> 16, code >> 8 & 255, code & 255


def colour_words(codes: Sequence[int]) -> dict[int, str]:
    """Names for colours, black being the background. Of two of one word, one is dark; more are numbered."""
    words = {code: "background" if code == 0 else colour_word(rgb_of(code)) for code in codes}
    for word in set(words.values()):
        same = sorted((code for code in codes if words[code] == word), key=lambda code: -brightness(rgb_of(code)))
        if len(same) == 2 and word not in ("black", "white"):
            words[same[1]] = f"dark_{word}"
        elif len(same) > 1:
            words |= {code: f"{word}_{i}" for i, code in enumerate(same, 1)}
    return words


def brightness(color: Color) -> float:
    return 0.3 * color[0] + 0.6 * color[1] + 0.1 * color[2]


def colour_word(color: Color) -> str:
    """What a person would call it: (254, 221, 58) -> yellow"""
    hue, lightness, saturation = colorsys.rgb_to_hls(*(c / 255 for c in color))
    if lightness < 0.08:
        return "black"
    if lightness > 0.95:
        return "white"
    if saturation < 0.12:
        return "grey"
    word = next(word for end, word in HUES if hue * 360 <= end)
    return "brown" if lightness < 0.35 and word == "orange" else word


def fresh(word: str, taken: Any) -> str:
    """The word, with a number behind it if others have it."""
    names, n = set(taken), 2
    if word not in names:
        return word
    while f"{word}_{n}" in names:
        n += 1
    return f"{word}_{n}"


def joined(classes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Classes with names that are their own."""
    taken: list[str] = []
    for entry in classes:
        entry["name"] = fresh(entry["name"], taken)
        taken.append(entry["name"])
    return classes


def spare_color(index: int) -> Color:
    """Colours that are easily told apart; black first."""
    if index == 0:
        return 0, 0, 0
    if index <= len(PALETTE):
        return PALETTE[index - 1]
    red, green, blue = colorsys.hsv_to_rgb(index * 0.618 % 1, 0.45 + 0.4 * (index % 2), 0.95 - 0.3 * (index % 3 == 0))
    return round(255 * red), round(255 * green), round(255 * blue)
