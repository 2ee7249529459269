"""Layouts of public data sets, as they are published."""

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

from ..files.pair import Pair
from ..files.sbd import MatMask
from .lists import numbered_lines, text_of
from .pairing import Placed, paired, stem_of
from .reading import Reading, Row, as_reading, from_rows, mostly_found, numbered
from .tree import Tree
from .words import SPLITS


def voc(tree: Tree) -> list[Reading]:
    """JPEGImages + SegmentationClass, by the lists in ImageSets/Segmentation, as Pascal VOC has them"""
    found = [from_rows(tree, "voc", rows)._replace(sure=True, written=True) for rows in voc_rows(tree)]
    return numbered(mostly_found(found))


def voc_sbd(tree: Tree) -> list[Reading]:
    """Pascal VOC with the images of SBD (img/x.jpg + cls/x.mat) that are not for validation there added to train"""
    masks = {stem_of(path): path for path in tree.with_suffix(".mat") if posixpath.dirname(path).endswith("cls")}
    if not masks:
        return []
    readings: list[Reading] = []
    for rows in voc_rows(tree):
        reading = from_rows(tree, "voc_sbd", rows)._replace(sure=True, written=True)
        added = sbd_pairs(tree, masks, {stem_of(row.text) for row in rows})
        train = [*reading.splits.get("train", ()), *added]
        readings.append(reading._replace(splits={**reading.splits, "train": train}))
    return numbered(mostly_found(readings))


def sbd_pairs(tree: Tree, masks: Mapping[str, str], listed: set[str]) -> Iterator[Pair]:
    """The images of SBD with `masks`, by their stems, but for those that a list of VOC names."""
    for stem in sorted(masks.keys() - listed):
        image = tree.find(f"../img/{stem}.jpg", posixpath.dirname(masks[stem]))
        if image:
            yield Pair(f"SBD/{stem}", tree.path(image), MatMask(tree.path(masks[stem])))


def voc_rows(tree: Tree) -> list[list[Row]]:
    """A row for each line in the lists of VOC trees: of all together, but of each year, VOC2007 and VOC2012, apart."""
    end = "ImageSets/Segmentation/train.txt"
    years: dict[str, list[Row]] = defaultdict(list)
    for path in tree.with_suffix(end):
        top = path[: -len(end)]
        year = re.search(r"(?:19|20)\d\d", posixpath.basename(top.rstrip("/")))
        years[year[0] if year else ""] += rows_of_voc(tree, top, posixpath.dirname(path))
    return list(years.values())


def rows_of_voc(tree: Tree, top: str, folder: str) -> Iterator[Row]:
    """A row for each line in the lists of one VOC tree; `top` leads to it, `folder` to its lists."""
    for split in SPLITS:
        path = f"{folder}/{split}.txt"
        if path not in tree.known:
            continue
        for number, stem in numbered_lines(text_of(tree.path(path))):
            image, mask = f"{top}JPEGImages/{stem}.jpg", f"{top}SegmentationClass/{stem}.png"
            image_path, mask_path = tree.find(image) or "", tree.find(mask) or ""
            yield Row(image_path, mask_path, split, image, f"{path}, line {number}", mask)


def cityscapes(tree: Tree) -> list[Reading]:
    """leftImg8bit/SPLIT/CITY/x_leftImg8bit.png + gtFine/SPLIT/CITY/x_gtFine_labelIds.png, which test lacks"""
    return cityscapes_with(tree, "cityscapes", "labelIds")


def cityscapes_train_ids(tree: Tree) -> list[Reading]:
    """Likewise with x_gtFine_labelTrainIds.png"""
    return cityscapes_with(tree, "cityscapes_train_ids", "labelTrainIds")


def cityscapes_with(tree: Tree, layout: str, kind: str) -> list[Reading]:
    """Cityscapes with one of the kinds of masks that it has for an image."""
    images = in_cities(tree, re.compile(r"(.*?)leftImg8bit/(train|val)/(.+)_leftImg8bit\.png"))
    masks = in_cities(tree, re.compile(rf"(.*?)gtFine/(train|val)/(.+)_gtFine_{kind}\.png"))
    match = paired(images, masks, same_place, same_place)
    return [as_reading(tree, layout, match)._replace(sure=True)] if match.pairs else []


def in_cities(tree: Tree, pattern: re.Pattern[str]) -> list[Placed]:
    """The pictures of a city, by a pattern whose groups are folders above, split, and city with name."""
    matches = filter(None, map(pattern.fullmatch, tree.pictures))
    return [Placed(match[0], match[2], (match[1] + match[3],), "") for match in matches]


def same_place(picture: Placed) -> tuple[str, tuple[str, ...]]:
    return picture.split, picture.parts
