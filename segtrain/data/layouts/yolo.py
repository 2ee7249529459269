"""Images with YOLO's polygons, as Ultralytics and Roboflow have them: data.yaml, images/, and labels/ with a text file
for each image (https://docs.ultralytics.com/datasets/segment)."""

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import UserError
from ...text import UNPRINTABLE, parse_yaml
from ..files.pair import Pair
from ..files.yolo import BOX, YoloMask, text_of
from .pairing import stem_of
from .reading import Reading, as_placed, in_order, mask_files, numbered, spread, with_masks, with_names
from .tree import Tree
from .words import SPLIT_WORDS, first_split, split_told

MAX_BYTES, MAX_DEPTH = 100_000, 10  # of a YAML file; lists and mappings in one another
MAX_FILES = 10  # YAML files that are parsed, and lists of names
NAMES = re.compile(r"^[ '\"{]*names", re.MULTILINE)
SAMPLES, LOOKED_AT = 64, 1 << 20  # text files that are looked at, and characters of each
NAME_LISTS = ("classes.txt", "obj.names", "labels.txt")  # of Label Studio, CVAT and makesense.ai
IMAGES, LABELS = "images", "labels"  # folders, in any case

Splits = dict[str, list[str]]  # split -> images


def yolo(tree: Tree) -> list[Reading]:
    """Images with YOLO's polygons: data.yaml, images + labels with a text file for each image"""
    readings: list[Reading] = []
    for path, table in tables(tree).items():
        if reading := from_table(tree, path, table):
            readings.append(reading)
    return numbered(readings)


class Table(NamedTuple):
    """The names of the classes, by their numbers, and all that stands in a YAML file."""

    names: list[str]
    content: Mapping[str, Any]


def tables(tree: Tree) -> dict[str, Table]:
    """What names the classes, by its path, the outermost first: YAML files, or else lists of names."""
    yaml = [*tree.with_suffix(".yaml"), *tree.with_suffix(".yml")]
    lists = [path for path in tree.with_suffix(".txt") if posixpath.basename(path).lower() in NAME_LISTS]
    lists += tree.with_suffix(".names")
    found: dict[str, Table] = {}
    for files in (yaml, lists):
        for path in sorted(set(files), key=lambda path: (path.count("/"), path)):
            table = table_in(tree, path)
            if table.names:
                found[path] = table
            if len(found) == MAX_FILES:
                break
        if found:
            break
    return found


def table_in(tree: Tree, path: str) -> Table:
    """What a file says of classes; no names for other files."""
    content: Any = None
    with suppress(UserError, OSError):  # of another kind
        text = text_of(tree.path(path))
        if posixpath.splitext(path)[1].lower() not in (".yaml", ".yml"):
            return Table([line.strip() for line in text.splitlines() if line.strip()], {})
        if len(text) <= MAX_BYTES and NAMES.search(text):
            content = parse_yaml(text, MAX_DEPTH)
    if not isinstance(content, dict):
        return Table([], {})
    return Table(names_in(content.get("names")), content)


def names_in(entry: Any) -> list[str]:
    """The names in a list, or in a mapping of numbers from 0 to names, which lacks none; nothing for anything else."""
    if isinstance(entry, dict):
        by_number = {int(key): name for key, name in entry.items() if re.fullmatch(r"\d{1,4}", str(key))}
        if len(by_number) != len(entry):
            return []
        entry = [by_number.get(i, f"class {i}") for i in range(max(by_number, default=-1) + 1)]
    if not isinstance(entry, list) or not all(isinstance(name, str | int | float) for name in entry):
        return []
    return [str(name).strip() for name in entry]


def from_table(tree: Tree, path: str, table: Table) -> Reading | None:
    """The reading by a file that names the classes; `None` if its images have no polygons."""
    names = table.names
    splits, missing = images_by_key(tree, path, table.content)
    if not splits:
        splits = images_by_folder(tree, posixpath.dirname(path))
    if not holds_polygons(tree, splits):
        return None
    pairs: dict[str, list[Pair]] = {}
    left, unlabelled, empty = list(missing), [], []
    for split, images in splits.items():
        labels = [label_of(tree, image) for image in images]
        if tree.known.isdisjoint(labels):
            (unlabelled if split in ("val", "test") else left).extend(map(tree.path, images))
            continue
        empty += [image for image, label in zip(images, labels, strict=True) if is_empty(tree, label)]
        placed = [as_placed(tree, image, split) for image in images]
        files = zip(map(tree.path, labels), map(tree.path, images), strict=True)
        masks = [YoloMask(label, image, len(names), tree.order) for label, image in files]
        pairs[split] = with_names(tree, placed, masks)
    notes = empty_text(empty, sum(map(len, splits.values())))
    return Reading("yolo", in_order(pairs), left, [], classes_of(names), unlabelled=sorted(unlabelled), notes=notes)


def empty_text(empty: Sequence[str], total: int) -> list[str]:
    """A sentence on the images without polygons, if there are any."""
    if not empty:
        return []
    number = f"{len(empty)} of {total} images have"
    return [f"{number} no polygons, such as {empty[0]}: all background, as YOLO takes them"]


def painted(tree: Tree, reading: Reading) -> Reading:
    """The reading of a list whose masks are YOLO's text files, with the masks that these hold for its images."""
    files = mask_files(reading, ".txt")
    for stored in yolo(tree) if files else []:
        reading = with_masks(reading, files & {pair.mask.path for pair in stored.pairs}, stored)
    return reading


def classes_of(names: Sequence[str]) -> dict[str, Any]:
    """The class table: background, and the names; a name that stands twice is one class with both values."""
    values: dict[str, list[int]] = {"no object" if "background" in names else "background": [0]}
    for number, name in enumerate(names):
        values.setdefault(name or f"class {number}", []).append(number + 1)
    return {"classes": [{"name": name, "values": numbers} for name, numbers in values.items()]}


def images_by_key(tree: Tree, path: str, content: Mapping[str, Any]) -> tuple[Splits, list[Path]]:
    """The images of each split that a data.yaml names, and the places for training and validation that are not there;
    nothing where none is, as where the paths are those of another computer."""
    splits: Splits = {}
    missing: list[Path] = []
    for key, entry in content.items():
        split = SPLIT_WORDS.get(str(key).lower(), "")
        if not split or not entry:
            continue
        for place in entry if isinstance(entry, list) else [entry]:
            if UNPRINTABLE.search(str(place)):
                raise UserError(f"{tree.path(path)}: a place for {split} holds control or invalid characters")
            images = images_at(tree, str(place), bases(tree, path, content.get("path")))
            splits.setdefault(split, []).extend(image for image in images if image not in splits.get(split, ()))
            if not images and split != "test":  # a test set is often named that nobody was given
                missing.append(tree.path(posixpath.join(posixpath.dirname(path), str(place)[:200].lstrip("/"))))
    splits = {split: images for split, images in splits.items() if images}
    return splits, missing if splits else []


def bases(tree: Tree, path: str, top: Any) -> list[str]:
    """The folders that the places in a data.yaml may be relative to: `path` in it, and its own."""
    own = posixpath.dirname(path)
    below = tree.find_folder(str(top or "").replace("\\", "/"), own)
    return list(dict.fromkeys([own if below is None else below, own, ""]))


def images_at(tree: Tree, place: str, bases: Sequence[str]) -> list[str]:
    """The images in a folder, or in a list of their paths, that a data.yaml names."""
    place = place.strip().replace("\\", "/")
    for base in bases:
        for end in ends_of(place):
            folder = tree.find_folder(end, base)
            if folder is not None:
                return list(tree.below(folder))
            listed = tree.find(end, base) if end.endswith(".txt") else None
            if listed:
                return images_listed(tree, listed, base)
    return []


def images_listed(tree: Tree, path: str, base: str) -> list[str]:
    """The images that a list names, relative to the folder `base` or to its own; UserError for one that is lacking."""
    images: list[str] = []
    for number, line in enumerate(text_of(tree.path(path)).splitlines(), 1):
        if not line.strip():
            continue
        image = tree.find(line, base) or tree.find(line, posixpath.dirname(path))
        if image is None:
            raise UserError(f"{tree.path(path)}, line {number}: an image that is not there")
        images.append(image)
    return list(dict.fromkeys(images))


def ends_of(place: str) -> Iterator[str]:
    """A place as it is written; without the `../` that Roboflow writes in front; the ends of it, where it is one of
    another computer: of two folders or more, or the name of a split."""
    yield place
    while place.startswith(("../", "./")):
        place = place.partition("/")[2]
        yield place
    parts = place.strip("/").split("/")
    for start in range(1, len(parts)):
        if len(parts) - start > 1 or split_told(parts[start]):
            yield "/".join(parts[start:])


def images_by_folder(tree: Tree, top: str) -> Splits:
    """The images below a folder that have labels, with all others that lie beside them; in the splits that the folders
    are named after."""
    splits: Splits = defaultdict(list)
    pictures = tree.below(top)
    homes = {posixpath.dirname(image) for image in pictures if label_of(tree, image) in tree.known}
    for image in pictures:
        folder = posixpath.dirname(image)
        if folder in homes or (homes and IMAGES in folder.lower().split("/")):
            splits[first_split(tree.parts(image))].append(image)
    return splits


def label_of(tree: Tree, image: str) -> str:
    """The text file of an image: that of its name, with `labels`, in any case, in place of the last folder `images`."""
    *folders, name = image.split("/")
    for place in reversed(range(len(folders))):
        if folders[place].lower() == IMAGES:
            folders[place] = labels_in(tree, "/".join(folders[:place]))
            break
    return "/".join([*folders, f"{stem_of(name)}.txt"])


def labels_in(tree: Tree, parent: str) -> str:
    """The name that the folder of the labels in a folder has."""
    return next((name for name in tree.children.get(parent, ()) if name.lower() == LABELS), LABELS)


def is_empty(tree: Tree, path: str) -> bool:
    """Whether there is no text file, or nothing in it."""
    return path not in tree.known or tree.path(path).stat().st_size == 0


def holds_polygons(tree: Tree, splits: Splits) -> bool:
    """Whether a line of some text file has more numbers than a box."""
    labels: list[str] = []
    for images in splits.values():
        labels += [label for label in map(partial(label_of, tree), images) if label in tree.known]
    for label in spread(labels, SAMPLES):
        with suppress(UserError, OSError):
            if any(len(line.split()) > BOX + 1 for line in text_of(tree.path(label))[:LOOKED_AT].splitlines()):
                return True
    return False
