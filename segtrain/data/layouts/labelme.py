"""Images with LabelMe's JSON files, which hold polygons with the names of their classes."""

import posixpath
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...errors import UserError
from ..files.documents import holds
from ..files.labelme import Annotated, read_labelme
from ..files.pair import Pair
from ..files.polygons import Drawn, PaintedMask
from .pairing import Placed, stem_of
from .reading import Reading, as_placed, in_order, mask_files, with_masks, with_names
from .tree import Tree, composed
from .words import first_split, split_told

MARKS = (b'"shapes"', b'"imagePath"')  # words of the format
BACKGROUND = ("_background_", "background")  # labels of what is as if it were not drawn
VOID = "__ignore__"  # the label of what counts nowhere


def labelme(tree: Tree) -> list[Reading]:
    """Images with a JSON file each, as LabelMe has them, whose polygons name their classes"""
    paths = [path for path in tree.with_suffix(".json") if holds(tree.path(path), MARKS)]
    reading = from_files(tree, paths)
    return [reading] if reading.pairs else []


def painted(tree: Tree, reading: Reading) -> Reading:
    """The reading of a list whose masks are LabelMe's files, with the masks that these hold for its images. The classes
    are those of all such files that are there, so that a list of some of them changes no number."""
    files = {path for path in mask_files(reading, ".json") if holds(path, MARKS)}
    for stored in labelme(tree) if files else []:
        reading = with_masks(reading, files, stored)
    return reading


def from_files(tree: Tree, paths: Sequence[str]) -> Reading:
    """The images of these files, and those beside them that have none; the classes are the labels, sorted."""
    annotated = {path: read_labelme(tree.path(path)) for path in paths}
    labels: set[str] = set()
    for content in annotated.values():
        labels |= {label for label, _ in content.objects}
    values, classes = class_values(labels)
    images: dict[str, str] = {}  # image -> file
    alone: list[Path] = []
    for path, content in annotated.items():
        image = located(tree, path, content.image)
        if image is None:
            alone.append(tree.path(path))
        elif image in images:
            raise UserError(f"{tree.path(path)} and {images[image]} are both for {image}: keep one of them")
        else:
            images[image] = path
    splits: dict[str, list[Placed]] = defaultdict(list)
    for image in images:
        split = first_split(tree.parts(image))
        splits[split].append(as_placed(tree, image, split))
    pairs: dict[str, list[Pair]] = {}
    for split, placed in splits.items():
        masks = [mask_of(tree, images[image.path], image.path, annotated, values) for image in placed]
        pairs[split] = with_names(tree, placed, masks)
    folders = {posixpath.dirname(image) for image in images}
    left = [path for path in tree.pictures if posixpath.dirname(path) in folders and path not in images]
    return Reading("labelme", in_order(pairs), [tree.path(path) for path in left], alone, classes)


def class_values(labels: set[str]) -> tuple[dict[str, int], dict[str, Any]]:
    """Label -> value in the masks, and the class table: background, then the labels in the order of the alphabet."""
    names = sorted(labels - {*BACKGROUND, VOID})
    values = dict.fromkeys(BACKGROUND, 0) | {name: value for value, name in enumerate(names, 1)}
    values[VOID] = 255 if len(names) < 255 else 65535
    ignore = values[VOID] if VOID in labels else None
    return values, {"ignore": ignore, "classes": [{"name": name} for name in ("background", *names)]}


def mask_of(
    tree: Tree, path: str, image: str, annotated: Mapping[str, Annotated], values: Mapping[str, int]
) -> PaintedMask:
    """The mask of an image; a later object is painted over the earlier ones, as LabelMe does it."""
    content = annotated[path]
    objects = [Drawn(values[label], shape) for label, shape in content.objects]
    return PaintedMask(tree.path(path), tree.path(image), content.stated_size, objects, "file")


def located(tree: Tree, path: str, name: str) -> str | None:
    """The image of a file: the one that it names, or the one that is named like it.

    Raises:
        UserError: Where these are two images that lie elsewhere than the file says.
    """
    name = composed(name).replace("\\", "/")
    file_name = posixpath.basename(name)
    namesakes = [image for image in by_stem(tree).get(stem_of(name), []) if posixpath.basename(image) == file_name]
    exact = tree.find(name, posixpath.dirname(path))
    if exact in namesakes:
        return exact
    own = nearest(tree, path, by_stem(tree).get(stem_of(path), []))
    named = nearest(tree, path, namesakes)
    if own and named and own != named:
        raise UserError(
            f"{tree.path(path)}: `imagePath` in it names {named}, its own name {own}: write the right one there"
        )
    return own or named


def nearest(tree: Tree, path: str, images: Sequence[str]) -> str | None:
    """The one image among several that lies in the folder of a file, or in the same split."""
    folder, splits = posixpath.dirname(path), [part for part in tree.parts(path) if split_told(part)]
    for candidates in (
        [image for image in images if posixpath.dirname(image) == folder],
        [image for image in images if [part for part in tree.parts(image) if split_told(part)] == splits],
        images,
    ):
        if len(candidates) == 1:
            return candidates[0]
    return None


@lru_cache(maxsize=2)
def by_stem(tree: Tree) -> dict[str, list[str]]:
    """Name without suffix -> the images of that name."""
    images: dict[str, list[str]] = defaultdict(list)
    for path in tree.pictures:
        images[stem_of(path)].append(path)
    return images
