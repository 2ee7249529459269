"""A data folder is opened: listed once, paired by every layout that fits, and one of the readings is chosen."""

import gc
import posixpath
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ...errors import UserError
from ..files.arrays import SUFFIXES as ARRAYS
from ..files.pair import files_of
from ..files.polygons import Order
from . import folders, lists, published, written
from .class_masks import class_masks
from .coco import coco_json
from .contents import hold_the_same
from .labelme import labelme
from .no_masks import no_masks_text
from .pairing import spots
from .ranking import NAMED, best_first, equals, rank
from .reading import Reading
from .strays import without_strays
from .tree import Tree
from .words import file_role, is_second, parse_name, split_named, tokens
from .yolo import yolo

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
    "listed": written.listed,
    "coco_json": coco_json,
    "class_masks": class_masks,
    "flat": folders.flat,
    "repeated": folders.repeated,
    "objects": folders.objects,
    "beside": folders.beside,
    "one_folder": folders.one_folder,
    "by_stem": folders.by_stem,
    "by_ending": folders.by_ending,
    "yolo": yolo,
    "labelme": labelme,
}
BY_FOLDERS = ("home", "by_split", "split_names", "flat", "repeated")  # where each mask is a file of its own
FURTHER = ("class_masks", "flat", "repeated", "objects", "beside")  # not tried where one of those pairs all pictures
DRAWN = ("yolo", "labelme")  # which are tried where no masks that lie there belong to half of the images


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
        if tells_all(self.reading, self.tree):
            return []
        named: set[Path] = {*self.reading.images, *self.reading.masks, *self.reading.unlabelled, *self.reading.strays}
        for pair in (*self.reading.pairs, *self.reading.unlisted):
            named |= {pair.image, pair.mask.path, *files_of(pair.mask)}
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
        ties: Whether the first of several readings that are equally good is taken, rather than refused; where they
            hold the same, it is anyhow.
    """
    with many_objects():
        return opened(root, layout, outside=outside, order=order, ties=ties)


@contextmanager
def many_objects() -> Iterator[None]:
    """Without the search for circles of objects, which takes a third of the time where millions are made that stay;
    what was noted of names and files meanwhile is let go at the end."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        for noted in (spots, written.written, tokens, parse_name, split_named, file_role):
            noted.cache_clear()
        if was_on:
            gc.enable()


def opened(root: Path, layout: str | None, *, outside: bool, order: Order, ties: bool) -> OpenFolder:
    """What `open_folder` returns."""
    tree = Tree(root, outside=outside, order=order)
    readings = best_first(all_readings(tree, layout))
    if tree.role_arrays and (not readings or drawn_for_people(readings[0]) or names_arrays(readings[0])):
        tree = Tree(root, outside=outside, order=order, arrays=True)
        readings = best_first(all_readings(tree, layout))
    readings = best_first(written.decided(tree, readings, typed=layout is not None))
    readings = [reading for reading in readings if reading.content != "differs" or reading.kind == layout]
    if not readings:
        raise FileNotFoundError(no_masks_text(tree))
    reading = without_strays(chosen(root, readings, layout, ties=ties))
    return OpenFolder(tree, reading, readings)


def drawn_for_people(reading: Reading) -> bool:
    """Whether the folders of all masks say that these are pictures for people, beside which the classes may lie."""
    return all(is_second(pair.mask.path.parent.name) for pair in reading.pairs)


def names_arrays(reading: Reading) -> bool:
    """Whether a list names NumPy's files: others of them in the folder are then pictures too."""
    return any({pair.image.suffix.lower(), pair.mask.path.suffix.lower()} & ARRAYS for pair in reading.pairs)


def all_readings(tree: Tree, wanted: str | None = None) -> list[Reading]:
    """What every layout makes of the files; of layouts that find the same, the best stands for all, but for splits.csv:
    it may have been made from another one, which can be chosen again. The layout `wanted` is tried in any case, and a
    damaged splits.csv is an error only where no other is wanted."""
    readings: dict[object, Reading] = {}
    kind = (wanted or "").partition(":")[0]
    for name, layout in LAYOUTS.items():
        most = max((len(reading.pairs) for reading in readings.values()), default=0)
        if name in NAMED and 2 * most == len(tree.pictures):
            continue  # folders tell all
        if name in FURTHER and name != kind and any(tells_all(reading, tree) for reading in readings.values()):
            continue
        if name in DRAWN and 4 * most >= len(tree.pictures) and name != kind:
            continue
        given_up = name == "splits_csv" and kind not in ("", name)
        for reading in whole_or_none(tree, layout) if given_up else layout(tree):
            key = (name == "splits_csv", reading.told)
            if reading.pairs and (key not in readings or tells_more(reading, readings[key])):
                readings[key] = reading
    return list(readings.values())


def tells_all(reading: Reading, tree: Tree) -> bool:
    """Whether folders alone make all pictures into pairs, and none lies in the folders of two splits."""
    if reading.kind not in BY_FOLDERS or 2 * len(reading.pairs) < len(tree.pictures):
        return False
    return all(len(set(map(split_in, tree.parts_of_folder(folder))) - {""}) < 2 for folder in tree.by_folder)


def split_in(folder: str) -> str:
    """The split that the name of a folder says."""
    return split_named(folder) or parse_name(folder).split


def whole_or_none(tree: Tree, layout: Callable[[Tree], list[Reading]]) -> list[Reading]:
    """What a layout makes of the files, which is nothing if its list is damaged."""
    try:
        return layout(tree)
    except UserError:
        return []


def tells_more(reading: Reading, other: Reading) -> bool:
    """Whether a reading says more about the same pairs than one of an earlier layout: names that fit anywhere do not
    replace what folders tell, which knows the files without a partner."""
    return reading.kind not in NAMED and rank(reading) < rank(other)


def chosen(root: Path, readings: Sequence[Reading], layout: str | None, *, ties: bool) -> Reading:
    """The reading of this layout, or the best one."""
    if layout is not None:
        readings = [reading for reading in readings if layout in (reading.layout, reading.kind)]
        if not readings and layout.partition(":")[0] not in LAYOUTS:
            raise UserError(f"data.layout={layout}: there is no such layout ({', '.join(LAYOUTS)})")
        if not readings:
            raise FileNotFoundError(f"data.layout={layout}: it finds no pairs in {root}")
    equal = equals(readings)
    if not ties:
        equal = [reading for reading in equal if reading is equal[0] or not hold_the_same(equal[0], reading)]
    if len(equal) > 1 and not ties:
        ways = ", ".join(f"{reading.layout} ({len(reading.pairs)} pairs)" for reading in equal)
        example = shlex.quote(f"data.layout={equal[0].layout}")
        raise UserError(f"{root} can be read in several ways, {ways}: choose one, such as {example}")
    return readings[0]
