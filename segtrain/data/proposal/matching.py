"""Which entries of a class file the values or colours of masks belong to."""

from collections.abc import Mapping, Sequence

from ...text import enumerated
from ..color import Color, hex_of, number_of
from .class_files import Listed

VOID_VALUES = (255, 65535)  # beside class indices
VOID_NAMES = {"void", "ignore", "ignored", "dontcare", "don't care"}
Owners = Mapping[int, Listed]  # value, or 24-bit colour -> entry
MOST = 12  # entries, values or colours that a sentence names


def by_color(listed: Sequence[Listed]) -> dict[int, Listed]:
    """24-bit colour -> entry."""
    return {number_of(entry.color): entry for entry in listed if entry.color is not None}


def by_value(values: Sequence[int], palette: Mapping[int, Color], listed: Sequence[Listed]) -> dict[int, Listed]:
    """Value -> entry: as the entries say, else by the colours of the palette, by greys, by position."""
    owners: dict[int, Listed] = {}
    for entry in listed:
        owners.update(dict.fromkeys(entry.values or (), entry))
    if owners:
        return owners
    entries = by_color(listed)
    greys = {value: (value, value, value) for value in values if value < 256}
    for colors in (palette, greys):
        codes = {value: number_of(color) for value, color in colors.items()}
        owners = {value: entries[code] for value, code in codes.items() if code in entries}
        if len(owners) > max(1, len(values) // 2):
            return owners
    indices = set(values).difference(VOID_VALUES)
    return dict(enumerate(listed)) if indices and max(indices) < len(listed) else {}


def differences(listed: Sequence[Listed], owners: Owners, pixels: Mapping[int, int], *, colors: bool) -> list[str]:
    """Sentences on entries of which no mask has a pixel, and on values, or 24-bit `colors`, that have no entry."""
    notes = []
    what = "colours" if colors else "values"
    present = [owners[code] for code in pixels if code in owners]
    absent = [label(entry, colors) for entry in listed if entry not in present]
    if absent:
        notes.append(f"Of the class file's {what}, these never occur in the masks: {enumerated(absent, MOST)}.")
    unlisted = []
    for code, number in sorted(pixels.items(), key=lambda item: -item[1]):
        if code not in owners:
            share = 100 * number / sum(pixels.values())
            unlisted.append(f"{hex_of(code) if colors else code} ({number} pixels, {share:.2f} %)")
    if unlisted:
        notes.append(f"These {what} occur, and the class file does not list them: {enumerated(unlisted, MOST)}.")
    return notes


def label(entry: Listed, colors: bool) -> str:
    return f"{entry.name} {hex_of(number_of(entry.color))}" if colors and entry.color else entry.name


def is_void(name: str) -> bool:
    """Whether a name says "no class"; `__ignore__` is labelme's."""
    return name.strip(" _").lower() in VOID_NAMES
