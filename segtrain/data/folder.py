"""Data in a folder: its layout, its class table, its splits."""

import os
import posixpath
import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from ..errors import UserError
from . import coco
from .classes import ClassTable
from .geometry import Augment, fitting_crop
from .images import MAX_PIXELS
from .layouts import LAYOUTS, Reading, beside_root, readings
from .module import DataModule
from .ranking import equals
from .source import FolderSource, Pair, agree
from .splits import with_splits
from .survey import mask_name
from .tree import PACKED, Tree
from .unusable import unusable
from .words import read, split_named

SHOWN = 4  # folders or kinds of files


class FolderData(DataModule):
    """Images with masks below `root`, in any layout of `LAYOUTS`.

    Args:
        root: the folder.
        layout: a name in `LAYOUTS`, and after a colon which of its folders where several would do; `None` takes the one
            that finds most pairs.
        classes: a class table as `classes.yaml` holds it; `None` reads that file in `root`, or beside it.
        group: a regular expression; of data without splits, images in whose names it matches the same text (its first
            group if it has one) come into one split, so that sequences stay together.
        on_bad: what becomes of files without partner and of pairs that cannot be used: `stop` with an error, or `skip`
            them and list them in `skipped`; then all files are read first.
        outside: whether lists may name files outside `root`.
        max_pixels: of an image or a mask; larger ones are refused by their header.
        channels: of the images as the network sees them; `None`: 1 where all are grey, 3 where any is in colours, or
            the number of those with more. Grey is repeated for 3; of more than these, the first are taken.
        order: in which the objects of a COCO file are painted: `area`, the largest first, so that small ones stay
            visible, or as in the `file`.
        crop: height and width of training crops; `None` takes what `fitting_crop` says of the training images.
        cache: `ram` keeps what was decoded of train and val in memory, which all workers share.

    Attributes:
        reading: what the layout found.
        skipped: the errors for which files were left out.

    Raises:
        FileNotFoundError: for a missing folder, class table or mask.
        UserError: for files that do not fit together.
    """

    def __init__(
        self,
        *,
        root: str,
        layout: str | None = None,
        classes: Mapping[str, Any] | None,
        group: str | None = None,
        on_bad: Literal["stop", "skip"] = "stop",
        outside: bool = False,
        crop: Sequence[int] | None,
        batch_size: int,
        workers: int | Literal["auto"],
        max_pixels: int = MAX_PIXELS,
        channels: int | None = None,
        cache: Literal["ram", "none"] = "none",
        order: coco.Order = "area",
        augment: Augment | None = None,
        seed: int = 0,
    ) -> None:
        if max_pixels < 1:
            raise UserError(f"data.max_pixels={max_pixels}: expected 1 or more")
        pattern = group_pattern(group)
        folder = Path(root)
        self.reading = chosen(folder, readings(folder, outside=outside), layout)
        coco.set_order(self.reading, order)
        table = class_table(folder, classes, self.reading)
        refuse_empty(self.reading)
        alone = unpaired(self.reading)
        if alone and on_bad == "stop":
            raise FileNotFoundError(listed(alone))
        self.skipped = unusable(self.reading, table, max_pixels) if on_bad == "skip" else []
        bad = {finding.file for finding in self.skipped}
        pairs = {
            split: [pair for pair in found if not bad & {str(pair.image), mask_name(pair)}]
            for split, found in with_splits(self.reading.splits, pattern).items()
        }
        splits = {split: FolderSource(found, table, max_pixels, channels) for split, found in pairs.items() if found}
        refuse_overlap(pairs)
        agree(splits.values(), channels)
        for split in {"train", "val"} & splits.keys() if cache == "ram" else ():
            splits[split].keep()
        crop = crop or fitting_crop(splits["train"].sizes if "train" in splits else [])
        super().__init__(splits, table, crop=crop, batch_size=batch_size, workers=workers, augment=augment, seed=seed)


def chosen(root: Path, found: Sequence[Reading], layout: str | None) -> Reading:
    """The reading of a name, or the best one.

    Raises:
        FileNotFoundError: if no layout finds pairs.
        UserError: for a name that finds none, and for two different readings that are equally good.
    """
    if not found:
        raise FileNotFoundError(nothing_found(root))
    if layout is not None:
        found = [reading for reading in found if layout in (reading.layout, reading.layout.partition(":")[0])]
        if not found:
            names = ", ".join(LAYOUTS)
            raise UserError(f"data.layout={layout}: it finds no pairs in {root}, if there is such a layout ({names})")
    equal = equals(found)
    if len(equal) > 1:
        ways = ", ".join(f"{reading.layout} ({len(reading.pairs)} pairs)" for reading in equal)
        raise UserError(
            f"{root} can be read in several ways, {ways}: choose one, such as "
            f"{shlex.quote(f'data.layout={equal[0].layout}')}"
        )
    return found[0]


def nothing_found(root: Path) -> str:
    """What is there, where no layout finds an image with its mask; and what to do."""
    tree = Tree(root)
    layout = f"expected {root}/images/train with {root}/masks/train, or another layout of docs/data.md"
    folders = Counter(posixpath.dirname(path) or "." for path in tree.pictures).most_common(SHOWN)
    if not folders:
        kinds = Counter(posixpath.splitext(path)[1].lower() for path in tree.files).most_common(SHOWN)
        held = ", ".join(f"{number} {kind or 'files'}" for kind, number in kinds)
        packed = ": unpack them" if any(kind in PACKED for kind, _ in kinds) else ""
        return f"{root}: no images found{f', but {held}' if held else ''}{packed}; {layout}"
    held = ", ".join(f"{number} in {folder}" for folder, number in folders)
    above = f"; or do images and masks lie in {root.resolve().parent}?" if read(root.resolve().name).role else ""
    return (
        f"{root}: no image has a mask: {len(tree.pictures)} pictures ({held}); {layout}, or list them in "
        f"{root}/splits.csv with the header image,mask,split{above}"
    )


def refuse_empty(reading: Reading) -> None:
    """Raises UserError for a folder of a split without files, beside one with images."""
    for folder in sorted({pair.image.parent for pair in reading.pairs}):
        for beside in sorted(folder.parent.iterdir()) if split_named(folder.name) else ():
            if split_named(beside.name) and beside.is_dir() and not any(beside.iterdir()):
                raise UserError(f"{beside}: no images in it")


def unpaired(reading: Reading) -> list[tuple[Path, str]]:
    """(file, reason) of each file without its partner."""
    images = [*reading.images, *(pair.image for pair in reading.pairs)]
    top = os.path.commonpath([image.parent for image in images] or [""])
    names: dict[tuple[Path, str], list[str]] = {}
    for image in images:
        names.setdefault((image.parent, image.stem), []).append(image.name)

    def reason(path: Path) -> str:
        same = [name for name in names[path.parent, path.stem] if name != path.name]
        if same:
            return f"and {same[0]} have one name"
        if not path.exists() and not path.is_symlink():
            return "is in a list, but not there"
        placed = "" in reading.splits or any(read(part).split for part in path.relative_to(top).parts)
        return "has no mask" if placed else "is in no split"

    return [(path, reason(path)) for path in reading.images] + [(path, "has no image") for path in reading.masks]


def listed(alone: Sequence[tuple[Path, str]]) -> str:
    """The error about files without partner, of which the first is named."""
    path, reason = alone[0]
    more = f" (and {len(alone) - 1} more files)" if len(alone) > 1 else ""
    return (
        f"{path} {reason}{more}: files are paired by name; `check` lists them all, and data.on_bad=skip goes on "
        "without them"
    )


def group_pattern(group: str | None) -> re.Pattern[str] | None:
    """Raises UserError for what is no regular expression."""
    try:
        return None if group is None else re.compile(group)
    except re.error as error:
        raise UserError(f"data.group={group}: not a regular expression: {error}") from None


def refuse_overlap(splits: Mapping[str, Sequence[Pair]]) -> None:
    """Raises UserError for one file in two splits, be it by a link: what was trained on would score the network."""
    owners: dict[tuple[int, int], tuple[str, Path]] = {}
    for split, pairs in splits.items():
        for pair in pairs:
            facts = pair.image.stat()
            owner, other = owners.setdefault((facts.st_dev, facts.st_ino), (split, pair.image))
            if owner != split:
                raise UserError(f"{pair.image} is the same file as {other}: leave it in one split, {owner} or {split}")


def class_table(root: Path, spec: Mapping[str, Any] | None, reading: Reading | None = None) -> ClassTable:
    """The table in the settings, or else the one in the data folder, beside it, or what the layout says itself."""
    if spec is not None:
        return ClassTable.from_spec(spec, "data.classes")
    for path in (root / "classes.yaml", beside_root(root) / "classes.yaml"):
        if path.is_file():
            return ClassTable.from_file(path)
    if reading is not None and reading.classes is not None:
        return ClassTable.from_spec(reading.classes, f"the classes of {reading.layout}")
    raise FileNotFoundError(
        f"{root / 'classes.yaml'}: missing; it names the classes, for instance: classes: [{{name: background, color: "
        f"[0, 0, 0]}}, {{name: vehicle, color: [64, 0, 128]}}]; `check data.root={root} write=true` proposes one"
    )
