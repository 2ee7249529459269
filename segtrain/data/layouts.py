"""Where the images and masks of a folder lie. A layout is a small function of its files; none knows another."""

import posixpath
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

from . import coco, lists
from .pairing import (
    Match,
    Placed,
    Spot,
    by_affix,
    by_endings,
    by_suffix,
    by_variant,
    joined,
    matches,
    spots,
    stem_of,
    told_apart,
)
from .ranking import LOOSE, best_first, rank
from .reading import Reading, Row, as_reading, from_rows, in_order
from .sbd import MatMask
from .source import Pair
from .tree import Tree
from .words import SPLITS, Role, read, split_named, split_told

__all__ = ["LAYOUTS", "Reading", "Tree", "beside_root", "readings"]

# --- layouts ----------------------------------------------------------------------------------------------------------

Divide = Callable[[Spot], tuple[str, tuple[str, ...]] | None]  # -> split, folders shared with the partner


def home(tree: Tree) -> list[Reading]:
    """images/SPLIT + masks/SPLIT"""

    def divide(spot: Spot) -> tuple[str, tuple[str, ...]] | None:
        split = split_named(spot.below[0]) if spot.below else ""
        return (split, spot.above + spot.below[1:]) if split else None

    return in_folders(tree, "home", divide)


def by_split(tree: Tree) -> list[Reading]:
    """SPLIT/images + SPLIT/masks"""

    def divide(spot: Spot) -> tuple[str, tuple[str, ...]] | None:
        split = split_named(spot.above[-1]) if spot.above else ""
        return (split, spot.above[:-1] + spot.below) if split else None

    return in_folders(tree, "by_split", divide)


def split_names(tree: Tree) -> list[Reading]:
    """train + trainannot, or train_images + train_masks, and likewise val and test"""

    def divide(spot: Spot) -> tuple[str, tuple[str, ...]] | None:
        split = read(spot.folder).split
        return (split, spot.above + spot.below) if split else None

    return in_folders(tree, "split_names", divide)


def flat(tree: Tree) -> list[Reading]:
    """images + masks"""

    def divide(spot: Spot) -> tuple[str, tuple[str, ...]] | None:
        split = read(spot.folder).split or without_split(spot.below)[0]
        return None if spot.above or split else ("", spot.below)

    return in_folders(tree, "flat", divide)


def repeated(tree: Tree) -> list[Reading]:
    """PARENT/images + PARENT/masks below any number of parents, of which one may be a split"""

    def divide(spot: Spot) -> tuple[str, tuple[str, ...]]:
        split, parts = without_split(spot.above + spot.below)
        return read(spot.folder).split or split, parts

    return in_folders(tree, "repeated", divide)


def objects(tree: Tree) -> list[Reading]:
    """PARENT/images/x + PARENT/masks/*, one image and a mask for each object in it, which become one mask"""
    pairs, masks = [], 0
    for parent, names in tree.children.items():
        roles: dict[str, list[str]] = {"image": [], "mask": []}
        for name in names:
            roles.setdefault(read(name).role, []).append(posixpath.join(parent, name))
        images = [path for folder in roles["image"] for path in tree.below(folder)]
        if len(images) == len(roles["mask"]) == 1 and (number := len(tree.below(roles["mask"][0]))):
            split, parts = without_split(tree.parts(posixpath.join(parent, "")))
            pairs.append((Placed(images[0], split, parts, ""), Placed(roles["mask"][0], split, parts, "")))
            masks += number
    return [as_reading(tree, "objects", Match(pairs, [], []))] if masks > len(pairs) else []


def beside(tree: Tree) -> list[Reading]:
    """A folder for masks; the images lie beside it, or in one folder beside it, whatever its name."""
    homes = set()
    for parent, names in tree.children.items():
        roles = {read(name).role for name in names}
        if "mask" in roles and "image" not in roles:
            homes.add(tree.parts(posixpath.join(parent, "")))
    images, masks, apart = [], [], []
    for path in tree.pictures:
        parts = tree.parts(path)
        home = next((i for i in range(len(parts), -1, -1) if parts[:i] in homes), None)
        if home is None:
            apart.append(tree.path(path))
            continue
        below, name = parts[home:], ""
        if below and not split_named(below[0]):
            below, name = below[1:], below[0]
        side = masks if read(name).role == "mask" else images
        side.append(Placed(path, *without_split(parts[:home] + below), name))
    return [as_reading(tree, "beside", found, apart) for found in matches(images, masks) if found.pairs]


def one_folder(tree: Tree) -> list[Reading]:
    """Image and mask in one folder: x.jpg + x_mask.png, x.png + x_L.png, mask_x.png, or x.jpg + x.png"""
    sides: dict[Role, list[Placed]] = {"image": [], "mask": []}
    for path in tree.pictures:
        parts = tree.parts(path)
        role, placed = by_affix(path, *without_split(parts))
        sides[role].append(placed)
    found = [each for each in matches(sides["image"], sides["mask"]) if each.pairs]
    return [as_reading(tree, "one_folder", each) for each in found] or same_stem(tree)


def same_stem(tree: Tree) -> list[Reading]:
    """Image and mask in one folder that differ in their suffix alone."""
    folders: dict[str, list[Placed]] = defaultdict(list)
    for path in tree.pictures:
        folders[posixpath.dirname(path)].append(Placed(path, *without_split(tree.parts(path)), ""))
    found = [by_suffix(pictures) for pictures in folders.values()]
    whole = Match(
        [pair for each in found for pair in each.pairs],
        [image for each in found for image in each.images],
        [mask for each in found for mask in each.masks],
    )
    return [as_reading(tree, "one_folder", whole)] if whole.pairs else []


def by_stem(tree: Tree) -> list[Reading]:
    """Image and mask anywhere; the name of a file or of a folder says which is a mask, the rest is shared"""
    sides = sides_of(tree)
    found = by_variant(*sides)
    if not found:  # the masks may lie outside the folders of the splits
        splits = {image.path: image.split for image in sides[0]}
        found = by_variant(*([picture._replace(split="") for picture in side] for side in sides))
        for each in found:
            each.pairs[:] = [(image._replace(split=splits[image.path]), mask) for image, mask in each.pairs]
    return [as_reading(tree, "by_stem", each) for each in found]


def by_ending(tree: Tree) -> list[Reading]:
    """Image and mask anywhere; a mask is named like its image, with anything behind it"""
    images, masks = sides_of(tree)
    sides = (images, masks), ([*images, *masks], [])
    placed = ([[scene(tree, picture) for picture in side] for side in both] for both in sides)
    ways = [by_endings(*both) for both in (*placed, *sides)]
    found = max(ways, key=lambda way: max((len(each.pairs) for each in way), default=0))
    return [as_reading(tree, "by_ending", each) for each in found]


def scene(tree: Tree, picture: Placed) -> Placed:
    """With the folders that say neither image nor mask nor split."""
    parts = tree.parts(picture.path)
    return picture._replace(parts=tuple(part for part in parts if not read(part).role and not split_told(part)))


def sides_of(tree: Tree) -> tuple[list[Placed], list[Placed]]:
    """All images and all masks, as the names of files and folders say."""
    sides: dict[Role, list[Placed]] = {"image": [], "mask": []}
    for path in tree.pictures:
        parts = tree.parts(path)
        role, placed = by_affix(path, inner_split(parts), ())
        named = next((part for part in reversed(parts) if read(part).role), "")
        sides["mask" if read(named).role == "mask" else role].append(placed)
    return told_apart(tree, sides["image"]), told_apart(tree, sides["mask"])


def voc(tree: Tree) -> list[Reading]:
    """JPEGImages + SegmentationClass, by the lists in ImageSets/Segmentation, as Pascal VOC has them"""
    return numbered([from_rows(tree, "voc", rows)._replace(sure=True) for rows in voc_rows(tree)])


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
    return numbered(found)


def voc_rows(tree: Tree) -> Iterator[list[Row]]:
    """The lines of the lists of each VOC tree."""
    end = "ImageSets/Segmentation/train.txt"
    for path in tree.with_suffix(end):
        top, rows = path[: -len(end)], []
        for split in SPLITS:
            listing = f"{path[: -len('train.txt')]}{split}.txt"
            for stem in lists.lines(tree, listing) if listing in tree.known else ():
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


def listed(tree: Tree) -> list[Reading]:
    """train.txt, val.txt and test.txt, with the name of an image, or an image and its mask, in each line"""
    found = []
    for files in lists.of_splits(tree).values():
        if {"train", "val"} <= files.keys():
            files = {split: path for split, path in files.items() if split != "trainval"}
        found.append([row for split, path in files.items() for row in lists.listed(tree, path, split)])
    return numbered([from_rows(tree, "listed", rows) for rows in found])


def splits_csv(tree: Tree) -> list[Reading]:
    """splits.csv in the folder, or in FOLDER.segtrain beside it, with the columns image, mask and split"""
    for path in (tree.root / "splits.csv", beside_root(tree.root) / "splits.csv"):
        if path.is_file():
            rows = lists.rows(tree, lists.text_of(path), str(path), united=True)
            return [coco.painted(tree, from_rows(tree, "splits_csv", rows))]
    return []


def csv(tree: Tree) -> list[Reading]:
    """A table with the columns image, mask and perhaps split"""
    paths = [path for path in tree.with_suffix(".csv") if path != "splits.csv"]
    found = numbered([from_rows(tree, "csv", lists.table(tree, path)) for path in paths])
    return [each._replace(sure=4 * len(each.pairs) >= len(tree.pictures)) for each in found]


def coco_json(tree: Tree) -> list[Reading]:
    """Images with polygons or run lengths in a JSON file, as COCO has them"""
    return coco.readings(tree)


LAYOUTS: dict[str, Callable[[Tree], list[Reading]]] = {
    "splits_csv": splits_csv,
    "home": home,
    "by_split": by_split,
    "split_names": split_names,
    "voc": voc,
    "voc_sbd": voc_sbd,
    "cityscapes": cityscapes,
    "cityscapes_train_ids": cityscapes_train_ids,
    "csv": csv,
    "listed": listed,
    "coco_json": coco_json,
    "flat": flat,
    "repeated": repeated,
    "objects": objects,
    "beside": beside,
    "one_folder": one_folder,
    "by_stem": by_stem,
    "by_ending": by_ending,
}


def readings(root: Path, *, outside: bool = False) -> list[Reading]:
    """What every layout that finds pairs makes of a folder: the most pairs first, then the fewest left over.

    Of two layouts that find the same, the first in `LAYOUTS` stands for both. `splits.csv` is before all others.

    Args:
        outside: whether lists may name files outside the root.
    """
    tree = Tree(root, outside=outside)
    found: dict[frozenset[tuple[str, str, str]], Reading] = {}
    for name, layout in LAYOUTS.items():
        if name in LOOSE and any(2 * len(reading.pairs) == len(tree.pictures) for reading in found.values()):
            break  # folders tell all
        for reading in layout(tree):
            same = frozenset((s, str(p.image), str(p.mask)) for s, pairs in reading.splits.items() for p in pairs)
            if same and not (same in found and rank(found[same]) <= rank(reading)):
                found[same] = reading
    return [with_lists(tree, reading) for reading in best_first(list(found.values()))]


def with_lists(tree: Tree, reading: Reading) -> Reading:
    """A reading without splits with those of lists that name no images for training: valid.txt; the rest is train."""
    lone = [files for files in lists.of_splits(tree).values() if not {"train", "trainval"} & files.keys()]
    if reading.splits.keys() != {""} or not lone:
        return reading
    rows = (row for files in lone for split, path in files.items() for row in lists.listed(tree, path, split))
    listed = {tree.path(row.image): row.split for row in rows if row.image}
    rest = "train" if "val" in listed.values() else "trainval"
    splits = defaultdict(list)
    for pair in reading.pairs:
        splits[listed.get(pair.image, rest)].append(pair)
    return reading._replace(splits=in_order(splits)) if len(splits) > 1 and rest in splits else reading


def not_used(root: Path, reading: Reading) -> list[str]:
    """The pictures below the root, seen from there, of which a reading says nothing."""
    tree = Tree(root)
    masks = (pair.mask if isinstance(pair.mask, Path) else pair.mask.path for pair in reading.pairs)
    said = {*masks, *(pair.image for pair in reading.pairs), *reading.images, *reading.masks, *reading.unlabelled}
    return [p for p in tree.pictures if tree.path(p) not in said and tree.path(posixpath.dirname(p)) not in said]


def numbered(found: list[Reading]) -> list[Reading]:
    """Several readings of one layout under names of their own; lists of which not half are found are none of images."""
    found = [each for each in found if len(each.pairs) > len(each.images) + len(each.masks)]
    return [each._replace(layout=f"{each.layout}:{i}") if i else each for i, each in enumerate(found)]


def beside_root(root: Path) -> Path:
    """Where the description of a folder stands that cannot be written to."""
    return root.resolve().with_name(f"{root.resolve().name}.segtrain")


# --- what they share --------------------------------------------------------------------------------------------------


def in_folders(tree: Tree, layout: str, divide: Divide) -> list[Reading]:
    """The readings of a layout with folders for images and folders for masks."""
    sides: dict[str, list[Placed]] = {"image": [], "mask": []}
    apart: dict[str, list[Path]] = {"image": [], "mask": []}  # what the layout has no place for
    for spot in spots(tree):
        place = divide(spot)
        if place:
            sides[spot.role].append(Placed(spot.path, *place, spot.folder))
        else:
            apart[spot.role].append(tree.path(spot.path))
    found = matches(sides["image"], sides["mask"])
    return [as_reading(tree, layout, each, apart["image"], apart["mask"]) for each in found if each.pairs]


def inner_split(parts: tuple[str, ...]) -> str:
    """The split that the innermost of these folders names: TrainVal_images/train_images is train."""
    return next(filter(None, map(split_told, reversed(parts))), "")


def without_split(parts: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The split that the first of these folders names, and the others."""
    for i, part in enumerate(parts):
        if split := split_named(part):
            return split, parts[:i] + parts[i + 1 :]
    return "", parts
