"""Layouts that lists tell: train.txt with names or paths, tables with the columns image, mask and split."""

import csv
import posixpath
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from ...errors import UserError
from ..files.images import SUFFIXES
from ..files.pair import Pair
from . import class_masks, coco
from .pairing import bare, folders_of, stem_of, suffix_of
from .reading import Reading, Row, from_rows, in_order, mostly_found, numbered
from .tree import Tree, beside_root
from .words import SPLIT_WORDS, SPLITS, Role, file_role, innermost_role, parse_name, split_named

MAX_BYTES = 100_000_000  # of a list
SPLIT_COLUMNS = {"split", "subset", "set", "partition", "phase", "usage"}


def listed(tree: Tree) -> list[Reading]:
    """train.txt, val.txt and test.txt, with the name of an image, or an image and its mask, in each line"""
    readings: list[Reading] = []
    for files in lists_of_splits(tree).values():
        if {"train", "val"} <= files.keys():
            files.pop("trainval", None)
        readings.append(from_rows(tree, "listed", rows_of_lists(tree, files)))
    return numbered(mostly_found(readings))


def splits_csv(tree: Tree) -> list[Reading]:
    """splits.csv in the folder, or in FOLDER.segtrain beside it, with the columns image, mask and split"""
    for path in (tree.root / "splits.csv", beside_root(tree.root) / "splits.csv"):
        if path.is_file():
            rows = parse_table(tree, text_of(path), str(path), united=True)
            reading = coco.painted(tree, from_rows(tree, "splits_csv", rows))
            return [class_masks.painted(tree, reading)]
    return []


def csv_table(tree: Tree) -> list[Reading]:
    """A table with the columns image, mask and perhaps split"""
    readings: list[Reading] = []
    for path in tree.with_suffix(".csv"):
        if path != "splits.csv":
            with suppress(UserError):  # a table of other things
                readings.append(from_rows(tree, "csv", parse_table(tree, text_of(tree.path(path)), path)))
    readings = numbered(mostly_found(readings))
    return [reading._replace(sure=4 * len(reading.pairs) >= len(tree.pictures)) for reading in readings]


def with_lists(tree: Tree, reading: Reading) -> Reading:
    """A reading without splits gets those of lists that name no images for training: valid.txt; the rest is train."""
    if reading.splits.keys() != {""}:
        return reading
    split_of: dict[Path, str] = {}
    for files in lists_of_splits(tree).values():
        if not {"train", "trainval"} & files.keys():
            split_of |= {tree.path(row.image): row.split for row in rows_of_lists(tree, files) if row.image}
    rest = "train" if "val" in split_of.values() else "trainval"
    splits: dict[str, list[Pair]] = defaultdict(list)
    for pair in reading.pairs:
        splits[split_of.get(pair.image, rest)].append(pair)
    return reading._replace(splits=in_order(splits)) if len(splits) > 1 and rest in splits else reading


def text_of(path: Path) -> str:
    """The text of a list or table; UserError for what is no text, or too much of it."""
    if not path.is_file():  # opening a pipe would wait for ever
        raise UserError(f"{path}: expected a file, or a link to one")
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise UserError(f"{path}: a list of more than {MAX_BYTES} bytes is not read")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a list: it is no UTF-8 text") from None


def lists_of_splits(tree: Tree) -> dict[str, dict[str, str]]:
    """Folder -> split -> the list in it that is named after the split."""
    lists: dict[str, dict[str, str]] = defaultdict(dict)
    for path in (*tree.with_suffix(".txt"), *tree.with_suffix(".lst")):
        if split := split_named(stem_of(path)):
            lists[posixpath.dirname(path)].setdefault(split, path)
    return lists


def lines(tree: Tree, path: str) -> Iterator[str]:
    """The lines of a list that are not blank."""
    return filter(None, map(str.strip, text_of(tree.path(path)).splitlines()))


def rows_of_lists(tree: Tree, files: Mapping[str, str]) -> Iterator[Row]:
    """A row for each line of several lists, given by their splits."""
    for split, path in files.items():
        for line in lines(tree, path):
            yield row_of_line(tree, posixpath.dirname(path), line, split)


def row_of_line(tree: Tree, folder: str, line: str, split: str) -> Row:
    """The image and the mask that a line names; or the image that it, or its first word, names with its mask."""
    for first, second in halves(line):
        if image := picture(tree, folder, first, "image"):
            return Row(image, picture(tree, folder, second, "mask"), split, first)
    for name in (line, re.split(r"[\s,;]", line)[0]):
        image = picture(tree, folder, name, "image")
        mask = named(tree, posixpath.splitext(image or name)[0], "mask")
        if image or mask:
            return Row(image, "" if mask == image else mask, split, name)
    return Row("", "", split, line)


def halves(line: str) -> Iterator[tuple[str, str]]:
    """The line cut in two, at every place where it can be, if the second half is the name of a picture."""
    for cut in re.finditer(r"\s*[\t,;]\s*|\s+", line):
        first, second = line[: cut.start()], line[cut.end() :]
        if suffix_of(first) in SUFFIXES and suffix_of(second) in SUFFIXES:
            yield first, second


def picture(tree: Tree, folder: str, entry: str, role: Role) -> str:
    """The file that an entry of a list names, by its path or by its name without suffix; empty if there is none."""
    entry = entry.strip()
    name, suffix = posixpath.splitext(entry)
    if suffix.lower() not in SUFFIXES:
        name = entry
    path = tree.find(entry, folder) if suffix.lower() in SUFFIXES | {".json"} else None
    if path or ("/" in name and name != entry):
        return path or ""
    return named(tree, name, role)


def named(tree: Tree, name: str, role: Role) -> str:
    """The one image or mask of a name without suffix; of several, the one whose folders are named too."""
    *above, stem = name.strip().replace("\\", "/").split("/")
    paths = by_name(tree).get((role, stem)) or by_name(tree).get((role, bare(stem)), [])
    above = [folder for folder in above if not parse_name(folder).role]
    if len(paths) > 1 and above:
        paths = [path for path in paths if leads_through(above, path)]
    return paths[0] if len(paths) == 1 else ""


def leads_through(folders: list[str], path: str) -> bool:
    """Whether a path leads through these folders in this order; others may lie between."""
    return [folder for folder in folders_of(path) if folder in folders] == folders


@lru_cache(maxsize=2)
def by_name(tree: Tree) -> dict[tuple[Role, str], list[str]]:
    """(image or mask, name of the file with or without the word that says so) -> paths."""
    paths: dict[tuple[Role, str], list[str]] = defaultdict(list)
    for path in tree.pictures:
        stem = stem_of(path)
        role: Role = "mask" if "mask" in (innermost_role(folders_of(path)), file_role(stem)[0]) else "image"
        for name in {stem, bare(stem)}:
            paths[role, name].append(path)
    return paths


def parse_table(tree: Tree, text: str, path: str, *, united: bool = False) -> list[Row]:
    """The rows of a table; with `united` a folder may stand for the mask that all files in it are together."""
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    try:
        header, *content = csv.reader(text.splitlines(), delimiter=delimiter, strict=True)
    except (ValueError, csv.Error) as error:  # the first for an empty table
        raise UserError(f"{path}: not a table of images and masks: {error}") from None
    image = column(tree, "image", header, content[:20], path)
    mask = column(tree, "mask", header, content[:20], path)
    split = next((i for i, name in enumerate(header) if name.strip().lower() in SPLIT_COLUMNS), None)
    folder, rows = posixpath.dirname(path), []
    for number, fields in enumerate(content, 2):
        if not any(fields):
            continue
        if len(fields) != len(header):
            raise UserError(f"{path}, line {number}: {len(fields)} fields, but {len(header)} columns")
        row_split = split_in(fields[split], f"{path}, line {number}") if split is not None else ""
        mask_folder = tree.find_folder(fields[mask], folder) if united else None
        pattern = fields[mask].strip() if united and "*" in fields[mask] else ""  # a mask for each class
        mask_path = mask_folder or pattern or picture(tree, folder, fields[mask], "mask")
        rows.append(Row(picture(tree, folder, fields[image], "image"), mask_path, row_split, fields[image].strip()))
    return rows


def column(tree: Tree, role: Role, header: Sequence[str], content: Sequence[Sequence[str]], path: str) -> int:
    """The column whose name says image or mask; of several, the first in which files are named."""
    columns = [i for i, name in enumerate(header) if parse_name(name).role == role]
    if not columns:
        raise UserError(f"{path}: no column for the {role}: expected the header image,mask,split")
    for i in columns:
        entries = [fields[i] for fields in content if i < len(fields)]
        if any(picture(tree, posixpath.dirname(path), entry, role) for entry in entries):
            return i
    return columns[0]


def split_in(field: str, where: str) -> str:
    word = field.strip().lower()
    if word and word not in SPLIT_WORDS:
        raise UserError(f"{where}: the split {field[:50]!r} is none of {', '.join(SPLITS)}")
    return SPLIT_WORDS.get(word, "")
