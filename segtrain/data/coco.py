"""Masks painted from the polygons and run lengths in a JSON file, as COCO has them (https://cocodataset.org/#format-data).

A pixel belongs to a polygon if its centre does, by the even-odd rule; the rings of one object are united.
"""

import json
import posixpath
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from ..errors import UserError
from .images import MAX_PIXELS, displayed_size
from .pairing import Placed, folders_of, stem_of
from .reading import Reading, in_order, unique_names
from .source import Pair
from .tree import Tree
from .words import read, split_named

MAX_BYTES = 1_000_000_000  # of a JSON file; that of COCO's 118,000 training images has 450 million
MAX_CROSSINGS = 50_000_000  # of the rows of an image with the edges of one polygon
MAX_COORDINATE = 1e7
NOTHING = "background"

Order = Literal["area", "file"]


class Thing(NamedTuple):
    """An object: its value in the mask, its rings of x, y pairs (float32) or its run lengths, or what stands there."""

    value: int
    shape: Any


class CocoMask:
    """The mask of an image, which is painted when it is read: 0 where there is no object, else its category's value.

    Attributes:
        path: the JSON file.
        name: that file and the image, which tells the masks of one file apart.
        order: in which objects are painted over one another: `area`, the largest first, so that small ones stay
            visible, or as in the `file`.
    """

    def __init__(self, path: Path, image: Path, claimed: tuple[int, int] | None, things: Sequence[Thing]) -> None:
        self.path, self.image, self.claimed, self.things = path, image, claimed, things
        self.order: Order = "area"
        self.max_pixels = MAX_PIXELS

    @property
    def name(self) -> str:
        return f"{self.path}: {self.image.name}"

    def __str__(self) -> str:
        return self.name

    def size(self) -> tuple[int, int]:
        """(height, width) by the JSON file, or of the image where that does not say it."""
        return self.claimed or displayed_size(self.image, self.max_pixels)

    def read(self) -> np.ndarray:
        """(H, W) uint8, or uint16 for more than 255 values.

        Raises:
            UserError: for objects that are no polygons or run lengths of this image, and for too many pixels.
        """
        height, width = displayed_size(self.image, self.max_pixels)  # what the JSON file claims may take all memory
        if self.size() != (height, width):
            raise UserError(f"{self.name}: {self.size()} (height, width), but the image is {(height, width)}")
        mask = np.zeros(
            (height, width), np.uint8 if max((t.value for t in self.things), default=0) < 256 else np.uint16
        )
        try:
            for thing in sorted(self.things, key=lambda t: -area(t.shape)) if self.order == "area" else self.things:
                paint(mask, thing)
        except (ValueError, TypeError, OverflowError) as error:
            raise UserError(f"{self.name}: {error}") from None
        return mask


def set_order(reading: Reading, order: Order) -> None:
    for pair in reading.pairs:
        if isinstance(pair.mask, CocoMask):
            pair.mask.order = order


# --- shapes -----------------------------------------------------------------------------------------------------------


def paint(mask: np.ndarray, thing: Thing) -> None:
    """One object, in place."""
    if isinstance(thing.shape, Mapping):
        mask[decode(thing.shape, mask.shape)] = thing.value
    elif isinstance(thing.shape, list) and thing.shape and all(isinstance(ring, np.ndarray) for ring in thing.shape):
        for ring in thing.shape:
            fill(mask, ring, thing.value)
    else:
        raise UserError(f"an object without polygon or run lengths ({str(thing.shape)[:40]})")


def fill(mask: np.ndarray, ring: np.ndarray, value: int) -> None:
    """Sets the pixels whose centres lie in the polygon (points, 2) of x and y.

    Where an edge crosses a row of centres, inside and outside change places from the next centre on.
    """
    if not np.isfinite(ring).all() or np.abs(ring).max(initial=0) > MAX_COORDINATE:
        raise UserError(f"a polygon with coordinates that are no numbers up to {MAX_COORDINATE:.0f}")
    height, width = mask.shape
    x0, y0 = ring.astype(np.float64).T
    x1, y1 = np.roll(x0, -1), np.roll(y0, -1)
    first = np.ceil(np.minimum(y0, y1) - 0.5).clip(0, height).astype(np.int64)
    last = np.ceil(np.maximum(y0, y1) - 0.5).clip(0, height).astype(np.int64)  # excluded
    crossed = last - first
    if crossed.sum() > MAX_CROSSINGS:
        raise UserError(f"a polygon whose edges cross {crossed.sum()} rows, more than {MAX_CROSSINGS}")
    if not crossed.any():
        return
    edge = np.repeat(np.arange(len(ring)), crossed)
    row = first[edge] + np.arange(len(edge)) - (np.cumsum(crossed) - crossed)[edge]
    x = x0[edge] + (row + 0.5 - y0[edge]) * (x1 - x0)[edge] / (y1 - y0)[edge]
    column = np.ceil(x - 0.5).clip(0, width).astype(np.int64)
    top, left = row.min(), column.min()
    box = mask[top : row.max() + 1, left : column.max()]
    flips = np.zeros((box.shape[0], box.shape[1] + 1), bool)
    np.logical_xor.at(flips, (row - top, column - left), True)
    box[np.logical_xor.accumulate(flips, axis=1)[:, :-1]] = value


def decode(shape: Mapping[str, Any], size: tuple[int, ...]) -> np.ndarray:
    """(H, W) bool from run lengths {size: [H, W], counts}: down the columns, by turns outside and inside."""
    if list(shape.get("size", ())) != list(size):
        raise UserError(f"run lengths of an image of {str(shape.get('size'))[:40]}, expected {list(size)}")
    counts = shape.get("counts")
    counts = list(unpacked(counts)) if isinstance(counts, str) else counts
    pixels = size[0] * size[1]
    if not isinstance(counts, list) or not all(type(count) is int and 0 <= count <= pixels for count in counts):
        raise UserError("run lengths that are no list of whole numbers")
    if sum(counts) != pixels:
        raise UserError(f"run lengths of {sum(counts)} pixels, expected {pixels}")
    inside = np.arange(len(counts)) % 2 == 1
    return np.repeat(inside, counts).reshape(size[1], size[0]).T


def unpacked(text: str) -> Iterator[int]:
    """Run lengths from COCO's text: groups of 5 bits, lowest first, as signed differences to the last but one."""
    before: list[int] = []
    number = bits = 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64 or bits > 30:
            raise UserError("run lengths in a text that is not COCO's")
        number |= (code & 31) << bits
        bits += 5
        if code & 32:
            continue
        if code & 16:
            number -= 1 << bits
        number += before[-2] if len(before) > 2 else 0
        before = [*before[-2:], number]
        yield number
        number = bits = 0
    if bits:
        raise UserError("run lengths in a text that is cut off")


def area(shape: Any) -> float:
    """About the pixels of an object, for the order of painting."""
    if isinstance(shape, Mapping):
        counts = shape.get("counts")
        counts = list(unpacked(counts)) if isinstance(counts, str) else counts
        return sum(counts[1::2]) if isinstance(counts, list) and all(type(c) is int for c in counts) else 0
    rings = [ring for ring in shape if np.isfinite(ring).all()] if isinstance(shape, list) else []
    total = 0.0
    for x, y in (ring.astype(np.float64).T for ring in rings):
        total += abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2
    return total


# --- files ------------------------------------------------------------------------------------------------------------


def readings(tree: Tree) -> list[Reading]:
    """One reading of all JSON files of a kind, which is their name without the split."""
    kinds: dict[str, list[str]] = defaultdict(list)
    for path in tree.with_suffix(".json"):
        if holds_objects(tree.path(path)):
            kinds["_".join(word for word in read(stem_of(path)).rest if not word.isdigit())].append(path)
    found = [reading for kind, paths in sorted(kinds.items()) if (reading := from_files(tree, paths)).pairs]
    return [each._replace(layout=f"coco_json:{i}") if i else each for i, each in enumerate(found)]


def holds_objects(path: Path) -> bool:
    """Whether the words of COCO's format stand in a file; it is searched piece by piece, and not parsed."""
    wanted = {b'"images"', b'"annotations"', b'"segmentation"'}
    if not path.is_file() or path.stat().st_size > MAX_BYTES:
        return False
    with path.open("rb") as file:
        before = b""
        while wanted and (piece := file.read(1 << 22)):
            wanted = {word for word in wanted if word not in before + piece}
            before = piece[-16:]
    return not wanted


def from_files(tree: Tree, paths: Sequence[str]) -> Reading:
    """The images of all files, in the splits that these or their folders are named after, with one table of classes."""
    names: dict[str, int] = {}
    splits: dict[str, list[tuple[Placed, CocoMask]]] = defaultdict(list)
    missing: list[Path] = []
    for path in paths:
        content = parsed(tree.path(path))
        values = categories(content, names)
        things = objects(content, values, path)
        split = split_of_file(path)
        for entry in content["images"]:
            image = located(tree, path, entry, split)
            if image is None:
                missing.append(tree.path(posixpath.join(posixpath.dirname(path), str(entry.get("file_name"))[:200])))
                continue
            mask = CocoMask(
                tree.path(path), tree.path(image), claimed(entry), things.get(hashable(entry.get("id")), ())
            )
            parts = tuple(part for part in tree.parts(image) if not read(part).role and not split_named(part))
            splits[split].append((Placed(image, split, parts, ""), mask))
    classes = [{"name": name} for name in (background(names), *names)]
    return Reading("coco_json", in_order(named(tree, splits)), missing, [], {"classes": classes})


def painted(tree: Tree, reading: Reading) -> Reading:
    """The reading of a list whose masks are JSON files, with the masks that these hold for its images."""
    paths = {pair.mask for pair in reading.pairs if isinstance(pair.mask, Path) and pair.mask.suffix.lower() == ".json"}
    if not paths:
        return reading
    found = from_files(tree, sorted(path.relative_to(tree.root).as_posix() for path in paths))
    masks: dict[tuple[Any, Path], CocoMask] = {
        (pair.mask.path, pair.image): pair.mask for pair in found.pairs if isinstance(pair.mask, CocoMask)
    }
    lacking = [pair.image for pair in reading.pairs if pair.mask in paths and (pair.mask, pair.image) not in masks]
    splits = {
        split: [
            pair._replace(mask=masks.get((pair.mask, pair.image), pair.mask))
            for pair in pairs
            if pair.image not in lacking
        ]
        for split, pairs in reading.splits.items()
    }
    return reading._replace(splits=splits, images=reading.images + lacking, classes=found.classes)


def named(tree: Tree, splits: Mapping[str, Sequence[tuple[Placed, CocoMask]]]) -> dict[str, list[Pair]]:
    found = {}
    for split, both in splits.items():
        names = unique_names([placed for placed, _ in both])
        found[split] = [
            Pair(name, tree.path(placed.path), mask) for name, (placed, mask) in zip(names, both, strict=True)
        ]
    return found


def parsed(path: Path) -> dict[str, Any]:
    """The content of a JSON file with the lists that it must have.

    Raises:
        UserError: for what is none, or nested too deeply.
    """
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: damaged JSON: {str(error)[:100]}") from None
    for key in ("images", "annotations", "categories"):
        entries = content.get(key) if isinstance(content, dict) else None
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise UserError(f"{path}: no COCO annotations: expected a list {key!r} of mappings")
    return content


def categories(content: Mapping[str, Any], names: dict[str, int]) -> dict[Any, int]:
    """Id of a category -> value in the masks, from 1; categories of one name are one. New ones are added to `names`."""
    values = {}
    for entry in sorted(content["categories"], key=lambda e: e["id"] if type(e.get("id")) is int else 0):
        name = str(entry.get("name", entry.get("id")))
        values[hashable(entry.get("id"))] = names.setdefault(name, len(names) + 1)
    return values


def background(names: Iterable[str]) -> str:
    return NOTHING if NOTHING not in names else "no object"


def hashable(value: Any) -> Any:
    return value if isinstance(value, int | str) else str(value)


def objects(content: Mapping[str, Any], values: Mapping[Any, int], path: str) -> dict[Any, list[Thing]]:
    """Id of an image -> its objects.

    Raises:
        UserError: for an object of a category that is not listed.
    """
    found: dict[Any, list[Thing]] = defaultdict(list)
    for entry in content["annotations"]:
        value = values.get(hashable(entry.get("category_id")))
        if value is None:
            raise UserError(
                f"{path}: an annotation has the category {str(entry.get('category_id'))[:40]}, which is not listed"
            )
        found[hashable(entry.get("image_id"))].append(Thing(value, compact(entry.get("segmentation"))))
    return found


def compact(shape: Any) -> Any:
    """Polygons as arrays, which take a tenth of the memory of lists; what is none is refused when it is painted."""
    if not isinstance(shape, list):
        return shape
    try:
        return [np.array(ring, np.float32).reshape(-1, 2) for ring in shape]
    except (ValueError, TypeError, OverflowError):
        return None


def claimed(entry: Mapping[str, Any]) -> tuple[int, int] | None:
    """(height, width) as the JSON file says."""
    height, width = entry.get("height"), entry.get("width")
    return (height, width) if type(height) is int and type(width) is int and min(height, width) > 0 else None


def split_of_file(path: str) -> str:
    """instances_train2017.json, or train/_annotations.coco.json"""
    found = read(stem_of(path)).split
    return found or next((split for part in reversed(folders_of(path)) if (split := split_named(part))), "")


def located(tree: Tree, path: str, entry: Mapping[str, Any], split: str) -> str | None:
    """The image of an entry: beside the JSON file, or the one in the tree whose path ends like it."""
    name = entry.get("file_name")
    if not isinstance(name, str) or not name:
        return None
    if exact := tree.find(name, posixpath.dirname(path)):
        return exact
    name = posixpath.normpath(name.replace("\\", "/"))
    found = [p for p in by_file(tree).get(posixpath.basename(name), ()) if f"/{p}".endswith(f"/{name}")]
    if len(found) > 1:
        found = [p for p in found if any(split_named(part) == split for part in folders_of(p))]
    return found[0] if len(found) == 1 else None


@lru_cache(maxsize=2)
def by_file(tree: Tree) -> dict[str, list[str]]:
    """File name -> the images of that name."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in tree.pictures:
        found[posixpath.basename(path)].append(path)
    return found
