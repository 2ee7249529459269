"""What a layout makes of a folder: pairs with names, by split, and what is left over."""

import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..files.masks import Mask, MaskFile
from ..files.pair import Pair
from ..files.united import UnitedMask
from .pairing import Match, Placed, bare
from .tree import Tree
from .words import SPLIT_WORDS, SPLITS, first_word, parse_name, split_named

ORDER = (*SPLITS, "trainval", "")


class Reading(NamedTuple):
    """What one layout makes of a folder.

    Attributes:
        layout: its name, as typed in data.layout=NAME.
        splits: the pairs by train, val, test or trainval; by "" where the layout has no splits.
        images: that have no mask in this reading; files among them that are not there stand in a list.
        masks: that have no image in it.
        unlabelled: images of a test or val split that has no masks at all, as benchmarks publish it; left out.
        classes: the content of a `classes.yaml`, where the layout itself knows it.
        sure: whether the layout was made for data like these, or a list tells most of what is there.
    """

    layout: str
    splits: dict[str, list[Pair]]
    images: list[Path]
    masks: list[Path]
    classes: dict[str, Any] | None = None
    unlabelled: Sequence[Path] = ()
    sure: bool = False

    @property
    def kind(self) -> str:
        """The layout without what chooses among its folders."""
        return self.layout.partition(":")[0]

    @property
    def pairs(self) -> list[Pair]:
        return [pair for pairs in self.splits.values() for pair in pairs]


class Row(NamedTuple):
    """A line of a list: paths below the root, empty where there is no such file; the split; what stands there."""

    image: str
    mask: str
    split: str
    text: str


def as_reading(
    tree: Tree, layout: str, found: Match, images: Iterable[Path] = (), masks: Iterable[Path] = ()
) -> Reading:
    """A match with names: the folders shared by image and mask and the image's own name, if that tells all apart.

    Where some pairs have a split, those that have none are left over: they may be of any.
    """
    found = with_named_splits(found)
    named = [both for both in found.pairs if both[0].split]
    apart = [both for both in found.pairs if named and not both[0].split]  # belongs to no split, and to none here
    pairs = named or found.pairs
    splits: dict[str, list[Pair]] = defaultdict(list)
    for name, (image, mask) in zip(unique_names([image for image, _ in pairs]), pairs, strict=True):
        splits[image.split].append(Pair(name, tree.path(image.path), mask_at(tree, mask.path)))
    labelled = {picture.split for pair in pairs for picture in pair} | {mask.split for mask in found.masks}
    unlabelled = {image for image in found.images if image.split in {"val", "test"} - labelled}
    further = beyond(pairs, [image for image in found.images if image not in unlabelled], found.masks)
    left_out = unlabelled | further

    def left(more: Iterable[Path], side: Iterable[Placed]) -> list[Path]:
        return sorted([*more, *(tree.path(picture.path) for picture in side if picture not in left_out)])

    return Reading(
        f"{layout}:{found.variant}" if found.variant else layout,
        in_order(splits),
        left(images, [*found.images, *(image for image, _ in apart)]),
        left(masks, [*found.masks, *(mask for _, mask in apart)]),
        unlabelled=sorted(tree.path(image.path) for image in unlabelled),
    )


def mask_at(tree: Tree, path: str) -> Mask:
    """The mask in a file, which need not be there if a list names it, or in all files of a folder together."""
    files = tuple(tree.path(file) for file in tree.below(path)) if path not in tree.known else ()
    return UnitedMask(tree.path(path), files) if files else MaskFile(tree.path(path))


def with_named_splits(found: Match) -> Match:
    """With the splits that the names of all images begin with, where no folder tells them: train_1.bmp, testA_1.bmp."""
    pictures = [*(picture for pair in found.pairs for picture in pair), *found.images, *found.masks]
    splits = {picture.path: SPLIT_WORDS.get(first_word(picture.stem), "") for picture in pictures}
    of_images = {splits[image.path] for image in (*(image for image, _ in found.pairs), *found.images)}
    if any(picture.split for picture in pictures) or "" in of_images or not {"train", "test"} <= of_images:
        return found

    def placed(picture: Placed) -> Placed:
        return picture._replace(split=splits[picture.path])

    pairs = [(placed(image), placed(mask)) for image, mask in found.pairs]
    return found._replace(pairs=pairs, images=[*map(placed, found.images)], masks=[*map(placed, found.masks)])


def beyond(pairs: Sequence[tuple[Placed, Placed]], images: Sequence[Placed], masks: Sequence[Placed]) -> set[Placed]:
    """Those left over that belong to an image which has its mask: masks of its name, and pictures that are named like
    it or its mask, with the same ending as many others: x_superpixels.png."""
    if not images and not masks:
        return set()
    known = {(picture.split, name) for pair in pairs for picture in pair for name in (picture.stem, bare(picture.stem))}
    found = {mask for mask in masks if (mask.split, bare(mask.stem)) in known}
    endings: dict[str, list[Placed]] = defaultdict(list)
    for picture in (*images, *masks):
        for cut in re.finditer(r"[\W_]+(?=[^\W\d_])", picture.stem):
            if (picture.split, picture.stem[: cut.start()]) in known:
                endings[picture.stem[cut.start() :]].append(picture)
    usual = (same for same in endings.values() if len(same) >= max(3, 0.2 * len(pairs)))
    return found.union(*usual)


def in_order(splits: Mapping[str, Iterable[Pair]]) -> dict[str, list[Pair]]:
    return {split: sorted(splits[split], key=lambda pair: pair.name) for split in sorted(splits, key=ORDER.index)}


def unique_names(images: Sequence[Placed]) -> list[str]:
    """Of the shared folders and the stem; of the whole path, without suffix or with it, where that is not unique."""
    names: list[str] = []
    for name in (lambda i: "/".join((*i.parts, i.stem)), lambda i: posixpath.splitext(i.path)[0], lambda i: i.path):
        names = [name(image).lstrip("/") for image in images]
        if max(Counter(zip((image.split for image in images), names, strict=True)).values(), default=1) == 1:
            break
    return names


def from_rows(tree: Tree, layout: str, rows: Iterable[Row]) -> Reading:
    """What a list makes of a folder; a line that names the same image again in its split counts once."""
    found: dict[tuple[str, str], tuple[Placed, Placed]] = {}
    alone: list[Placed] = []
    images, masks = [], []
    for row in rows:
        parts = tuple(part for part in tree.parts(row.image) if not parse_name(part).role and not split_named(part))
        image, mask = (Placed(path, row.split, parts, "") for path in (row.image, row.mask))
        if row.image and row.mask:
            found[row.split, row.image] = image, mask
        elif row.image:
            alone.append(image)
        elif row.mask:
            masks.append(tree.path(row.mask))
        else:
            images.append(tree.path(row.text))
    return as_reading(tree, layout, Match(list(found.values()), alone, []), images, masks)


def numbered(readings: Sequence[Reading]) -> list[Reading]:
    """Several readings of one layout, under names of their own: voc, voc:1, voc:2."""
    return [reading._replace(layout=f"{reading.layout}:{i}") if i else reading for i, reading in enumerate(readings)]


def mostly_found(readings: Sequence[Reading]) -> list[Reading]:
    """Without those of lists of which not half is there: they list something else than images."""
    return [reading for reading in readings if len(reading.pairs) > len(reading.images) + len(reading.masks)]
