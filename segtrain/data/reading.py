"""What a layout makes of a folder: pairs with names, by split, and what is left over."""

import posixpath
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .pairing import Match, Placed, folders_of
from .source import Pair
from .tree import Tree
from .words import SPLITS, read, split_named

ORDER = (*SPLITS, "trainval", "")


class Reading(NamedTuple):
    """What one layout makes of a folder.

    Attributes:
        layout: its name, as typed in data.layout=NAME.
        splits: the pairs by train, val, test or trainval; by "" where the layout has no splits.
        images: that have no mask in this reading; files among them that are not there stand in a list.
        masks: that have no image in it.
        unlabelled: images of a test split that has no masks at all, as benchmarks publish it; they are left out.
        classes: the content of a `classes.yaml`, where the layout itself knows it.
    """

    layout: str
    splits: dict[str, list[Pair]]
    images: list[Path]
    masks: list[Path]
    classes: dict[str, Any] | None = None
    unlabelled: Sequence[Path] = ()

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
    named = [both for both in found.pairs if both[0].split]
    apart = (
        [both for both in found.pairs if not both[0].split] if named else []
    )  # belongs to no split, and to none here
    pairs = named or found.pairs
    splits: dict[str, list[Pair]] = defaultdict(list)
    for name, (image, mask) in zip(unique_names([image for image, _ in pairs]), pairs, strict=True):
        splits[image.split].append(Pair(name, tree.path(image.path), tree.path(mask.path)))
    labelled = {picture.split for pair in pairs for picture in pair} | {mask.split for mask in found.masks}
    unlabelled = [image for image in found.images if image.split == "test" and "test" not in labelled]
    left = [image for image in found.images if not unlabelled or image.split != "test"]
    return Reading(
        f"{layout}:{found.variant}" if found.variant else layout,
        in_order(splits),
        sorted([*images, *(tree.path(image.path) for image in (*left, *(image for image, _ in apart)))]),
        sorted([*masks, *(tree.path(mask.path) for mask in (*found.masks, *(mask for _, mask in apart)))]),
        unlabelled=[tree.path(image.path) for image in unlabelled],
    )


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
        parts = tuple(part for part in folders_of(row.image) if not read(part).role and not split_named(part))
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
