"""Layouts that the names of folders and files tell. Each is a small function of the files; none knows another."""

import posixpath
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path

from .pairing import (
    Match,
    Pairs,
    Placed,
    Spot,
    by_affix,
    by_endings,
    by_suffix,
    by_variant,
    matches,
    spots,
    stem_of,
    suffix_of,
    told_apart,
)
from .reading import Reading, as_reading
from .tree import Tree
from .words import Role, file_role, first_split, innermost_role, parse_name, split_named

Division = tuple[str, tuple[str, ...]]  # split, folders shared with the partner


def home(tree: Tree) -> list[Reading]:
    """images/SPLIT + masks/SPLIT"""

    def divide(spot: Spot) -> Division | None:
        if not spot.below or not split_named(spot.below[0]):
            return None
        return split_named(spot.below[0]), spot.above + spot.below[1:]

    return in_folders(tree, "home", divide)


def by_split(tree: Tree) -> list[Reading]:
    """SPLIT/images + SPLIT/masks"""

    def divide(spot: Spot) -> Division | None:
        if not spot.above or not split_named(spot.above[-1]):
            return None
        return split_named(spot.above[-1]), spot.above[:-1] + spot.below

    return in_folders(tree, "by_split", divide)


def split_names(tree: Tree) -> list[Reading]:
    """train + trainannot, or train_images + train_masks, and likewise val and test"""

    def divide(spot: Spot) -> Division | None:
        split = parse_name(spot.folder).split
        return (split, spot.above + spot.below) if split else None

    return in_folders(tree, "split_names", divide)


def flat(tree: Tree) -> list[Reading]:
    """images + masks"""

    def divide(spot: Spot) -> Division | None:
        split = parse_name(spot.folder).split or without_split(spot.below)[0]
        return None if spot.above or split else ("", spot.below)

    return in_folders(tree, "flat", divide)


def repeated(tree: Tree) -> list[Reading]:
    """PARENT/images + PARENT/masks below any number of parents, of which one may be a split"""

    def divide(spot: Spot) -> Division:
        split, parts = without_split(spot.above + spot.below)
        return parse_name(spot.folder).split or split, parts

    return in_folders(tree, "repeated", divide)


def objects(tree: Tree) -> list[Reading]:
    """PARENT/images/x + PARENT/masks/*, one image and a mask for each object in it, which become one mask"""
    pairs: Pairs = []
    images_alone: list[tuple[str, Placed]] = []  # with the folder that their parents lie in
    masks_alone: list[tuple[str, Placed]] = []
    number = 0
    for parent in tree.children:
        images = list(chain.from_iterable(map(tree.below, tree.named_after("image", parent))))
        masks = list(chain.from_iterable(map(tree.below, tree.named_after("mask", parent))))
        home, place = posixpath.dirname(parent), without_split(tree.parts_of_folder(parent))
        if len(images) == len(tree.named_after("mask", parent)) == 1 and masks:
            image = Placed(images[0], *place, "")
            pairs.append((image, image._replace(path=tree.named_after("mask", parent)[0])))
            number += len(masks)
        elif len(images) == 1 and not masks:
            images_alone.append((home, Placed(images[0], *place, "")))
        elif masks and not images:
            masks_alone.append((home, Placed(masks[0], *place, "")))
    if number <= len(pairs):
        return []
    homes = {posixpath.dirname(posixpath.dirname(mask.path)) for _, mask in pairs}
    used = {image.path for image, _ in pairs}  # images/images/x lies below two folders of images
    without_mask = [image for home, image in images_alone if home in homes and image.path not in used]
    used.update(image.path for image in without_mask)  # labels/images/x below a folder of masks as well
    without_image = [mask for home, mask in masks_alone if home in homes and mask.path not in used]
    return [as_reading(tree, "objects", Match(pairs, without_mask, without_image))]


def beside(tree: Tree) -> list[Reading]:
    """A folder for masks; the images lie beside it, or in one folder beside it, whatever its name."""
    homes: set[tuple[str, ...]] = set()
    for parent in tree.children:
        if tree.named_after("mask", parent) and not tree.named_after("image", parent):
            homes.add(tree.parts_of_folder(parent))
    if not homes:
        return []
    sides: dict[Role, list[Placed]] = {"image": [], "mask": []}
    apart: list[Path] = []
    for path in tree.pictures:
        parts = tree.parts(path)
        depth = next((i for i in range(len(parts), -1, -1) if parts[:i] in homes), None)
        if depth is None:
            apart.append(tree.path(path))
            continue
        below, folder = parts[depth:], ""
        if below and not split_named(below[0]):
            folder, *below = below
        role = "mask" if parse_name(folder).role == "mask" else "image"
        sides[role].append(Placed(path, *without_split((*parts[:depth], *below)), folder))
    return readings(tree, "beside", matches(sides["image"], sides["mask"]), apart)


def one_folder(tree: Tree) -> list[Reading]:
    """Image and mask in one folder: x.jpg + x_mask.png, x.png + x_L.png, mask_x.png, x.jpg + x.png, x/img + x/mask"""
    if not any(file_role(stem_of(path))[0] == "mask" for path in tree.pictures):
        return same_stem(tree)
    sides: dict[Role, list[Placed]] = {"image": [], "mask": []}
    for path in tree.pictures:
        role, placed = by_affix(path, *without_split(tree.parts(path)))
        sides[role].append(placed)
    return readings(tree, "one_folder", matches(sides["image"], sides["mask"])) or same_stem(tree)


def same_stem(tree: Tree) -> list[Reading]:
    """Image and mask in one folder that differ in their suffix alone."""
    if len({suffix_of(path) for path in tree.pictures}) < 2:
        return []
    folders: dict[str, list[Placed]] = defaultdict(list)
    for path in tree.pictures:
        folders[posixpath.dirname(path)].append(Placed(path, *without_split(tree.parts(path)), ""))
    whole = Match([], [], [])
    for match in map(by_suffix, folders.values()):
        whole.pairs.extend(match.pairs)
        whole.images.extend(match.images)
        whole.masks.extend(match.masks)
    return readings(tree, "one_folder", [whole])


def by_stem(tree: Tree) -> list[Reading]:
    """Image and mask anywhere; the name of a file or of a folder says which is a mask, the rest is shared"""
    images, masks = sides_of(tree)
    return readings(tree, "by_stem", by_variant(images, masks) or outside_of_splits(images, masks))


def outside_of_splits(images: list[Placed], masks: list[Placed]) -> list[Match]:
    """Matches of images with masks that may lie outside the folders of the splits; the image's split is the pair's."""
    splits = {image.path: image.split for image in images}
    images = [image._replace(split="") for image in images]
    masks = [mask._replace(split="") for mask in masks]
    in_splits: list[Match] = []
    for match in by_variant(images, masks):
        pairs = [(image._replace(split=splits[image.path]), mask) for image, mask in match.pairs]
        in_splits.append(match._replace(pairs=pairs))
    return in_splits


def by_ending(tree: Tree) -> list[Reading]:
    """Image and mask anywhere; a mask is named like its image, with anything behind it"""
    images, masks = sides_of(tree)
    return readings(tree, "by_ending", by_endings([*images, *masks]))


def sides_of(tree: Tree) -> tuple[list[Placed], list[Placed]]:
    """All images and all masks, as the names of files and folders say."""
    sides: dict[Role, list[Placed]] = {"image": [], "mask": []}
    for path in tree.pictures:
        parts = tree.parts(path)
        inner_split = first_split(reversed(parts))  # TrainVal_images/train_images is train
        role, placed = by_affix(path, inner_split, ())
        if innermost_role(parts) == "mask":
            role = "mask"
        sides[role].append(placed)
    return told_apart(tree, sides["image"]), told_apart(tree, sides["mask"])


def in_folders(tree: Tree, layout: str, divide: Callable[[Spot], Division | None]) -> list[Reading]:
    """The readings of a layout with folders for images and folders for masks, where `divide` has a place for them."""
    sides: dict[Role, list[Placed]] = {"image": [], "mask": []}
    apart: dict[Role, list[str]] = {"image": [], "mask": []}
    for spot in spots(tree):
        pictures, place = tree.by_folder[spot.path], divide(spot)
        if place:
            sides[spot.role].extend(Placed(path, *place, spot.folder) for path in pictures)
        else:
            apart[spot.role].extend(pictures)
    if not sides["image"] or not sides["mask"]:
        return []
    images, masks = (list(map(tree.path, apart[role])) for role in ("image", "mask"))
    return readings(tree, layout, matches(sides["image"], sides["mask"]), images, masks)


def readings(
    tree: Tree, layout: str, matches: Iterable[Match], images: Sequence[Path] = (), masks: Sequence[Path] = ()
) -> list[Reading]:
    """A reading for each match that has pairs; `images` and `masks` are what the layout has no place for."""
    return [as_reading(tree, layout, match, images, masks) for match in matches if match.pairs]


def without_split(parts: tuple[str, ...]) -> Division:
    """The split that the first folder to name one names, and the other folders."""
    for i, part in enumerate(parts):
        if split := split_named(part):
            return split, parts[:i] + parts[i + 1 :]
    return "", parts
