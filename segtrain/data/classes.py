"""What the values in a mask mean: the class table."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from reprlib import repr as short
from typing import Any

import numpy as np

from ..errors import UserError
from ..text import INVISIBLE, UNPRINTABLE, enumerated, parse_yaml, refuse_bomb
from .color import Coding, Color, color_of, number_of, pack, unpack

UNLISTED = -1  # in the look-up tables: no class owns this value
AT_ONCE = 1 << 22  # distances that `_nearest` compares at a time
MAX_BYTES, MAX_DEPTH = 1_000_000, 10  # of a table, which may be a stranger's; lists and mappings in one another
MAX_CLASSES = 4096  # whose confusion matrix takes 128 MiB
MAX_NAME = 100
SETTINGS = "data.classes"  # the source of a table that was typed, or came with data=NAME
# Colours of classes without one. Each is the colour of a coarse grid that is farthest in CIELAB from white and from all
# before it: of the first 8, two are 69 apart at least, of the first 16, 44, and of all, 32.
APART: tuple[Color, ...] = (
    *((0, 0, 0), (0, 0, 255), (0, 255, 0), (255, 0, 0), (255, 64, 192), (192, 160, 0), (0, 128, 255), (0, 160, 96)),
    *((192, 96, 96), (0, 128, 160), (64, 0, 96), (0, 255, 255), (192, 255, 128), (96, 96, 32), (255, 0, 96)),
    *((255, 255, 0), (160, 128, 192), (192, 64, 255), (255, 128, 64), (0, 0, 160), (0, 255, 160), (96, 32, 64)),
    *((160, 0, 0), (192, 192, 128), (0, 160, 0), (0, 64, 128), (192, 128, 255), (96, 32, 0), (160, 160, 160)),
    *((0, 64, 32), (128, 192, 255), (160, 255, 192)),
)
VALUES = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?", re.ASCII)


@dataclass(frozen=True)
class ClassTable:
    """The classes of a data set, in the order of their indices.

    Attributes:
        colors: Colours (classes, 3) uint8, for pictures and for RGB masks.
        void: The index that stands for "no class" in the masks handed out; never a class's own.
        values: Mask value -> class index, or `void`.
        rgb: 24-bit colour -> class index, or `void`.
        other: How a value or colour that is not listed is met: an `error`, `ignore` (void), or as the `nearest` listed
            one, by squared distance (the first listed of equally near ones).
        coding: How masks of any kind are read: as `values`, as `colors`, or (`None`) as they are stored.
        spec: The content of the `classes.yaml` that says all this.
        source: Where that stands: a file, or the settings (`SETTINGS`).
    """

    names: tuple[str, ...]
    colors: np.ndarray
    void: int
    values: Mapping[int, int]
    rgb: Mapping[int, int]
    other: str = "error"
    coding: Coding = None
    spec: dict[str, Any] = field(default_factory=dict, compare=False)
    source: str = field(default="classes.yaml", compare=False)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def dtype(self) -> type[np.integer]:
        """Type of the masks handed out: uint8, or int16 where that is too small."""
        return np.uint8 if max(len(self), self.void) < 256 else np.int16

    @property
    def palette(self) -> np.ndarray:
        """(256, 3) uint8: each class's colour at its index, black elsewhere, so that void is black."""
        palette = np.zeros((256, 3), np.uint8)
        palette[: min(len(self), 256)] = self.colors[:256]
        return palette

    @property
    def by_position(self) -> dict[str, int]:
        """The classes that list no values, with the positions that stand for these, where other classes list theirs."""
        entries = self.spec.get("classes", ())
        bare = {entry["name"]: i for i, entry in enumerate(entries) if "values" not in entry}
        return bare if len(bare) < len(entries) else {}

    def encode(self, mask: np.ndarray) -> np.ndarray:
        """Class indices (H, W) of a mask as decoded: (H, W) integers, or (H, W, 3) colours. UserError names values or
        colours that no class owns, with their pixels."""
        if mask.ndim == 3:
            return self._look_up(pack(mask), self._rgb_table, colors=True)
        indices = self._translated(mask)
        if indices is None:
            refuse_numbers(mask)
            indices = self._look_up(mask, self._value_table, colors=False)
        return indices

    def _look_up(self, codes: np.ndarray, table: np.ndarray, *, colors: bool) -> np.ndarray:
        indices = table[codes]
        if indices.min(initial=0) == UNLISTED:
            unlisted = codes[indices == UNLISTED]
            if self.other != "nearest":
                self._refuse(unlisted, colors=colors)
            self._learn(np.unique(unlisted), colors=colors)
            indices = table[codes]
        return indices.astype(self.dtype)

    def _translated(self, mask: np.ndarray) -> np.ndarray | None:
        """The class indices of 8-bit values, the fastest way; `None` for other masks, and if values are not listed."""
        if not mask.dtype == self.dtype == np.uint8:
            return None
        translation, unlisted = self._bytes
        indices = bytearray(mask.tobytes().translate(translation))
        if unlisted is not None and unlisted in indices:
            return None
        return np.frombuffer(indices, np.uint8).reshape(mask.shape)

    @cached_property
    def _bytes(self) -> tuple[bytes, int | None]:
        """For masks of 8 bits: what `bytes.translate` takes, which is fastest, and what it makes of unlisted values."""
        owners = self._value_table[:256].copy()
        spare = next((index for index in range(256) if index not in owners), None)
        if spare is not None:  # else each value has a class of its own, and none is unlisted
            owners[owners == UNLISTED] = spare
        return owners.astype(np.uint8).tobytes(), spare

    def _learn(self, codes: np.ndarray, *, colors: bool) -> None:
        """Note in the look-up table who owns unlisted codes: the owner of the nearest listed one."""
        owners, table = self.values, self._value_table
        if colors:
            owners, table = self.rgb, self._rgb_table
        if not owners:
            self._refuse(codes, colors=colors)
        positions = _nearest(codes, np.array(list(owners)), colors=colors)
        table[codes] = np.array(list(owners.values()), np.int16)[positions]
        self.__dict__.pop("_bytes", None)

    @cached_property
    def _value_table(self) -> np.ndarray:
        return self._table(self.values, 1 << 16)

    @cached_property
    def _rgb_table(self) -> np.ndarray:
        return self._table(self.rgb, 1 << 24)

    def _table(self, owners: Mapping[int, int], size: int) -> np.ndarray:
        table = np.full(size, self.void if self.other == "ignore" else UNLISTED, np.int16)
        table[list(owners)] = list(owners.values())
        return table

    def _refuse(self, codes: np.ndarray, *, colors: bool) -> None:
        kind, key, write = ("colours", "colors", _color_text) if colors else ("values", "values", str)
        counts = Counter(codes.ravel().tolist()).most_common(5)
        shown = ", ".join(f"{write(code)} ({pixels} pixels)" for code, pixels in counts)
        listed = enumerated(self.names, 6)
        entry = f"{key}: [{write(counts[0][0])}]"
        raise UserError(f"{kind} {shown} belong to none of the {len(self)} classes ({listed}): {self.advice(entry)}")

    def advice(self, entry: str = "") -> str:
        """What to do about values or colours that are not listed, such as to write an `entry` for a class."""
        place = SETTINGS if self.source == SETTINGS else "classes.yaml"
        example = f" ({entry})" if entry else ""
        text = f"list them in {place}{example}, or set `other: ignore` (or `nearest`) there"
        if self.source == SETTINGS:
            text += "; if data=NAME was typed and these are other images, leave it out: data.root alone is enough"
        return text

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any], source: str = "classes") -> "ClassTable":
        """From the content of a `classes.yaml`; `source` is named in errors."""
        try:
            refuse_bomb(spec, MAX_DEPTH)
            return replace(_parse(spec), source=source)
        except UserError as error:
            raise UserError(f"{source}: {error}") from None

    @classmethod
    def from_file(cls, path: Path) -> "ClassTable":
        """From a `classes.yaml`; UserError for a file that is too large, no YAML, or no class table."""
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise UserError(f"{path}: a class table of more than {MAX_BYTES} bytes is not read")
        try:
            spec = parse_yaml(content, MAX_DEPTH)
        except UserError as error:
            raise UserError(f"{path}: not YAML of a class table: {error}") from None
        return cls.from_spec(spec, str(path))


def _parse(spec: Mapping[str, Any]) -> ClassTable:
    if not isinstance(spec, Mapping) or not isinstance(spec.get("classes"), list | tuple) or not spec["classes"]:
        raise UserError("expected `classes:` with a list of {name, color}")
    unknown = [key for key in spec if key not in ("ignore", "classes", "other", "masks")]
    if unknown:
        raise UserError(f"unknown entry {short(unknown[0])}: expected ignore, classes, other, masks")
    classes, other, masks = spec["classes"], spec.get("other", "error"), spec.get("masks")
    if other not in ("error", "ignore", "nearest"):
        raise UserError(f"other: {short(other)} is neither error, ignore nor nearest")
    if masks not in (None, "values", "colors"):
        raise UserError(f"masks: {short(masks)} is neither values nor colors")
    names = _names(classes)
    colors = [_color(entry.get("color", _default_color(i))) for i, entry in enumerate(classes)]
    ignored_values, ignored_colors = _ignored(spec.get("ignore"))
    void = max(255, len(names))
    for value in ignored_values:
        if len(names) <= value < 256:
            void = value
    values = dict.fromkeys(ignored_values, void)
    rgb = dict.fromkeys(map(number_of, ignored_colors), void)
    for i, entry in enumerate(classes):
        for value in _values(entry.get("values", [i])):
            why = "" if "values" in entry else ", which lists no values, and so means its position"
            _own(values, value, i, str(value), names, why)
        usual = [entry["color"]] if "color" in entry else []
        for color in map(_color, _listed("colors", entry.get("colors", usual))):
            _own(rgb, number_of(color), i, str(list(color)), names)
    return ClassTable(names, np.array(colors, np.uint8), void, values, rgb, other, masks, dict(spec))


def _ignored(entry: Any) -> tuple[list[int], list[Color]]:
    """The values and the colours that `ignore:` names: null, a value, a colour, or a list of colours."""
    if entry is None:
        return [], []
    if type(entry) is int and 0 <= entry < 1 << 16:
        return [entry], []
    if not isinstance(entry, list | tuple) or len(entry) == 0:
        raise UserError(f"ignore: {short(entry)} is neither null nor a mask value from 0 to 65535 nor a colour")
    colors = entry if isinstance(entry[0], list | tuple) else [entry]
    try:
        return [], [_color(color) for color in colors]
    except UserError:
        wanted = "neither null nor a mask value, a colour or a list of them"
        raise UserError(f"ignore: {short(entry)} is {wanted}") from None


def _names(classes: Sequence[Any]) -> tuple[str, ...]:
    """The names of the classes. They are printed, and are part of TensorBoard's tags and of tables."""
    if len(classes) > MAX_CLASSES:
        raise UserError(f"{len(classes)} classes are too many: up to {MAX_CLASSES} are possible")
    for i, entry in enumerate(classes):
        if not isinstance(entry, Mapping) or "name" not in entry or set(entry) - {"name", "color", "values", "colors"}:
            raise UserError(f"class {i}: {short(entry)} is not a mapping with name, and color, values or colors")
        name = entry["name"]
        if not isinstance(name, str):
            raise UserError(f"class {i}: the name {short(name)} is not a text: write it in quotes")
        if not name.strip() or len(name) > MAX_NAME or UNPRINTABLE.search(name):
            raise UserError(f"class {i}: the name {short(name)} is not 1 to {MAX_NAME} printable characters")
        if INVISIBLE.search(name):
            raise UserError(f"class {i}: the name {name!a} holds invisible characters: write it without them")
    names = tuple(entry["name"] for entry in classes)
    alike = Counter(unicodedata.normalize("NFC", name) for name in names)
    if len(alike) < len(names):
        raise UserError(f"the name {alike.most_common(1)[0][0]!r} stands twice")
    return names


def refuse_numbers(mask: np.ndarray) -> None:
    """Raises UserError for a mask of other than whole numbers of 16 bits."""
    if mask.dtype.kind not in "ui" or not 0 <= mask.min(initial=0) <= mask.max(initial=0) < 1 << 16:
        shown = f"{mask.min():g} to {mask.max():g}" if mask.size else "nothing"
        raise UserError(f"a mask of {mask.dtype}, {shown}: expected whole numbers from 0 to 65535")


def _own(owners: dict[int, int], key: int, index: int, text: str, names: Sequence[str], why: str = "") -> None:
    if key in owners:
        owner = dict(enumerate(names)).get(owners[key], "ignore")
        raise UserError(f"{text} belongs to both {owner!r} and {names[index]!r}{why}")
    owners[key] = index


def _values(entries: Any) -> Iterator[int]:
    """[1, "128-255"] -> 1, 128, 129, ..., 255"""
    for entry in _listed("values", entries):
        match = type(entry) in (int, str) and VALUES.fullmatch(str(entry))
        numbers = range(0)
        if match:
            numbers = range(int(match[1]), int(match[2] or match[1]) + 1)
        if not numbers or numbers.stop > 1 << 16:
            raise UserError(f"values: expected numbers or ranges such as '128-255' in 0 to 65535, not {short(entry)}")
        yield from numbers


def _listed(key: str, entries: Any) -> Sequence[Any]:
    if not isinstance(entries, list | tuple):
        raise UserError(f"{key}: {short(entries)} is not a list")
    return entries


def _color(color: Any) -> Color:
    numbers = isinstance(color, list | tuple) and len(color) == 3 and all(type(c) is int for c in color)
    if not numbers or not all(0 <= c <= 255 for c in color):
        raise UserError(f"color {short(color)} is not three numbers from 0 to 255")
    return color[0], color[1], color[2]


def _default_color(index: int) -> Color:
    """One of `APART`, and behind these the colour map of Pascal VOC: the bits of the index, dealt out to red, green and
    blue from the top, so that each index has a colour of its own, though some are much alike."""
    if index < len(APART):
        return APART[index]
    red = green = blue = 0
    for bit in range(8):
        red |= (index >> 3 * bit & 1) << 7 - bit
        green |= (index >> 3 * bit + 1 & 1) << 7 - bit
        blue |= (index >> 3 * bit + 2 & 1) << 7 - bit
    return red, green, blue


def _nearest(codes: np.ndarray, listed: np.ndarray, *, colors: bool) -> np.ndarray:
    """For each of `codes` the position in `listed` of the nearest, the first of equally near ones."""
    points, targets = (unpack(numbers) if colors else numbers[:, None] for numbers in (codes, listed))
    found = []
    step = max(1, AT_ONCE // len(listed))
    for start in range(0, len(points), step):
        distances = ((points[start : start + step, None] - targets) ** 2).sum(-1)
        found.append(distances.argmin(1))
    return np.concatenate(found)


def _color_text(code: int) -> str:
    """A colour as it is written in classes.yaml."""
    return str(list(color_of(code)))
