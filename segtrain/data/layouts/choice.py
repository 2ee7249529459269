"""A data folder is opened: listed once, paired by every layout that fits, and one of the readings is chosen."""

import posixpath
import shlex
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from ...errors import UserError
from ..files.coco import Order
from . import folders, lists, published
from .class_masks import class_masks
from .coco import coco_json
from .ranking import LOOSE, NAMED, best_first, equals, rank
from .reading import Reading, mask_files
from .strays import without_strays
from .tree import PACKED, Tree
from .words import parse_name

SHOWN = 4  # folders or kinds of files in a message

LAYOUTS: dict[str, Callable[[Tree], list[Reading]]] = {
    "splits_csv": lists.splits_csv,
    "home": folders.home,
    "by_split": folders.by_split,
    "split_names": folders.split_names,
    "voc": published.voc,
    "voc_sbd": published.voc_sbd,
    "cityscapes": published.cityscapes,
    "cityscapes_train_ids": published.cityscapes_train_ids,
    "csv": lists.csv_table,
    "listed": lists.listed,
    "coco_json": coco_json,
    "class_masks": class_masks,
    "flat": folders.flat,
    "repeated": folders.repeated,
    "objects": folders.objects,
    "beside": folders.beside,
    "one_folder": folders.one_folder,
    "by_stem": folders.by_stem,
    "by_ending": folders.by_ending,
}


class OpenFolder(NamedTuple):
    """A data folder whose files were listed once, the chosen way to pair its images with masks, and all, best first."""

    tree: Tree
    reading: Reading
    readings: list[Reading]

    @property
    def root(self) -> Path:
        return self.tree.root

    @property
    def equals(self) -> list[Reading]:
        """The readings between which nothing decides, the best among them; only one where something does."""
        return equals(self.readings)

    def not_used(self) -> list[str]:
        """The pictures of which the reading says nothing, as paths below the root."""
        named: set[Path] = {*self.reading.images, *self.reading.masks, *self.reading.unlabelled, *self.reading.strays}
        for pair in self.reading.pairs:
            named |= {pair.image, pair.mask.path, *mask_files(pair.mask)}
        path = self.tree.path
        return [name for name in self.tree.pictures if not {path(name), path(posixpath.dirname(name))} & named]


def open_folder(
    root: Path, layout: str | None = None, *, outside: bool = False, order: Order = "area", ties: bool = False
) -> OpenFolder:
    """List a folder, and choose how its images and masks belong together.

    Args:
        layout: A name in `LAYOUTS`, and after a colon which of its folders where several would do; `None` takes the
            best reading. FileNotFoundError if it finds nothing.
        outside, order: As in `Tree`.
        ties: Whether the first of several readings that are equally good is taken, rather than refused.
    """
    tree = Tree(root, outside=outside, order=order)
    readings = [lists.with_lists(tree, reading) for reading in best_first(all_readings(tree))]
    readings = [reading for reading in readings if reading.content != "differs" or reading.kind == layout]
    if not readings:
        raise FileNotFoundError(nothing_found(tree))
    reading = without_strays(chosen(root, readings, layout, ties=ties))
    return OpenFolder(tree, reading, readings)


def all_readings(tree: Tree) -> list[Reading]:
    """What every layout makes of the files. Of layouts that find the same, the best stands for all."""
    readings: dict[frozenset[tuple[str, str, str]], Reading] = {}
    for name, layout in LAYOUTS.items():
        if name in LOOSE and any(2 * len(reading.pairs) == len(tree.pictures) for reading in readings.values()):
            break  # folders tell all
        for reading in layout(tree):
            files = files_of(reading)
            if files and (files not in readings or tells_more(reading, readings[files])):
                readings[files] = reading
    return list(readings.values())


def tells_more(reading: Reading, other: Reading) -> bool:
    """Whether a reading says more about the same pairs than one of an earlier layout: names that fit anywhere do not
    replace what folders tell, which knows the files without a partner."""
    return reading.kind not in NAMED and rank(reading) < rank(other)


def files_of(reading: Reading) -> frozenset[tuple[str, str, str]]:
    """(split, image, mask) of each pair."""
    files: set[tuple[str, str, str]] = set()
    for split, pairs in reading.splits.items():
        files.update((split, str(pair.image), pair.mask.name) for pair in pairs)
    return frozenset(files)


def chosen(root: Path, readings: Sequence[Reading], layout: str | None, *, ties: bool) -> Reading:
    """The reading of this layout, or the best one."""
    if layout is not None:
        readings = [reading for reading in readings if layout in (reading.layout, reading.kind)]
        if not readings and layout.partition(":")[0] not in LAYOUTS:
            raise UserError(f"data.layout={layout}: there is no such layout ({', '.join(LAYOUTS)})")
        if not readings:
            raise FileNotFoundError(f"data.layout={layout}: it finds no pairs in {root}")
    equal = equals(readings)
    if len(equal) > 1 and not ties:
        ways = ", ".join(f"{reading.layout} ({len(reading.pairs)} pairs)" for reading in equal)
        example = shlex.quote(f"data.layout={equal[0].layout}")
        raise UserError(f"{root} can be read in several ways, {ways}: choose one, such as {example}")
    return readings[0]


def nothing_found(tree: Tree) -> str:
    """What is there, where no layout finds an image with its mask; and what to do."""
    root = tree.root
    expected = f"expected {root}/images/train with {root}/masks/train, or another layout of docs/data.md"
    if not tree.pictures:
        return f"{root}: no images found{held_instead(tree)}; {expected}"
    folders = Counter(posixpath.dirname(path) or "." for path in tree.pictures).most_common(SHOWN)
    places = ", ".join(f"{number} in {folder}" for folder, number in folders)
    message = f"{root}: no image has a mask: {len(tree.pictures)} pictures ({places}); {expected}, or list them in "
    message += f"{root}/splits.csv with the header image,mask,split"
    if parse_name(root.resolve().name).role:
        message += f"; or do images and masks lie in {root.resolve().parent}?"
    return message


def held_instead(tree: Tree) -> str:
    """The kinds of files in a folder without pictures, as the middle of a sentence."""
    kinds = Counter(posixpath.splitext(path)[1].lower() for path in tree.files).most_common(SHOWN)
    if not kinds:
        return ""
    held = ", ".join(f"{number} {kind or 'files'}" for kind, number in kinds)
    hint = ": unpack them" if PACKED & dict(kinds).keys() else ""
    return f", but {held}{hint}"
