"""Layouts of public data sets, as they are published."""

import posixpath
import re
from collections.abc import Iterator

from ..files.pair import Pair
from ..files.sbd import MatMask
from .lists import lines
from .pairing import (
    Match,
    Placed,
    joined,
    stem_of,
)
from .reading import Reading, Row, as_reading, from_rows, mostly_found, numbered
from .tree import Tree
from .words import SPLITS


def voc(tree: Tree) -> list[Reading]:
    """JPEGImages + SegmentationClass, by the lists in ImageSets/Segmentation, as Pascal VOC has them"""
    return numbered(mostly_found([from_rows(tree, "voc", rows)._replace(sure=True) for rows in voc_rows(tree)]))


def voc_sbd(tree: Tree) -> list[Reading]:
    """Pascal VOC with the images of SBD (img/x.jpg + cls/x.mat) that are not for validation there added to train"""
    stems = {stem_of(path): path for path in tree.with_suffix(".mat") if posixpath.dirname(path).endswith("cls")}
    found = []
    for rows in voc_rows(tree) if stems else ():
        reading = from_rows(tree, "voc_sbd", rows)._replace(sure=True)
        listed_there = {stem_of(row.text) for row in rows}
        added = [
            Pair(f"SBD/{stem}", tree.path(image), MatMask(tree.path(path)))
            for stem, path in sorted(stems.items())
            if stem not in listed_there and (image := tree.find(f"../img/{stem}.jpg", posixpath.dirname(path)))
        ]
        reading.splits.setdefault("train", []).extend(added)
        found.append(reading)
    return numbered(mostly_found(found))


def voc_rows(tree: Tree) -> Iterator[list[Row]]:
    """The lines of the lists of each VOC tree."""
    end = "ImageSets/Segmentation/train.txt"
    for path in tree.with_suffix(end):
        top, rows = path[: -len(end)], []
        for split in SPLITS:
            listing = f"{path[: -len('train.txt')]}{split}.txt"
            for stem in lines(tree, listing) if listing in tree.known else ():
                names = f"{top}JPEGImages/{stem}.jpg", f"{top}SegmentationClass/{stem}.png"
                image, mask = (tree.find(name) or "" for name in names)
                rows.append(Row(image, mask, split, names[0]))
        yield rows


def cityscapes(tree: Tree) -> list[Reading]:
    """leftImg8bit/SPLIT/CITY/x_leftImg8bit.png + gtFine/SPLIT/CITY/x_gtFine_labelIds.png, which test lacks"""
    return cityscapes_with(tree, "cityscapes", "labelIds")


def cityscapes_train_ids(tree: Tree) -> list[Reading]:
    """Likewise with x_gtFine_labelTrainIds.png"""
    return cityscapes_with(tree, "cityscapes_train_ids", "labelTrainIds")


def cityscapes_with(tree: Tree, layout: str, kind: str) -> list[Reading]:
    """Cityscapes with one of the kinds of masks that it has for an image."""
    pattern = re.compile(rf"(.*?)(leftImg8bit|gtFine)/(train|val)/(.+)_(?:leftImg8bit|gtFine_{kind})\.png")
    sides: dict[str, list[Placed]] = {"leftImg8bit": [], "gtFine": []}
    for path in tree.pictures:
        if (found := pattern.fullmatch(path)) and (found[2] == "gtFine") == path.endswith(f"{kind}.png"):
            sides[found[2]].append(Placed(path, found[3], (found[1] + found[4],), ""))
    pairs: list[tuple[Placed, Placed]] = []
    images, masks = joined(sides["leftImg8bit"], sides["gtFine"], same_place, same_place, pairs)
    found = Match(pairs, list(images), list(masks))
    return [as_reading(tree, layout, found)._replace(sure=True)] if pairs else []


def same_place(picture: Placed) -> tuple[str, tuple[str, ...]]:
    return picture.split, picture.parts
