"""What colours are called, and colours that are easily told apart."""

import colorsys
from collections import defaultdict
from collections.abc import Iterable, Sequence

from ..color import Color, color_of

# degrees of the colour circle up to which a word goes
HUES = {12: "red", 42: "orange", 68: "yellow", 160: "green", 195: "cyan", 255: "blue", 290: "purple", 335: "pink"}
PALETTE = ((0, 0, 0), (230, 60, 60), (70, 130, 230), (250, 200, 50), (90, 200, 110), (190, 100, 220), (250, 140, 40))


def colour_words(codes: Sequence[int]) -> dict[int, str]:
    """Names for colours, black being the background. Of two of one word, one is dark; more are numbered."""
    groups: dict[str, list[int]] = defaultdict(list)  # from bright to dark
    for code in sorted(codes, key=lambda code: -brightness(color_of(code))):
        groups[colour_word(color_of(code)) if code else "background"].append(code)
    names = {}
    for word, same in groups.items():
        for number, code in enumerate(same, 1):
            names[code] = f"{word}_{number}" if len(same) > 1 else word
        if len(same) == 2 and word not in ("black", "white"):
            names |= {same[0]: word, same[1]: f"dark_{word}"}
    return names


def in_one_channel(codes: Iterable[int]) -> dict[int, int]:
    """Colour -> its number in the only channel that is not 0 in all of them; nothing if there are more, or none."""
    codes = set(codes)
    for shift in (16, 8, 0):
        if codes != {0} and all(code == code & 255 << shift for code in codes):
            return {code: code >> shift for code in codes}
    return {}


def channel_numbers(codes: Sequence[int]) -> dict[int, int]:
    """Colour -> number, where the colours are class numbers in one channel; else nothing."""
    numbers = in_one_channel(codes)
    return numbers if max(numbers.values(), default=0) < max(2 * len(numbers), 40) else {}


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
    word = next((word for end, word in HUES.items() if hue * 360 <= end), "red")
    return "brown" if lightness < 0.35 and word == "orange" else word


def spare_color(index: int) -> Color:
    """Colours that are easily told apart, the first hundreds of them; black first."""
    if index < len(PALETTE):
        return PALETTE[index]
    if index > 400:  # the circle of hues is used up
        return color_of(index * 0x9E3779 & 0xFFFFFF)  # the factor is odd: no colour comes twice
    red, green, blue = colorsys.hsv_to_rgb(index * 0.618 % 1, 0.45 + 0.4 * (index % 2), 0.95 - 0.3 * (index % 3 == 0))
    return round(255 * red), round(255 * green), round(255 * blue)
