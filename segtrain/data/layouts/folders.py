"""Layouts that the names of folders and files tell. Each is a small function of the files; none knows another."""

import posixpath
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from .pairing import (
    Match,
    Placed,
    Spot,
    by_affix,
    by_endings,
    by_suffix,
    by_variant,
    matches,
    spots,
    told_apart,
)
from .reading import Reading, as_reading
from .tree import Tree
from .words import Role, parse_name, split_named, split_told

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
        split = parse_name(spot.folder).split
        return (split, spot.above + spot.below) if split else None

    return in_folders(tree, "split_names", divide)


def flat(tree: Tree) -> list[Reading]:
    """images + masks"""

    def divide(spot: Spot) -> tuple[str, tuple[str, ...]] | None:
        split = parse_name(spot.folder).split or without_split(spot.below)[0]
        return None if spot.above or split else ("", spot.below)

    return in_folders(tree, "flat", divide)


def repeated(tree: Tree) -> list[Reading]:
    """PARENT/images + PARENT/masks below any number of parents, of which one may be a split"""

    def divide(spot: Spot) -> tuple[str, tuple[str, ...]]:
        split, parts = without_split(spot.above + spot.below)
        return parse_name(spot.folder).split or split, parts

    return in_folders(tree, "repeated", divide)


def objects(tree: Tree) -> list[Reading]:
    """PARENT/images/x + PARENT/masks/*, one image and a mask for each object in it, which become one mask"""
    pairs, masks = [], 0
    for parent, names in tree.children.items():
        roles: dict[str, list[str]] = {"image": [], "mask": []}
        for name in names:
            roles.setdefault(parse_name(name).role, []).append(posixpath.join(parent, name))
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
        roles = {parse_name(name).role for name in names}
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
        side = masks if parse_name(name).role == "mask" else images
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
    return picture._replace(parts=tuple(part for part in parts if not parse_name(part).role and not split_told(part)))


def sides_of(tree: Tree) -> tuple[list[Placed], list[Placed]]:
    """All images and all masks, as the names of files and folders say."""
    sides: dict[Role, list[Placed]] = {"image": [], "mask": []}
    for path in tree.pictures:
        parts = tree.parts(path)
        role, placed = by_affix(path, inner_split(parts), ())
        named = next((part for part in reversed(parts) if parse_name(part).role), "")
        sides["mask" if parse_name(named).role == "mask" else role].append(placed)
    return told_apart(tree, sides["image"]), told_apart(tree, sides["mask"])


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
