"""What the values in a mask mean: the class table."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml

UNLISTED = -1  # in the look-up tables: no class owns this value
KEYS = {"name", "color", "values", "colors"}


@dataclass(frozen=True)
class ClassTable:
    """The classes of a data set, in the order of their indices.

    Attributes:
        names: of the classes.
        colors: (classes, 3) uint8, for pictures and for RGB masks.
        void: the index that stands for "no class" in the masks handed out; never a class's own.
        values: mask value -> class index, or `void`.
        rgb: 24-bit colour -> class index, or `void`.
        other_is_void: whether an unlisted value or colour is void, rather than an error.
    """

    names: tuple[str, ...]
    colors: np.ndarray
    void: int
    values: Mapping[int, int]
    rgb: Mapping[int, int]
    other_is_void: bool = False
    spec: dict[str, Any] = field(default_factory=dict, compare=False)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def dtype(self) -> type[np.integer]:
        """Of the masks handed out: uint8, or int16 where that is too small."""
        return np.uint8 if max(len(self), self.void) < 256 else np.int16

    @property
    def palette(self) -> np.ndarray:
        """(256, 3) uint8: each class's colour at its index, black elsewhere, so that void is black."""
        palette = np.zeros((256, 3), np.uint8)
        palette[: min(len(self), 256)] = self.colors[:256]
        return palette

    def encode(self, mask: np.ndarray) -> np.ndarray:
        """Class indices (H, W) of a mask as decoded: (H, W) integers, or (H, W, 3) colours.

        Raises:
            ValueError: naming values or colours that no class owns, with their pixels.
        """
        if mask.ndim == 3:
            mask = mask.astype(np.uint32)
            codes, table = mask[..., 0] << 16 | mask[..., 1] << 8 | mask[..., 2], self._rgb_table
        else:
            if mask.dtype.kind not in "ui" or mask.max(initial=0) >= 1 << 16:
                raise ValueError(f"a mask of {mask.dtype} up to {mask.max()}: expected whole numbers from 0 to 65535")
            codes, table = mask, self._value_table
        indices = table[codes]
        if indices.min(initial=0) == UNLISTED:
            self._refuse(codes[indices == UNLISTED], colors=mask.ndim == 3)
        return indices.astype(self.dtype)

    @cached_property
    def _value_table(self) -> np.ndarray:
        return self._table(self.values, 1 << 16)

    @cached_property
    def _rgb_table(self) -> np.ndarray:
        return self._table(self.rgb, 1 << 24)

    def _table(self, owners: Mapping[int, int], size: int) -> np.ndarray:
        table = np.full(size, self.void if self.other_is_void else UNLISTED, np.int16)
        table[list(owners)] = list(owners.values())
        return table

    def _refuse(self, codes: np.ndarray, *, colors: bool) -> None:
        counts = Counter(codes.ravel().tolist()).most_common(5)
        shown = ", ".join(f"{_rgb_text(code) if colors else code} ({n} pixels)" for code, n in counts)
        kind = "colours" if colors else "values"
        listed = ", ".join(self.names[:6]) + (", ..." if len(self) > 6 else "")
        raise ValueError(
            f"{kind} {shown} belong to none of the {len(self)} classes ({listed}): "
            "list them in classes.yaml, or set `other: ignore` there"
        )

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any], source: str = "classes") -> "ClassTable":
        """From the content of a `classes.yaml`; `source` is named in errors."""
        try:
            return _parse(spec)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{source}: {error}") from None

    @classmethod
    def from_file(cls, path: Path) -> "ClassTable":
        try:
            spec = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
        return cls.from_spec(spec, str(path))


def _parse(spec: Mapping[str, Any]) -> ClassTable:
    if not isinstance(spec, Mapping) or not spec.get("classes"):
        raise ValueError("expected `classes:` with a list of {name, color}")
    unknown = set(spec) - {"ignore", "classes", "other"}
    if unknown:
        raise ValueError(f"unknown entry {sorted(unknown)[0]!r}: expected ignore, classes, other")
    classes, ignore, other = spec["classes"], spec.get("ignore"), spec.get("other", "error")
    if other not in ("error", "ignore"):
        raise ValueError(f"other: {other!r} is neither error nor ignore")
    for i, entry in enumerate(classes):
        if not isinstance(entry, Mapping) or "name" not in entry or set(entry) - KEYS:
            raise ValueError(f"class {i}: {entry!r} is not a mapping with name, and color, values or colors")
    names = tuple(str(entry["name"]) for entry in classes)
    if len(set(names)) < len(names):
        raise ValueError(f"the name {Counter(names).most_common(1)[0][0]!r} stands twice")
    colors = [_color(entry["color"]) if "color" in entry else _default_color(i) for i, entry in enumerate(classes)]
    if ignore is not None and (type(ignore) is not int or not 0 <= ignore < 1 << 16):
        raise ValueError(f"ignore: {ignore!r} is neither null nor a mask value from 0 to 65535")
    void = ignore if ignore is not None and len(names) <= ignore < 256 else max(255, len(names))
    values: dict[int, int] = {} if ignore is None else {ignore: void}
    rgb: dict[int, int] = {}
    for i, entry in enumerate(classes):
        for value in _values(entry.get("values", [i])):
            _own(values, value, i, str(value), names)
        for color in map(_color, entry.get("colors", [entry["color"]] if "color" in entry else [])):
            _own(rgb, color[0] << 16 | color[1] << 8 | color[2], i, str(list(color)), names)
    return ClassTable(names, np.array(colors, np.uint8), void, values, rgb, other == "ignore", dict(spec))


def _own(owners: dict[int, int], key: int, index: int, text: str, names: Sequence[str]) -> None:
    if key in owners:
        owner = names[owners[key]] if owners[key] < len(names) else "ignore"
        raise ValueError(f"{text} belongs to both {owner!r} and {names[index]!r}")
    owners[key] = index


def _values(entries: Sequence[int | str]) -> list[int]:
    """[1, "128-255"] -> 1, 128, 129, ..., 255"""
    values: list[int] = []
    for entry in entries:
        first, _, last = str(entry).partition("-")
        values.extend(range(int(first), int(last or first) + 1))
    if not values or min(values) < 0 or max(values) >= 1 << 16:
        raise ValueError(f"values {list(entries)!r}: expected numbers or ranges such as '128-255' within 0 to 65535")
    return values


def _color(color: Sequence[int]) -> tuple[int, int, int]:
    if len(color) != 3 or not all(isinstance(c, int) and 0 <= c <= 255 for c in color):
        raise ValueError(f"color {color!r} is not three numbers from 0 to 255")
    return color[0], color[1], color[2]


def _default_color(index: int) -> tuple[int, int, int]:
    """Pascal VOC's colour map: the bits of the index, dealt out to red, green and blue from the top."""
    red = green = blue = 0
    for bit in range(8):
        red |= (index >> 3 * bit & 1) << 7 - bit
        green |= (index >> 3 * bit + 1 & 1) << 7 - bit
        blue |= (index >> 3 * bit + 2 & 1) << 7 - bit
    return red, green, blue


def _rgb_text(code: int) -> str:
    return f"[{code >> 16}, {code >> 8 & 255}, {code & 255}]"
