"""Data in a folder: its layout, its class table, its splits."""

import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError
from ..text import Pattern
from . import public
from .batches.augment import Augment
from .batches.cache import is_small
from .batches.module import DataModule
from .batches.source import FolderSource, Source, agree
from .batches.statistics import COUNTING, MEASURING, Advance, Progress, pixels_of
from .classes import SETTINGS, ClassTable
from .files.by_class import ClassMask
from .files.images import MAX_PIXELS, Header
from .files.packed import Joined, texts_of
from .files.pair import Pair
from .files.pictures import Summary
from .files.polygons import Order
from .findings import Finding, unusable
from .layouts.choice import OpenFolder, open_folder
from .layouts.folds import Fold, fold_of, with_fold
from .layouts.reading import Reading
from .layouts.splits import Group, group_of, made_of, with_splits
from .layouts.tree import description_in
from .layouts.words import parse_name, split_named
from .survey.headers import Problem, read_headers
from .survey.measure import examine_image
from .survey.memory import Memory, remembered
from .survey.related import together
from .survey.survey import Survey, readers, survey
from .survey.tally import tally
from .workers import give_back_memory

AUTO: Final = "auto"
HEADERS = "reading headers"
MANY = 20_000  # images; of more, those that belong together are not sought, since all would have to be read first
CUT = "; most images are of one such group, which is cut into consecutive parts"
Wish = Pattern | Literal["auto"] | None  # what images are kept together by


class FolderData(DataModule):
    """Images with masks below a folder, in any layout of `LAYOUTS`; conf/data/folder.yaml says what the settings mean.

    The folder is listed, and its layout and classes are found, at once; headers are read when `splits` is used first.
    Nothing here opens a connection: a new training first downloads public data by `public.provide`.

    Args:
        layout: A name in `LAYOUTS`, and after a colon which of its folders where several would do.
        group: Of data without splits, images in whose names it matches the same text (its first group if it has one)
            come into one split, so that sequences stay together; `auto` finds images that belong together, for which
            all files are read, unless what they hold is remembered; `None`, and `auto` for more than `MANY` images,
            splits by name alone.
        folds: For cross-validation, train and val are shared out to so many parts of nearly equal size, by the same
            groups; the test stays as it is. `None` leaves them as they are.
        fold: The part that is val, counted from 0.
        on_bad: `skip` lists in `skipped` what is left out; all files are read first.
        channels: Grey is repeated for 3; of images with more channels, the first are taken.
        cache: Where images of train and val stay, decoded; `auto` is `ram` where they take up little of it.
        origin: A name in `ORIGINS`.

    Attributes:
        skipped: The errors for which files were left out, once `splits` was used.
    """

    def __init__(
        self,
        *,
        root: str,
        layout: str | None = None,
        classes: Mapping[str, Any] | None,
        group: str | None = None,
        folds: int | None = None,
        fold: int | None = None,
        on_bad: Literal["stop", "skip"] = "stop",
        outside: bool = False,
        crop: Sequence[int] | None,
        batch_size: int | Literal["auto"],
        workers: int | Literal["auto"],
        max_pixels: int = MAX_PIXELS,
        channels: int | None = None,
        cache: Literal["auto", "none", "ram", "disk"] = "none",
        order: Order = "area",
        origin: str | None = None,
        download: bool = False,
        augment: Augment | None = None,
        seed: int = 0,
    ) -> None:
        if max_pixels < 1:
            raise UserError(f"data.max_pixels={max_pixels}: expected 1 or more")
        self.group: Wish = group_pattern(group)
        self.fold = fold_of(folds, fold)
        self.on_bad, self.max_pixels = on_bad, max_pixels
        self.wanted_channels = channels
        self.cache: Literal["auto", "none", "ram", "disk"] = cache
        self.folder = open_root(Path(root), layout, origin, outside=outside, order=order)
        self.skipped: list[Finding] = []
        self._headers: dict[str, Header | Problem] = {}  # by image and mask
        table = class_table(self.folder, classes)
        super().__init__(table, crop=crop, batch_size=batch_size, workers=workers, augment=augment, seed=seed)

    def open_splits(self) -> dict[str, FolderSource]:
        """Raises FileNotFoundError for files without partner, and UserError for files that do not fit together."""
        reading = self.folder.reading
        refuse_empty(reading)
        alone = unpaired(reading)
        if alone and self.on_bad == "stop":
            raise FileNotFoundError(alone_text(alone))
        facts = partial(surveyed, reading.pairs, self.max_pixels, self.progress)
        splits, _ = split_up(reading, self.group, facts, self.fold)
        if self.on_bad == "skip":
            self.skipped = unusable(reading, facts(), self.classes)
            splits = without(splits, {finding.file for finding in self.skipped})
        sources: dict[str, FolderSource] = {}
        with self.progress(HEADERS, sum(map(len, splits.values()))) as advance:
            for split, pairs in splits.items():
                if pairs:
                    headers = self.headers(pairs, advance)
                    sources[split] = FolderSource(pairs, self.classes, self.max_pixels, self.wanted_channels, headers)
        self._headers.clear()
        refuse_overlap(splits)
        agree(sources.values(), self.wanted_channels)
        self.let_go()
        self.keep([sources[split] for split in {"train", "val"} & sources.keys()])
        return sources

    def keep(self, sources: Sequence[FolderSource]) -> None:
        """Have sources that are read again and again keep what they decode, where that was asked for or is cheap."""
        place = self.cache
        if place == AUTO:
            decoded = sum(source.decoded_bytes for source in sources)
            place = "ram" if is_small(self.copies * decoded) else "none"
        if place != "none":
            for source in sources:
                source.keep(place)

    def groups(self, split: str) -> list[str] | None:
        """What a typed pattern of `group` matches in the name of each image."""
        source = self.source(split)
        assert isinstance(source, FolderSource)
        return [group_of(pair, self.group) for pair in source.pairs] if isinstance(self.group, Pattern) else None

    def let_go(self) -> None:
        """Keep of a large folder what a training needs, in little memory."""
        if len(self.folder.tree.files) <= MANY:
            return
        self.folder = self.folder._replace(readings=[])
        self.folder.tree.let_go()
        give_back_memory()

    def summaries(self, source: Source, indices: Sequence[int]) -> list[Summary]:
        """As in `Measured`, but of what was read for a check, or for this before, files are not read again."""
        assert isinstance(source, FolderSource)
        with Memory(remembered()) as memory:
            summaries: list[Summary] = []
            with self.progress(MEASURING, len(indices)) as advance:
                for index in indices:
                    summaries.append(summary_of(source, index, memory))
                    advance(1)
        return summaries

    def count_classes(self, source: Source, indices: Sequence[int]) -> Tensor:
        """As in `Measured`, but masks that were read for a check are not read again."""
        assert isinstance(source, FolderSource)
        counts = torch.zeros(len(self.classes), dtype=torch.int64)
        with Memory(remembered()) as memory, self.progress(COUNTING, len(indices)) as advance:
            for index in indices:
                counts += class_pixels_of(source, index, memory)
                advance(1)
        return counts

    def read_headers(self, pairs: Sequence[Pair], advance: Advance) -> list[Header | Problem]:
        """The header of each image, or why it does not do; none is read again before the splits are open."""
        names = [f"{image} {mask}" for image, mask in texts_of(pairs)]
        if self._headers.keys() >= set(names):
            advance(len(pairs))
        else:
            results = read_headers(
                pairs, max_pixels=self.max_pixels, workers=readers(), cache=remembered(), advance=advance
            )
            self._headers.update(zip(names, results, strict=True))
        return [self._headers[name] for name in names]

    def headers(self, pairs: Sequence[Pair], advance: Advance) -> list[Header]:
        """Raises the error of the first pair that does not do."""
        headers: list[Header] = []
        for result in self.read_headers(pairs, advance):
            if isinstance(result, Exception):
                raise result
            headers.append(result)
        return headers


def surveyed(pairs: Sequence[Pair], max_pixels: int, progress: Progress) -> Survey:
    """What the files hold; those that were read before and have not changed are not read again."""
    with progress("reading images and masks", len(pairs)) as advance:
        return survey(pairs, max_pixels=max_pixels, workers=readers(), cache=remembered(), advance=advance)


def split_up(
    reading: Reading, group: Wish, facts: Callable[[], Survey], fold: Fold | None = None
) -> tuple[dict[str, Sequence[Pair]], str]:
    """Train, val and test, for `check` and `train` alike, and a sentence on how they were made, if the data lack some,
    or for a fold.

    With `auto`, what belongs together decides, but for very many images; `facts` are asked for only where needed.
    """
    whole, pairs = made_of(reading.splits), divided(reading, fold)
    if not pairs:
        return with_splits(reading.splits), ""
    kinds: Sequence[str] = ()
    by = group if group != AUTO else None
    if looks_decide(reading, group, fold):
        found = together(pairs, facts())
        by, kinds = found.names, found.kinds
    splits = with_splits(reading.splits, by)
    if fold:
        splits = with_fold(splits, by, fold)
    is_cut = isinstance(by, Mapping) and spread(splits, by)
    if fold:
        how = fold_text(fold, whole, splits, by, kinds, is_cut=is_cut)
    else:
        how = split_text(whole or "", splits, kinds, is_cut=is_cut)
    if group == AUTO and not looks_decide(reading, group, fold):
        how += f" (images that belong together are not sought among more than {MANY})"
    return splits, how


def divided(reading: Reading, fold: Fold | None) -> Sequence[Pair]:
    """The pairs that are shared out to splits; none where the data say all of them."""
    whole = made_of(reading.splits)
    parts = {whole, "train", "val"} if fold else {whole}
    return Joined(pairs for split, pairs in reading.splits.items() if split in parts)


def looks_decide(reading: Reading, group: Wish, fold: Fold | None = None) -> bool:
    """Whether what images hold decides in which split they are, so that all must be read first. It depends on their
    number alone, so that `check` and `train` agree."""
    return group == AUTO and 0 < len(divided(reading, fold)) <= MANY


def spread(splits: Mapping[str, Sequence[Pair]], names: Mapping[Path, str]) -> bool:
    """Whether one group had to go into several of the splits that were made."""
    splits_of: dict[str, set[str]] = defaultdict(set)
    for split, pairs in splits.items():
        for pair in pairs:
            if pair.image in names:
                splits_of[names[pair.image]].add(split)
    return any(len(several) > 1 for several in splits_of.values())


def split_text(whole: str, splits: Mapping[str, Sequence[Pair]], kinds: Sequence[str], *, is_cut: bool) -> str:
    """How splits were made that the data do not say, and how to have others."""
    reason = {"": "no split is written down", "trainval": "trainval has no val of its own"}.get(
        whole, "there is no val"
    )
    shares = "70 / 15 / 15" if whole == "" and "test" in splits else "85 / 15"
    images = ", ".join(f"{len(pairs)} {split}" for split, pairs in splits.items())
    how = f"{images}, at random by name ({shares})"
    if kinds:
        how += f", but kept together: {', '.join(kinds)}"
    if is_cut:
        how += CUT
    return f"{reason}: {how}; for another split: folders train and val, splits.csv, or data.group=REGEX"


def fold_text(
    fold: Fold,
    whole: str | None,
    splits: Mapping[str, Sequence[Pair]],
    by: Group,
    kinds: Sequence[str],
    *,
    is_cut: bool,
) -> str:
    """How train and val of a fold were made, and the test that the data do not say."""
    way = "by name"
    if kinds:
        way = f"by groups ({', '.join(kinds)})"
    elif isinstance(by, Pattern):
        way = "by what data.group finds in their names"
    how = f"{fold}: {len(splits['train'])} train, {len(splits['val'])} val, {way}"
    if is_cut:
        how += CUT
    if whole == "" and "test" in splits:
        how += f"; {len(splits['test'])} others are held out as the test of all folds, as no split is written down"
    return how


def open_root(
    root: Path, layout: str | None, origin: str | None, *, outside: bool, order: Order, ties: bool = False
) -> OpenFolder:
    """`open_folder`, whose FileNotFoundError says of a public data set what to put where."""
    if origin is not None:
        public.refuse_unknown(origin)
    try:
        return open_folder(root, layout, outside=outside, order=order, ties=ties)
    except FileNotFoundError:
        if origin is None:
            raise
        raise FileNotFoundError(public.absent_text(origin, root)) from None


def without(splits: Mapping[str, Sequence[Pair]], bad: set[str]) -> dict[str, Sequence[Pair]]:
    """The pairs of which neither image nor mask is named in `bad`."""
    good: dict[str, Sequence[Pair]] = {}
    for split, pairs in splits.items():
        good[split] = [pair for pair in pairs if str(pair.image) not in bad and pair.mask.name not in bad]
    return good


def refuse_empty(reading: Reading) -> None:
    """Raises UserError for a folder of a split without files, beside one with images."""
    for folder in sorted(map(Path, {os.path.dirname(image) for image, _ in texts_of(reading.pairs)})):
        if not split_named(folder.name):
            continue
        for beside in sorted(folder.parent.iterdir()):
            if split_named(beside.name) and beside.is_dir() and not any(beside.iterdir()):
                raise UserError(f"{beside}: no images in it")


def unpaired(reading: Reading) -> list[tuple[Path, str]]:
    """(file, reason) of each file without its partner."""
    if not reading.images and not reading.masks:
        return []
    images = [*reading.images, *(pair.image for pair in reading.pairs)]
    top = os.path.commonpath([image.parent for image in images] or [""])
    names: dict[tuple[Path, str], list[str]] = defaultdict(list)
    for image in images:
        names[image.parent, image.stem].append(image.name)

    def reason(image: Path) -> str:
        """Why an image has no partner, or what a list says of it."""
        if image in reading.missing:
            return reading.missing[image]
        same = [name for name in names[image.parent, image.stem] if name != image.name]
        if same:
            return f"and {same[0]} have one name"
        if not image.exists() and not image.is_symlink():
            return "is in a list, but not there"
        placed = reading.written or "" in reading.splits
        placed = placed or any(parse_name(part).split for part in image.relative_to(top).parts)
        return "has no mask" if placed else "is in no split"

    alone = [(mask, "has no image") for mask in reading.masks]
    return [*zip(reading.images, map(reason, reading.images), strict=True), *alone]


def alone_text(alone: Sequence[tuple[Path, str]]) -> str:
    """The error about files without partner, of which the first is named."""
    path, reason = alone[0]
    more = f" (and {len(alone) - 1} more files)" if len(alone) > 1 else ""
    advice = "files are paired by name; `check` lists them all, and data.on_bad=skip goes on without them"
    return f"{path} {reason}{more}: {advice}"


def group_pattern(group: str | None) -> Wish:
    """The regular expression, `auto` or `None`; UserError for what is no regular expression."""
    if group is None:
        return None
    if group == AUTO:
        return AUTO
    try:
        return Pattern(group)
    except UserError as error:
        raise UserError(f"data.group={group}: {error}") from None


def refuse_overlap(splits: Mapping[str, Sequence[Pair]]) -> None:
    """Raises UserError for one file in two splits, be it by a link: what was trained on would score the network."""
    if len(splits) < 2 or not any_twice(Joined(splits.values())):
        return
    owners: dict[tuple[int, int], tuple[str, Path]] = {}
    for split, pairs in splits.items():
        for pair in pairs:
            facts = pair.image.stat()
            owner, other = owners.setdefault((facts.st_dev, facts.st_ino), (split, pair.image))
            if owner != split and other == pair.image:
                raise UserError(f"{other} stands in {owner} and in {split}: leave it in one of them")
            if owner != split:
                raise UserError(f"{pair.image} is the same file as {other}: leave it in one split, {owner} or {split}")


def summary_of(source: FolderSource, index: int, memory: Memory) -> Summary:
    """What is to be known of an image, by what is remembered of it if anything is, or from its file.

    Raises UserError if it is damaged.
    """
    if source.is_luma(index):  # which the channels by themselves do not tell
        return Summary.of(source.read_picture(index).values())
    pair = source.pairs[index]
    (facts,) = memory.images([pair])
    if facts is None:
        facts = examine_image(pair.image, source.max_pixels)
        memory.keep_image(pair, facts)
    if facts.problem:
        raise UserError(f"{pair.image}: {facts.problem}")
    return facts.summary.of_channels(source.channels)


def class_pixels_of(source: FolderSource, index: int, memory: Memory) -> Tensor:
    """Pixels of each class in a mask, (classes,) int64, by what was counted in it if that tells all, or from its file.

    Where an image has gaps, it decides too.
    """
    (facts,) = memory.masks([source.pairs[index]])
    if facts is not None and not source.headers[index].has_gaps:
        share = tally(facts, source.classes)
        if not share.unowned and not share.rest:
            return torch.tensor([share.classes.get(index, 0) for index in range(len(source.classes))])
    return pixels_of(source.read_mask(index), source.classes)


def any_twice(pairs: Sequence[Pair]) -> bool:
    """Whether two of the images may be one file; this takes up little memory."""
    numbers = np.fromiter((os.stat(image).st_ino for image, _ in texts_of(pairs)), np.uint64)
    return len(np.unique(numbers)) < len(numbers)


def class_table(folder: OpenFolder, spec: Mapping[str, Any] | None) -> ClassTable:
    """The table in the settings, or else the one in the data folder, beside it, or what the layout says itself."""
    root, reading = folder.root, folder.reading
    if spec is not None:
        return by_names(ClassTable.from_spec(spec, SETTINGS), reading, SETTINGS)
    if path := description_in(root, "classes.yaml"):
        return by_names(ClassTable.from_file(path), reading, str(path))
    if reading.classes is not None:
        return ClassTable.from_spec(reading.classes, f"the classes of {reading.layout}")
    raise FileNotFoundError(
        f"{root / 'classes.yaml'}: missing; it names the classes, for instance: classes: [{{name: background, color: "
        f"[0, 0, 0]}}, {{name: vehicle, color: [64, 0, 128]}}]; `check data.root={root} write=true` proposes one"
    )


def by_names(table: ClassTable, reading: Reading, source: str) -> ClassTable:
    """The table with the values that masks for each class have in this folder, where it names all these classes: the
    names of files say which class a mask shows, and the values go by their order alone. UserError for a table that
    names some of them, but has other values for them."""
    if reading.classes is None or not any(isinstance(pair.mask, ClassMask) for pair in reading.pairs):
        return table
    entries = {name.casefold(): index for index, name in enumerate(table.names)}
    value_of = {entry["name"].casefold(): entry["values"][0] for entry in reading.classes["classes"]}
    known = {name: value for name, value in value_of.items() if name in entries}
    moved = [name for name, value in known.items() if table.values.get(value) != entries[name]]
    if not moved:
        return table
    if lacking := value_of.keys() - known.keys() - {"background"}:
        raise UserError(
            f"{source}: it has no class {sorted(lacking)[0]!r}, for which there are masks, and other values than the "
            f"masks for {moved[0]!r}: name all of {', '.join(sorted(value_of))}"
        )
    owned: dict[int, list[int]] = defaultdict(list)
    owned[table.values.get(0, 0)].append(0)
    for name, value in known.items():
        if value:
            owned[entries[name]].append(value)
    classes = [{**entry, "values": owned[index]} for index, entry in enumerate(table.spec["classes"])]
    return ClassTable.from_spec({**table.spec, "ignore": reading.classes["ignore"], "classes": classes}, source)
