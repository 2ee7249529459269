"""What a layout makes of a folder: pairs with names, by split, and what is left over."""

import hashlib
import posixpath
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeVar

from ..files.masks import Mask, MaskFile
from ..files.packed import Joined, PackedPairs, packed, texts_of
from ..files.pair import Pair
from ..files.united import UnitedMask
from .pairing import Match, Pairs, Placed, bare, images_of
from .tree import Tree, as_stored, texts
from .words import SPLITS, parse_name, split_among, split_named, tokens

T = TypeVar("T")
ORDER = (*SPLITS, "trainval", "")
Content = Literal["", "fits", "unclear", "differs"]


class Reading(NamedTuple):
    """What one layout makes of a folder.

    Attributes:
        layout: The name of the layout, as typed in data.layout=NAME.
        splits: The pairs by train, val, test or trainval; by "" where the layout has no splits.
        images: Images that have no mask in this reading; a file among them that is not there stands in a list.
        masks: Masks that have no image in this reading.
        content: What a few masks say of a layout that has to look at them.
        strays: Pictures among the masks that are none; left out.
        unlabelled: Images of a test or val split that has no masks at all, as benchmarks publish it; left out.
        classes: The content of a `classes.yaml`, where the layout itself knows it.
        sure: Whether the layout was made for data like these, or a list tells most of what is there.
        written: Whether lists that a person wrote say which image is in which split, whatever folders say.
        missing: A file that a list names and that is not there -> what is to be said of it.
        unlisted: Pairs that the lists leave out; they are not used.
        notes: Sentences that a person should read.
    """

    layout: str
    splits: dict[str, Sequence[Pair]]
    images: list[Path]
    masks: list[Path]
    classes: dict[str, Any] | None = None
    unlabelled: Sequence[Path] = ()
    sure: bool = False
    written: bool = False
    missing: Mapping[Path, str] = MappingProxyType({})
    unlisted: Sequence[Pair] = ()
    notes: Sequence[str] = ()
    strays: Sequence[Path] = ()
    content: Content = ""

    @property
    def kind(self) -> str:
        """The name of the layout without what chooses among its folders."""
        return self.layout.partition(":")[0]

    @property
    def pairs(self) -> Sequence[Pair]:
        return Joined(self.splits.values())

    @property
    def told(self) -> str:
        """A hash of split, image and mask of all pairs, by which two readings are the same."""
        lines: set[str] = set()
        for split, pairs in self.splits.items():
            lines.update(f"{split}\n{image}\n{mask}\n" for image, mask in texts_of(pairs))
        told = hashlib.blake2b()
        for line in sorted(lines):
            told.update(line.encode(errors="surrogateescape"))
        return told.hexdigest()


class Row(NamedTuple):
    """A line of a list: paths below the root, empty where there is no such file; the split; the entry as written.

    Attributes:
        where: The list and the line, for people.
        mask_text: The mask as the line names it; empty where it names an image alone.
    """

    image: str
    mask: str
    split: str
    text: str
    where: str = ""
    mask_text: str = ""

    @property
    def no_image(self) -> str:
        """What is said of an image that is not there."""
        return f"is in {self.where or 'a list'}, but there is no such image"

    @property
    def no_mask(self) -> str:
        """What is said of an image whose mask is not there."""
        return f"has no mask: {self.where} names {self.mask_text}, which is not there"


def as_reading(
    tree: Tree, layout: str, match: Match, images: Iterable[Path] = (), masks: Iterable[Path] = ()
) -> Reading:
    """The reading that a match is, with `images` and `masks` that are left over besides those of the match. Where some
    pairs have a split, those that have none are left over: they may be of any."""
    match = with_named_splits(match)
    pairs = [pair for pair in match.pairs if pair[0].split]
    apart = [pair for pair in match.pairs if not pair[0].split]
    if not pairs:
        pairs, apart = apart, []
    labelled = {picture.split for picture in (*chain(*pairs), *match.masks)}
    unlabelled = {image for image in match.images if image.split in {"val", "test"} - labelled}
    left_out = unlabelled | beyond(pairs, [image for image in match.images if image not in unlabelled], match.masks)
    left_images = [image for image in (*match.images, *images_of(apart)) if image not in left_out]
    masks_apart = [mask for _, mask in apart]
    left_masks = [mask for mask in (*match.masks, *masks_apart) if mask not in left_out]
    return Reading(
        f"{layout}:{match.variant}" if match.variant else layout,
        named_pairs(tree, pairs),
        sorted([*images, *paths_of(tree, left_images)]),
        sorted([*masks, *paths_of(tree, left_masks)]),
        unlabelled=sorted(paths_of(tree, unlabelled)),
    )


def paths_of(tree: Tree, pictures: Iterable[Placed]) -> list[Path]:
    return [tree.path(picture.path) for picture in pictures]


def named_pairs(tree: Tree, pairs: Pairs) -> dict[str, Sequence[Pair]]:
    """Split -> pairs with names: the folders shared by image and mask and the image's own, if that tells all apart."""
    images = images_of(pairs)
    splits: dict[str, list[tuple[str, str, str]]] = defaultdict(list)  # name, image and mask
    for name, (image, mask) in zip(unique_names(images), pairs, strict=True):
        splits[image.split].append((as_stored(tree, image.path, name), image.path, mask.path))
    return {split: pairs_at(tree, splits[split]) for split in sorted(splits, key=ORDER.index)}


def pairs_at(tree: Tree, rows: list[tuple[str, str, str]]) -> Sequence[Pair]:
    """Pairs by their name, image and mask, in the order of their names; those with masks in files of their own are
    packed at once, since a list of them would be most of the memory that opening a folder takes."""
    rows.sort(key=itemgetter(0))
    if all(mask in tree.known for *_, mask in rows):
        names, images, masks = zip(*rows, strict=True)
        return PackedPairs(names, texts(tree, images), texts(tree, masks))
    return [Pair(name, tree.path(image), mask_at(tree, mask)) for name, image, mask in rows]


def with_names(tree: Tree, images: Sequence[Placed], masks: Iterable[Mask]) -> list[Pair]:
    """Pairs of images and their masks, under names that tell them apart."""
    pairs: list[Pair] = []
    for name, image, mask in zip(unique_names(images), images, masks, strict=True):
        pairs.append(Pair(as_stored(tree, image.path, name), tree.path(image.path), mask))
    return pairs


def as_placed(tree: Tree, path: str, split: str) -> Placed:
    """An image of a split, with the folders that are a part of its name."""
    return Placed(path, split, telling_folders(tree, path), "")


def mask_at(tree: Tree, path: str) -> Mask:
    """The mask in a file, which need not be there if a list names it, or in all files of a folder together."""
    files = tree.below(path) if path not in tree.known else []
    return UnitedMask(tree.path(path), tuple(map(tree.path, files))) if files else MaskFile(tree.path(path))


def spread(items: Sequence[T], most: int) -> list[T]:
    """Up to `most` of many, from all over."""
    number = min(most, len(items))
    return [items[i * len(items) // number] for i in range(number)]


def mask_files(reading: Reading, suffix: str) -> set[Path]:
    """The masks of a reading that are files of their own, as far as is known, with this suffix in any case."""
    files = {pair.mask.path for pair in reading.pairs if isinstance(pair.mask, MaskFile)}
    return {file for file in files if file.suffix.lower() == suffix}


def with_masks(reading: Reading, files: Collection[Path], stored: Reading) -> Reading:
    """The reading of a list with `files` as masks, which hold shapes: each becomes the mask that `stored`, made from
    these files, has for the image. Images that have nothing there are left over."""
    masks = {(pair.mask.path, pair.image): pair.mask for pair in stored.pairs}
    splits: dict[str, Sequence[Pair]] = {}
    lacking = []
    for split, pairs in reading.splits.items():
        kept: list[Pair] = []
        for pair in pairs:
            if pair.mask.path not in files:
                kept.append(pair)
            elif mask := masks.get((pair.mask.path, pair.image)):
                kept.append(pair._replace(mask=mask))
            else:
                lacking.append(pair.image)
        splits[split] = kept
    notes = [*reading.notes, *stored.notes]
    return reading._replace(splits=splits, images=reading.images + lacking, classes=stored.classes, notes=notes)


def with_named_splits(match: Match) -> Match:
    """A match with the splits that the names of all images begin with, if no folder tells them: train_1, testA_1."""
    if any(picture.split for picture in chain(*match.pairs, match.images, match.masks)):
        return match
    splits = {with_named_split(image).split for image in (*images_of(match.pairs), *match.images)}
    if "" in splits or not {"train", "test"} <= splits:
        return match
    images, masks = map(with_named_split, match.images), map(with_named_split, match.masks)
    pairs = [(with_named_split(image), with_named_split(mask)) for image, mask in match.pairs]
    return match._replace(pairs=pairs, images=list(images), masks=list(masks))


def with_named_split(picture: Placed) -> Placed:
    return picture._replace(split=split_among(tokens(picture.stem)[:1]))


def beyond(pairs: Pairs, images: Sequence[Placed], masks: Sequence[Placed]) -> set[Placed]:
    """The pictures left over that belong to an image which has its mask: masks of its name, and pictures that are named
    like it or its mask, with the same ending as many others: x_superpixels.png."""
    if not images and not masks:
        return set()
    known: set[tuple[str, str]] = set()
    for picture in chain(*pairs):
        known |= {(picture.split, picture.stem), (picture.split, bare(picture.stem))}
    further = {mask for mask in masks if (mask.split, bare(mask.stem)) in known}
    endings: dict[str, list[Placed]] = defaultdict(list)
    for picture in (*images, *masks):
        for mark in re.finditer(r"[\W_]+(?=[^\W\d_])", picture.stem):
            if (picture.split, picture.stem[: mark.start()]) in known:
                endings[picture.stem[mark.start() :]].append(picture)
    for pictures in endings.values():
        if len(pictures) >= max(3, 0.2 * len(pairs)):
            further.update(pictures)
    return further


def in_order(splits: Mapping[str, Iterable[Pair]]) -> dict[str, Sequence[Pair]]:
    """The splits, and in each the pairs by their names."""
    ordered: dict[str, Sequence[Pair]] = {}
    for split in sorted(splits, key=ORDER.index):
        ordered[split] = packed(sorted(splits[split], key=lambda pair: pair.name))
    return ordered


def unique_names(images: Sequence[Placed]) -> list[str]:
    """Names that tell the images of a split apart: of the shared folders and the stem; where that is not enough, of the
    whole path without suffix, or with it."""
    shared = ["/".join((*image.parts, image.stem)).lstrip("/") for image in images]
    paths = [image.path.lstrip("/") for image in images]
    splits = [image.split for image in images]
    for names in (shared, [posixpath.splitext(path)[0] for path in paths]):
        if len(set(zip(splits, names, strict=True))) == len(images):
            return names
    return paths


def from_rows(tree: Tree, layout: str, rows: Iterable[Row]) -> Reading:
    """What a list makes of a folder; a line that names the same image again in its split counts once."""
    pairs: dict[tuple[str, str], tuple[Placed, Placed]] = {}
    alone: list[Placed] = []
    missing: dict[Path, str] = {}
    for row in rows:
        image = as_placed(tree, row.image, row.split)
        if not row.image:
            missing[tree.path(row.text)] = row.no_image
        elif row.mask:
            pairs[row.split, row.image] = image, image._replace(path=row.mask)
        else:
            alone.append(image)
            if row.mask_text:
                missing[tree.path(row.image)] = row.no_mask
    without_mask = {tree.path(image.path) for image in alone}
    absent = [path for path in missing if path not in without_mask]
    return as_reading(tree, layout, Match(list(pairs.values()), alone, []), absent)._replace(missing=missing)


def telling_folders(tree: Tree, path: str) -> tuple[str, ...]:
    """The folders of a picture that say neither image nor mask nor split, and so are a part of its name."""
    return tuple(part for part in tree.parts(path) if not parse_name(part).role and not split_named(part))


def numbered(readings: Sequence[Reading]) -> list[Reading]:
    """Several readings of one layout, under names of their own: voc, voc:1, voc:2."""
    further = [reading._replace(layout=f"{reading.layout}:{i}") for i, reading in enumerate(readings[1:], 1)]
    return [*readings[:1], *further]


def mostly_found(readings: Sequence[Reading]) -> list[Reading]:
    """The readings of lists of which at least half is there; others list something else than images."""
    return [reading for reading in readings if len(reading.pairs) > len(reading.images) + len(reading.masks)]


def unpacked(reading: Reading) -> Reading:
    """The reading with all pairs made once, for those who go through them often."""
    return reading._replace(splits={split: list(pairs) for split, pairs in reading.splits.items()})
