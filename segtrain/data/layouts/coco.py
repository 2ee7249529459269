"""Images with the polygons or run lengths of a JSON file, as COCO has them: which image belongs to which entry."""

import json
import posixpath
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...errors import UserError
from ..files.coco import CocoMask, CocoObject, compact
from ..files.pair import Pair
from .pairing import Placed, folders_of, stem_of
from .reading import Reading, in_order, numbered, telling_folders, unique_names
from .tree import Tree, composed
from .words import parse_name, split_named

MAX_BYTES = 1_000_000_000  # of a JSON file; that of COCO's 118,000 training images has 450 million
MARKS = (b'"images"', b'"annotations"', b'"segmentation"')  # words of the format


def coco_json(tree: Tree) -> list[Reading]:
    """Images with polygons or run lengths in a JSON file, as COCO has them"""
    kinds: dict[str, list[str]] = defaultdict(list)
    for path in tree.with_suffix(".json"):
        if holds_objects(tree.path(path)):
            kinds[kind_of(path)].append(path)
    readings = [from_files(tree, paths) for _, paths in sorted(kinds.items())]
    return numbered([reading for reading in readings if reading.pairs])


def kind_of(path: str) -> str:
    """instances_train2017.json -> instances"""
    return "_".join(word for word in parse_name(stem_of(path)).rest if not word.isdigit())


def holds_objects(path: Path) -> bool:
    """Whether the words of COCO's format stand in a file, which is searched piece by piece, and not parsed."""
    if not path.is_file() or path.stat().st_size > MAX_BYTES:
        return False
    wanted, before = set(MARKS), b""
    with path.open("rb") as file:
        while wanted and (piece := file.read(1 << 22)):
            wanted = {word for word in wanted if word not in before + piece}
            before = piece[-16:]
    return not wanted


def from_files(tree: Tree, paths: Sequence[str]) -> Reading:
    """The images of all files, in the splits that these or their folders are named after, with one table of classes."""
    names: dict[str, int] = {}  # of a category -> value in the masks
    splits: dict[str, list[tuple[Placed, CocoMask]]] = defaultdict(list)
    missing: list[Path] = []
    for path in paths:
        content = parsed(tree.path(path))
        objects = objects_by_image(content, category_values(content, names), path)
        split = split_of_file(path)
        for entry in content["images"]:
            image = located(tree, path, entry, split)
            if image is None:
                file_name = str(entry.get("file_name"))[:200]
                missing.append(tree.path(posixpath.join(posixpath.dirname(path), file_name)))
                continue
            drawn = objects.get(str(entry.get("id")), [])
            mask = CocoMask(tree.path(path), tree.path(image), stated_size(entry), drawn, tree.order)
            splits[split].append((Placed(image, split, telling_folders(tree, image), ""), mask))
    pairs: dict[str, list[Pair]] = {}
    for split, entries in splits.items():
        unique = unique_names([image for image, _ in entries])
        for name, (image, mask) in zip(unique, entries, strict=True):
            pairs.setdefault(split, []).append(Pair(tree.as_stored(image.path, name), mask.image, mask))
    background = "no object" if "background" in names else "background"  # what no category has
    classes = [{"name": name} for name in (background, *names)]
    return Reading("coco_json", in_order(pairs), missing, [], {"classes": classes})


def painted(tree: Tree, reading: Reading) -> Reading:
    """The reading of a list whose masks are JSON files, with the masks that these hold for its images."""
    files = {pair.mask.path for pair in reading.pairs if pair.mask.path.suffix.lower() == ".json"}
    if not files:
        return reading
    stored = from_files(tree, sorted(file.relative_to(tree.root).as_posix() for file in files))
    masks = {(pair.mask.path, pair.image): pair.mask for pair in stored.pairs}
    splits: dict[str, list[Pair]] = {split: [] for split in reading.splits}
    lacking = []
    for split, pairs in reading.splits.items():
        for pair in pairs:
            if pair.mask.path not in files:
                splits[split].append(pair)
            elif mask := masks.get((pair.mask.path, pair.image)):
                splits[split].append(pair._replace(mask=mask))
            else:
                lacking.append(pair.image)
    return reading._replace(splits=splits, images=reading.images + lacking, classes=stored.classes)


def parsed(path: Path) -> dict[str, Any]:
    """The content of a JSON file with the lists that it must have; UserError for what is no such file."""
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: damaged JSON: {str(error)[:100]}") from None
    for key in ("images", "annotations", "categories"):
        entries = content.get(key) if isinstance(content, dict) else None
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise UserError(f"{path}: no COCO annotations: expected a list {key!r} of mappings")
    return content


def category_values(content: Mapping[str, Any], names: dict[str, int]) -> dict[str, int]:
    """Id of a category -> value in the masks, from 1; categories of one name are one. New ones are added to `names`."""
    values = {}
    for entry in sorted(content["categories"], key=number_of_id):
        name = str(entry.get("name", entry.get("id")))
        values[str(entry.get("id"))] = names.setdefault(name, len(names) + 1)
    return values


def number_of_id(entry: Mapping[str, Any]) -> int:
    number = entry.get("id")
    return number if type(number) is int else 0


def objects_by_image(content: Mapping[str, Any], values: Mapping[str, int], path: str) -> dict[str, list[CocoObject]]:
    """Id of an image -> its objects; UserError for an object of a category that is not listed."""
    objects: dict[str, list[CocoObject]] = defaultdict(list)
    for entry in content["annotations"]:
        category = entry.get("category_id")
        value = values.get(str(category))
        if value is None:
            raise UserError(f"{path}: an annotation has the category {str(category)[:40]}, which is not listed")
        objects[str(entry.get("image_id"))].append(CocoObject(value, compact(entry.get("segmentation"))))
    return objects


def stated_size(entry: Mapping[str, Any]) -> tuple[int, int] | None:
    """(height, width) as the JSON file says."""
    height, width = entry.get("height"), entry.get("width")
    if type(height) is not int or type(width) is not int or min(height, width) < 1:
        return None
    return height, width


def split_of_file(path: str) -> str:
    """The split that a JSON file is named after, or its folder: instances_train2017.json, train/_annotations.json"""
    splits = [parse_name(stem_of(path)).split, *map(split_named, reversed(folders_of(path)))]
    return next(filter(None, splits), "")


def located(tree: Tree, path: str, entry: Mapping[str, Any], split: str) -> str | None:
    """The image of an entry: beside the JSON file, or the one in the tree whose path ends like it."""
    name = entry.get("file_name")
    if not isinstance(name, str) or not name:
        return None
    if exact := tree.find(name, posixpath.dirname(path)):
        return exact
    name = composed(posixpath.normpath(name.replace("\\", "/")))
    namesakes = by_file_name(tree).get(posixpath.basename(name), [])
    images = [image for image in namesakes if f"/{image}".endswith(f"/{name}")]
    if len(images) > 1:
        images = [image for image in images if split in map(split_named, folders_of(image))]
    return images[0] if len(images) == 1 else None


@lru_cache(maxsize=2)
def by_file_name(tree: Tree) -> dict[str, list[str]]:
    """File name -> the images of that name."""
    images: dict[str, list[str]] = defaultdict(list)
    for path in tree.pictures:
        images[posixpath.basename(path)].append(path)
    return images
