"""Images with the polygons or run lengths of a JSON file, as COCO has them: which image belongs to which entry."""

import posixpath
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ...errors import UserError
from ..files.coco import shape_of
from ..files.documents import holds, parsed_json
from ..files.polygons import Drawn, PaintedMask
from .pairing import Placed, folders_of, stem_of
from .reading import Reading, as_placed, in_order, mask_files, numbered, with_masks, with_names
from .tree import Tree, composed
from .words import parse_name, split_named

UPLOADED = re.compile(r"^[0-9a-f]{8}-(?=.)")  # in front of the names of files that were given to Label Studio
MARKS = (b'"images"', b'"annotations"', b'"segmentation"')  # words of the format


def coco_json(tree: Tree) -> list[Reading]:
    """Images with polygons or run lengths in a JSON file, as COCO has them"""
    kinds: dict[str, list[str]] = defaultdict(list)
    for path in tree.with_suffix(".json"):
        if holds(tree.path(path), MARKS):
            kinds[kind_of(path)].append(path)
    readings = [from_files(tree, paths) for _, paths in sorted(kinds.items())]
    return numbered([reading for reading in readings if reading.pairs])


def kind_of(path: str) -> str:
    """instances_train2017.json -> instances"""
    return "_".join(word for word in parse_name(stem_of(path)).rest if not word.isdigit())


def from_files(tree: Tree, paths: Sequence[str]) -> Reading:
    """The images of all files, in the splits that these or their folders are named after, with one table of classes."""
    categories, notes = Categories(), Notes()
    splits: dict[str, list[tuple[Placed, PaintedMask]]] = defaultdict(list)
    missing: list[Path] = []
    owners: dict[tuple[str, str], str] = {}  # (split, image) -> the file that lists it
    for path in paths:
        content = parsed(tree.path(path))
        if not holds_shapes(content):
            continue
        objects = objects_by_image(content, categories.values(content, path), path)
        notes.count_orphans(content, objects, path)
        split = split_of_file(path)
        for entry in content["images"]:
            image = located(tree, path, entry, split)
            if image is None:
                file_name = str(entry.get("file_name"))[:200]
                missing.append(tree.path(posixpath.join(posixpath.dirname(path), file_name)))
                continue
            claim(owners, split, image, path)
            notes.count_moved(entry, image)
            drawn = objects.get(id_text(entry.get("id")), [])
            mask = PaintedMask(tree.path(path), tree.path(image), stated_size(entry), drawn, tree.order)
            splits[split].append((as_placed(tree, image, split), mask))
    pairs = {split: with_names(tree, *zip(*entries, strict=True)) for split, entries in splits.items()}
    return Reading("coco_json", in_order(pairs), missing, [], categories.table(), notes=notes.sentences())


def claim(owners: dict[tuple[str, str], str], split: str, image: str, path: str) -> None:
    """Note that a file lists an image of a split. Raises UserError if one has listed it before."""
    if owner := owners.get((split, image)):
        where = path if owner == path else f"{owner} and {path}"
        raise UserError(f"{where}: {image} is listed twice: keep one entry, with all annotations")
    owners[split, image] = path


class Categories:
    """The categories of several files: those of one name are one class."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}  # name -> value in the masks, from 1
        self.used: set[str] = set()
        self.parents: set[str] = set()  # names of which another category is a kind, or that are those of projects

    def values(self, content: Mapping[str, Any], path: str) -> dict[str, int]:
        """Id of a category -> value in the masks. New names get the next values, in the order of the ids."""
        values: dict[str, int] = {}
        names: dict[str, str] = {}
        for entry in sorted(content["categories"], key=number_of_id):
            number, name = id_text(entry.get("id")), str(entry.get("name", entry.get("id")))
            if names.setdefault(number, name) != name:
                raise UserError(f"{path}: the categories {names[number]!r} and {name!r} have one id, {number!r}")
            values[number] = self.numbers.setdefault(name, len(self.numbers) + 1)
            if entry.get("supercategory") != name:
                self.parents.add(str(entry.get("supercategory")))
        in_use = {id_text(entry.get("category_id")) for entry in content["annotations"]}
        self.used |= {name for number, name in names.items() if number in in_use}
        self.parents |= projects(content["categories"])
        return values

    def table(self) -> dict[str, Any]:
        """The content of a `classes.yaml`; without what has no object and is but the name of the others together, as
        Roboflow writes the project's among the categories."""
        background = "no object" if "background" in self.numbers else "background"  # what no category has
        left_out = self.parents - self.used
        classes: list[dict[str, Any]] = [{"name": background}]
        for name, value in self.numbers.items():
            if name not in left_out:
                own_place = value == len(classes)
                classes.append({"name": name} if own_place else {"name": name, "values": [value]})
        return {"classes": classes}


def projects(categories: Sequence[Mapping[str, Any]]) -> set[str]:
    """The name of category 0 if it may be that of a project: if its kind is "none", as Roboflow writes it, or if it
    alone has no kind."""
    first = [entry for entry in categories if id_text(entry.get("id")) == "0"]
    others = [entry for entry in categories if id_text(entry.get("id")) != "0"]
    others_have_kinds = bool(others) and all(entry.get("supercategory") for entry in others)
    names: set[str] = set()
    for entry in first:
        kind = entry.get("supercategory")
        if kind == "none" or (not kind and others_have_kinds):
            names.add(str(entry.get("name")))
    return names


class Notes:
    """What a person should know of the files, counted."""

    def __init__(self) -> None:
        self.orphans = self.moved = 0
        self.example = ""

    def count_orphans(self, content: Mapping[str, Any], objects: Mapping[str, Sequence[Drawn]], path: str) -> None:
        """Raises UserError for images of one id, and if no annotation belongs to any of them."""
        ids: set[str] = set()
        for entry in content["images"]:
            number = id_text(entry.get("id"))
            if number in ids:
                raise UserError(f"{path}: two images have the id {number[:40]!r}")
            ids.add(number)
        strange = objects.keys() - ids
        if strange and ids and strange == objects.keys():
            number = next(iter(strange))[:40]
            raise UserError(f"{path}: no annotation belongs to an image: no image has the id of the first, {number!r}")
        self.orphans += sum(len(objects[number]) for number in strange)

    def count_moved(self, entry: Mapping[str, Any], image: str) -> None:
        name = composed(str(entry.get("file_name"))).replace("\\", "/").removeprefix("./")
        if not f"/{image}".endswith(f"/{name}"):
            self.moved += 1
            self.example = self.example or f"{name[:200]!r} is {image}"

    def sentences(self) -> list[str]:
        sentences: list[str] = []
        if self.moved:
            sentences.append(f"{self.moved} images lie elsewhere than their file_name says, such as {self.example}")
        if self.orphans:
            sentences.append(f"{self.orphans} annotations belong to no image that is listed, and are not used")
        return sentences


def id_text(number: Any) -> str:
    """An id as text: 1, 1.0 and "1" are one."""
    return str(int(number)) if isinstance(number, float) and number.is_integer() else str(number)


def holds_shapes(content: Mapping[str, Any]) -> bool:
    """Whether there are polygons or run lengths, or no annotations at all; boxes are no masks."""
    annotations = content["annotations"]
    return not annotations or any(entry.get("segmentation") for entry in annotations)


def painted(tree: Tree, reading: Reading) -> Reading:
    """The reading of a list whose masks are JSON files, with the masks that these hold for its images."""
    files = mask_files(reading, ".json")
    if not files:
        return reading
    stored = from_files(tree, sorted(file.relative_to(tree.root).as_posix() for file in files))
    return with_masks(reading, files, stored)


def parsed(path: Path) -> dict[str, Any]:
    """The content of a JSON file with the lists that it must have; UserError for what is no such file."""
    content = parsed_json(path)
    for key in ("images", "annotations", "categories"):
        entries = content.get(key) if isinstance(content, dict) else None
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise UserError(f"{path}: no COCO annotations: expected a list {key!r} of mappings")
    return content


def number_of_id(entry: Mapping[str, Any]) -> int:
    number = entry.get("id")
    return number if type(number) is int else 0


def objects_by_image(content: Mapping[str, Any], values: Mapping[str, int], path: str) -> dict[str, list[Drawn]]:
    """Id of an image -> its objects; UserError for an object of a category that is not listed."""
    objects: dict[str, list[Drawn]] = defaultdict(list)
    for entry in content["annotations"]:
        category = entry.get("category_id")
        value = values.get(id_text(category))
        if value is None:
            raise UserError(f"{path}: an annotation has the category {str(category)[:40]!r}, which is not listed")
        objects[id_text(entry.get("image_id"))].append(Drawn(value, shape_of(entry.get("segmentation"))))
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
    """The image of an entry: where `file_name` says; or the one in the tree whose path ends like it, with as many
    folders as are known; or the one that is named so but for the mark that Label Studio puts in front."""
    name = entry.get("file_name")
    if not isinstance(name, str) or not name:
        return None
    for written in spellings(name):
        if exact := tree.find(written, posixpath.dirname(path)):
            return exact
    for written in spellings(name):
        end = composed(posixpath.normpath(written))
        namesakes = by_file_name(tree).get(posixpath.basename(end), [])
        while end and namesakes:
            if images := [image for image in namesakes if f"/{image}".endswith(f"/{end}")]:
                return one_of(images, split)
            end = end.partition("/")[2]
    return one_of(by_file_name(tree, marked=True).get(composed(posixpath.basename(spellings(name)[-1])), []), split)


def one_of(images: Sequence[str], split: str) -> str | None:
    """The one image, or the one in the folder of the split; `None` for several."""
    if len(images) > 1:
        images = [image for image in images if split in map(split_named, folders_of(image))]
    return images[0] if len(images) == 1 else None


def spellings(name: str) -> list[str]:
    """A file_name as it is written; with /; as the path in an address; without the mark of Label Studio's uploads."""
    name = name.replace("\\", "/")
    _, _, query = name.partition("?d=")  # of Label Studio's local files
    path = query or re.sub(r"^\w+://[^/]*", "", name)
    names = [name, path, unquote(path)]
    folder, file = posixpath.split(names[-1])
    names.append(posixpath.join(folder, UPLOADED.sub("", file)))
    return list(dict.fromkeys(names))


@lru_cache(maxsize=4)
def by_file_name(tree: Tree, *, marked: bool = False) -> dict[str, list[str]]:
    """File name -> the images of that name; or only those with Label Studio's mark, by their names without it."""
    images: dict[str, list[str]] = defaultdict(list)
    for path in tree.pictures:
        name = posixpath.basename(path)
        if not marked:
            images[name].append(path)
        elif UPLOADED.match(name):
            images[UPLOADED.sub("", name)].append(path)
    return images
