"""Splits that a person wrote down in lists, train.txt, val.txt and test.txt, or in a table: they decide, whatever
folders say."""

import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from ...errors import UserError
from ...text import enumerated
from ..files.images import SUFFIXES
from ..files.pair import Pair
from .lists import SPLIT_COLUMNS, cells_of, lists_of_splits, none_found, picture, row_of_line, rows_of_list, text_of
from .pairing import shape_of, stem_of, suffix_of
from .reading import Reading, Row, from_rows, in_order, mask_at, spread
from .tree import Tree, below
from .words import SPLIT_WORDS

FILES_SHOWN = 3
SAMPLE = 200  # lines by which it is seen whether a text is a list of images
FLOAT = re.compile(r"[-+]?\d*\.\d+(e[-+]?\d+)?|nan|inf", re.IGNORECASE)
OWN_LISTS = ("splits_csv", "csv", "voc", "voc_sbd", "cityscapes", "cityscapes_train_ids")  # their splits stay


class Written(NamedTuple):
    """Lists that belong together.

    Attributes:
        files: The lists, as they are seen from the data folder.
        rows: Their lines. Those of trainval stand under train or val where another list has the rest of them.
    """

    files: Sequence[str]
    rows: Sequence[Row]

    @property
    def splits(self) -> set[str]:
        return {row.split for row in self.rows}

    @property
    def images(self) -> set[str]:
        return {row.image or row.mask for row in self.rows} - {""}


def listed(tree: Tree) -> list[Reading]:
    """train.txt, val.txt and test.txt: in each line an image, an image and its mask, or the folder that holds both"""
    return [from_rows(tree, "listed", lists.rows)._replace(written=True) for lists in written(tree)]


def decided(tree: Tree, readings: Sequence[Reading], *, typed: bool) -> list[Reading]:
    """The readings of a folder with the splits of the lists in it, if there are any; readings whose folders say splits
    stay too, but come last. Unless a layout was `typed`, lists that name no image of the folder are an error."""
    folders = [reading for reading in readings if reading.kind not in (*OWN_LISTS, "listed")]
    own = [reading for reading in readings if reading.kind in OWN_LISTS]
    result: list[Reading] = []
    for lists in written(tree):
        if not lists.images:
            if typed or any(reading.written for reading in own):
                continue
            raise UserError(none_found(lists.rows))
        changed = [applied(tree, lists, reading) for reading in folders]
        by_names = from_rows(tree, "listed", lists.rows)._replace(written=True)
        if changed:
            by_names = by_names._replace(unlisted=changed[0].unlisted, notes=changed[0].notes)
        result += [reading for reading in (by_names, *changed) if reading.pairs]
    if not result:
        return list(readings)
    return [*own, *differing(result), *(reading for reading in folders if "" not in reading.splits)]


def differing(readings: Iterable[Reading]) -> list[Reading]:
    """The first of those that hold the same pairs; names that stand twice get numbers."""
    kept: dict[str, Reading] = {}
    taken: Counter[str] = Counter()
    for reading in readings:
        told = reading.told
        if told not in kept:
            number = taken[reading.layout]
            taken[reading.layout] += 1
            kept[told] = reading._replace(layout=f"{reading.layout}:{number}") if number else reading
    return list(kept.values())


# --- which texts are lists --------------------------------------------------------------------------------------------


@lru_cache(maxsize=2)
def written(tree: Tree) -> list[Written]:
    """The lists of splits in a folder: those of trees side by side together, others for the same images apart."""
    apart = [*(lists_in(tree, files) for files in lists_of_splits(tree).values()), *tables(tree)]
    together: list[Written] = []
    for lists in for_segmentation([lists for lists in apart if lists.rows]):
        for i, other in enumerate(together):
            if not lists.images & other.images:
                together[i] = Written([*other.files, *lists.files], [*other.rows, *lists.rows])
                break
        else:
            together.append(lists)
    return together


def for_segmentation(lists: Sequence[Written]) -> list[Written]:
    """Without the lists for other tasks that stand beside a folder `Segmentation`, as in Pascal VOC: Main, Layout."""
    folders = {posixpath.dirname(one.files[0]) for one in lists}
    others: set[str] = set()
    for folder in folders:
        if posixpath.basename(folder) == "Segmentation":
            others |= {path for path in folders if posixpath.dirname(path) == posixpath.dirname(folder)} - {folder}
    return [one for one in lists if posixpath.dirname(one.files[0]) not in others]


def lists_in(tree: Tree, files: dict[str, str]) -> Written:
    """The lists among texts that are named after splits, split -> path, and stand in one folder."""
    rows: list[Row] = []
    names: list[str] = []
    texts = {split: readable(tree, path) for split, path in files.items()}
    several = len({split for split, text in texts.items() if are_names(text)} & {"train", "val", "test"}) > 1
    for split, path in files.items():
        if is_list(tree, path, texts[split], several=several):
            text_of(tree.path(path))  # which refuses what is no UTF-8
            names.append(path)
            rows += rows_of_list(tree, path, split, texts[split])
    return Written(names, without_trainval(rows))


def readable(tree: Tree, path: str) -> str:
    """The text of a file, in whatever encoding; empty for what is none."""
    try:
        return text_of(tree.path(path))
    except UserError:
        if not tree.path(path).is_file():
            return ""
    with tree.path(path).open("rb") as file:
        return file.read(1 << 20).decode("latin-1")


def is_list(tree: Tree, path: str, text: str, *, several: bool) -> bool:
    """Whether the lines of a text name images: most are there, or are called like pictures, or like those that are
    there; of lists that name no image at all, `several` beside each other are needed."""
    lines = some_lines(text)
    if not lines or any(len(line) > 4096 for line in lines):
        return False
    if 2 * sum(map(holds_measures, lines)) >= len(lines):
        return False
    folder = posixpath.dirname(path)
    rows = [row_of_line(tree, folder, line, "") for line in lines]
    there = sum(bool(row.image or row.mask) for row in rows)
    if 2 * max(there, sum(map(names_picture, lines))) >= len(lines):
        return True
    return are_names(text) and (there > 0 or several or called_alike(tree, lines))


def some_lines(text: str) -> list[str]:
    """Lines, up to `SAMPLE`, that are neither blank nor comments."""
    lines = [line.strip() for line in text.splitlines()]
    return spread([line for line in lines if line and not line.startswith("#")], SAMPLE)


def holds_measures(line: str) -> bool:
    """Whether fractions stand in a line, as in the boxes of YOLO or in a log of losses."""
    return any(map(FLOAT.fullmatch, re.split(r"[\s,;]+", line)))


def names_picture(line: str) -> bool:
    return any(suffix_of(word) in SUFFIXES for word in re.split(r"[\s,;]+", line))


def are_names(text: str) -> bool:
    """Whether nearly all lines are one word, as the names of files are."""
    lines = some_lines(text)
    words = [line for line in lines if len(line.split()) == 1 and not holds_measures(line)]
    return len(lines) > 0 and len(words) >= 0.9 * len(lines)


def called_alike(tree: Tree, lines: Sequence[str]) -> bool:
    """Whether most of these names differ from those of pictures in their numbers alone."""
    shapes = {shape_of(stem_of(path)) for path in tree.pictures} - {"0"}
    alike = [line for line in lines if shape_of(posixpath.basename(line)) in shapes]
    return len(lines) > 1 and 2 * len(alike) > len(lines)


def without_trainval(rows: list[Row]) -> list[Row]:
    """The rows, those of trainval under train or val if another list names the images of the other one."""
    told = {row.split for row in rows} & {"train", "val"}
    if not told:
        return rows
    rest = "val" if told == {"train"} else "train"
    named = {row.image or row.text for row in rows if row.split in told}
    kept: list[Row] = []
    for row in rows:
        if row.split != "trainval":
            kept.append(row)
        elif len(told) == 1 and (row.image or row.text) not in named:
            kept.append(row._replace(split=rest))
    return kept


def tables(tree: Tree) -> list[Written]:
    """Tables with a column for the split, and one for the image whatever it is called, but none for the mask."""
    lists: list[Written] = []
    for path in tree.with_suffix(".csv"):
        rows: list[Row] = []
        if path != "splits.csv":
            with suppress(UserError):
                rows = rows_of_table(tree, path)
        if rows:
            lists.append(Written([path], without_trainval(rows)))
    return lists


def rows_of_table(tree: Tree, path: str) -> list[Row]:
    """A row for each line of a table that says splits; none if it says none, or does not name images. UserError for
    what is no table."""
    header, *content = cells_of(text_of(tree.path(path)), path)
    content = [fields for fields in content if len(fields) == len(header)]
    columns = [i for i, name in enumerate(header) if name.strip().lower() in SPLIT_COLUMNS]
    columns = [i for i in columns if all(fields[i].strip().lower() in SPLIT_WORDS for fields in content)]
    if not columns or not content:
        return []
    folder = posixpath.dirname(path)
    for i in range(len(header)):
        found = [picture(tree, folder, fields[i], "image") for fields in content[:SAMPLE]]
        if 2 * len(set(found) - {""}) > len(found):
            rows: list[Row] = []
            for number, fields in enumerate(content, 2):
                image = picture(tree, folder, fields[i], "image")
                split = SPLIT_WORDS[fields[columns[0]].strip().lower()]
                rows.append(Row(image, "", split, fields[i].strip(), f"{path}, line {number}"))
            return rows
    return []


# --- what they decide -------------------------------------------------------------------------------------------------


class Decision(NamedTuple):
    """What the lines of lists make of the pairs of a reading.

    Attributes:
        splits: Split -> image -> pair.
        alone: (split, image) of images without a mask.
        missing: A file that is not there, or an image whose mask is not -> what is to be said of it.
        moved: Lines whose image lies in the folder of another split.
    """

    splits: dict[str, dict[Path, Pair]]
    alone: list[tuple[str, Path]]
    missing: dict[Path, str]
    moved: list[Row]


def applied(tree: Tree, lists: Written, reading: Reading) -> Reading:
    """The pairs of a reading in the splits of the lists. A split without a list stays as folders say; what is in no
    split is left out where a list says what is for training, else it is for training."""
    decision = decide(tree, lists.rows, reading)
    labelled = decision.splits.keys()
    unlisted = add_rest(decision, lists, reading)
    unlabelled = {image for split, image in decision.alone if split in {"val", "test"} - labelled}
    lacking = {image for _, image in decision.alone}
    images = [*(decision.missing.keys() - lacking), *(lacking - unlabelled)]
    masks: Sequence[Path] = ()
    if not {"train", "trainval"} & lists.splits:  # what the lists do not name is used
        images += set(reading.images) - unlabelled
        masks = reading.masks
        unlabelled |= set(reading.unlabelled)
    return reading._replace(
        layout=reading.layout if reading.splits.keys() == {""} else "listed",
        splits=in_order({split: with_unique_names(tree, pairs.values()) for split, pairs in decision.splits.items()}),
        images=sorted(set(images)),
        masks=list(masks),
        unlabelled=sorted(unlabelled),
        written=True,
        missing=decision.missing,
        unlisted=unlisted,
        notes=[*reading.notes, f"splits by {enumerated(lists.files, FILES_SHOWN)}", *moved_text(decision.moved)],
    )


def decide(tree: Tree, rows: Iterable[Row], reading: Reading) -> Decision:
    """The pairs that lines name, by their image, their mask or both."""
    pair_of: dict[Path, tuple[str, Pair]] = {}
    for split, pairs in reading.splits.items():
        for pair in pairs:
            pair_of[pair.image] = pair_of[pair.mask.path] = split, pair
    decision = Decision(defaultdict(dict), [], {}, [])
    for row in rows:
        path = tree.path(row.image or row.mask or row.text)
        home, pair = pair_of.get(path, ("", None))
        if row.image and row.mask_text:
            pair = stated(tree, row, pair)
        if pair is not None:
            decision.splits[row.split][pair.image] = pair
            if home and home != row.split:
                decision.moved.append(row)
        elif row.image:
            decision.alone.append((row.split, path))
            if row.mask_text:
                decision.missing[path] = row.no_mask
        else:
            decision.missing[tree.path(row.text)] = row.no_image
    return decision


def stated(tree: Tree, row: Row, pair: Pair | None) -> Pair | None:
    """The pair that a line states which names a mask too; `pair` is what folders make of its image."""
    if not row.mask:
        return None
    if pair and pair.mask.path == tree.path(row.mask):
        return pair
    name = pair.name if pair else posixpath.splitext(row.image)[0]
    return Pair(name, tree.path(row.image), mask_at(tree, row.mask))


def add_rest(decision: Decision, lists: Written, reading: Reading) -> list[Pair]:
    """Put the pairs that no line names where they belong, and return those that are left out."""
    named = set[Path]().union(*decision.splits.values())
    unlisted: list[Pair] = []
    for home, pairs in reading.splits.items():
        split = split_kept(home, lists.splits)
        for pair in pairs:
            if pair.image in named:
                continue
            if split is None:
                unlisted.append(pair)
            else:
                decision.splits[split][pair.image] = pair
    return sorted(unlisted, key=lambda pair: pair.image)


def split_kept(home: str, listed: set[str]) -> str | None:
    """The split of a pair that no list names; `home` is the split of its folder, if any; `None` leaves it out."""
    if home == "":
        if {"train", "trainval"} & listed:
            return None
        return "train" if "val" in listed else "trainval"
    if home == "trainval":
        if {"train", "trainval"} & listed:
            return None
        return "train" if "val" in listed else home
    if home in listed or (home != "test" and "trainval" in listed):
        return None
    return home


def with_unique_names(tree: Tree, pairs: Iterable[Pair]) -> list[Pair]:
    """The pairs under their names, or, where folders of several splits have the same ones, under their paths."""
    pairs = list(pairs)
    if len({pair.name for pair in pairs}) == len(pairs):
        return pairs
    return [pair._replace(name=below(tree.root, pair.image.with_suffix(""))) for pair in pairs]


def moved_text(moved: Sequence[Row]) -> list[str]:
    """A sentence on images that lie in the folder of another split than their list says, if there are any."""
    if not moved:
        return []
    first, number = moved[0], len({row.image or row.mask for row in moved})
    subject = "an image lies" if number == 1 else f"{number} images lie"
    where = f"{first.text} is in {first.where}"
    return [f"{subject} in the folder of another split than the lists say ({where}): the lists decide"]
