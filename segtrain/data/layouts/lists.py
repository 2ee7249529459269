"""Layouts that lists tell: train.txt with names or paths, tables with the columns image, mask and split."""

import csv
import posixpath
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from ...errors import UserError
from ..files.images import SUFFIXES
from . import coco
from .pairing import bare, folders_of, stem_of, suffix_of
from .reading import Reading, Row, from_rows, in_order, mostly_found, numbered
from .tree import Tree, beside_root
from .words import SPLIT_WORDS, SPLITS, Role, file_role, parse_name, split_named

MAX_BYTES = 100_000_000  # of a list
SPLIT_COLUMNS = {"split", "subset", "set", "partition", "phase", "usage"}


def listed(tree: Tree) -> list[Reading]:
    """train.txt, val.txt and test.txt, with the name of an image, or an image and its mask, in each line"""
    found = []
    for files in lists_of_splits(tree).values():
        if {"train", "val"} <= files.keys():
            files = {split: path for split, path in files.items() if split != "trainval"}
        found.append([row for split, path in files.items() for row in rows_of_list(tree, path, split)])
    return numbered(mostly_found([from_rows(tree, "listed", rows) for rows in found]))


def splits_csv(tree: Tree) -> list[Reading]:
    """splits.csv in the folder, or in FOLDER.segtrain beside it, with the columns image, mask and split"""
    for path in (tree.root / "splits.csv", beside_root(tree.root) / "splits.csv"):
        if path.is_file():
            rows = parse_table(tree, text_of(path), str(path), united=True)
            return [coco.painted(tree, from_rows(tree, "splits_csv", rows))]
    return []


def csv_table(tree: Tree) -> list[Reading]:
    """A table with the columns image, mask and perhaps split"""
    paths = [path for path in tree.with_suffix(".csv") if path != "splits.csv"]
    found = numbered(mostly_found([from_rows(tree, "csv", rows_of_table(tree, path)) for path in paths]))
    return [each._replace(sure=4 * len(each.pairs) >= len(tree.pictures)) for each in found]


def with_lists(tree: Tree, reading: Reading) -> Reading:
    """A reading without splits with those of lists that name no images for training: valid.txt; the rest is train."""
    lone = [files for files in lists_of_splits(tree).values() if not {"train", "trainval"} & files.keys()]
    if reading.splits.keys() != {""} or not lone:
        return reading
    rows = (row for files in lone for split, path in files.items() for row in rows_of_list(tree, path, split))
    listed = {tree.path(row.image): row.split for row in rows if row.image}
    rest = "train" if "val" in listed.values() else "trainval"
    splits = defaultdict(list)
    for pair in reading.pairs:
        splits[listed.get(pair.image, rest)].append(pair)
    return reading._replace(splits=in_order(splits)) if len(splits) > 1 and rest in splits else reading


# --- files ------------------------------------------------------------------------------------------------------------


def text_of(path: Path) -> str:
    """Raises UserError for what is no text, or too much of it."""
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


# --- train.txt --------------------------------------------------------------------------------------------------------


def lists_of_splits(tree: Tree) -> dict[str, dict[str, str]]:
    """Folder -> split -> the list in it that is named after the split."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for path in (*tree.with_suffix(".txt"), *tree.with_suffix(".lst")):
        if split := split_named(stem_of(path)):
            found[posixpath.dirname(path)].setdefault(split, path)
    return found


def lines(tree: Tree, path: str) -> Iterator[str]:
    return filter(None, (line.strip() for line in text_of(tree.path(path)).splitlines()))


def rows_of_list(tree: Tree, path: str, split: str) -> Iterator[Row]:
    """The lines of a list: one name, or the paths of an image and of its mask."""
    folder = posixpath.dirname(path)
    for line in lines(tree, path):
        both = next((row for fields in halves(line) if (row := pair(tree, folder, *fields, split)).image), None)
        yield both or alone(tree, folder, line, split) or Row("", "", split, line)


def halves(line: str) -> Iterator[tuple[str, str]]:
    """The line cut in two, at every place where it can be, if the second half is the name of a picture."""
    for cut in re.finditer(r"\s*[\t,;]\s*|\s+", line):
        first, second = line[: cut.start()], line[cut.end() :]
        if suffix_of(first) in SUFFIXES and suffix_of(second) in SUFFIXES:
            yield first, second


def pair(tree: Tree, folder: str, image: str, mask: str, split: str) -> Row:
    return Row(picture(tree, folder, image, "image"), picture(tree, folder, mask, "mask"), split, image)


def alone(tree: Tree, folder: str, line: str, split: str) -> Row | None:
    """The image that a line names, or its first word, with the mask of the same name."""
    for name in (line, re.split(r"[\s,;]", line)[0]):
        image = picture(tree, folder, name, "image")
        mask = named(tree, posixpath.splitext(image or name)[0], "mask")
        if image or mask:
            return Row(image, "" if mask == image else mask, split, name)
    return None


def picture(tree: Tree, folder: str, entry: str, role: Role) -> str:
    """The file that an entry of a list names, by its path or by its name without suffix; empty if there is none."""
    entry = entry.strip()
    found = tree.find(entry, folder) if suffix_of(entry) in SUFFIXES | {".json"} else ""
    stem = posixpath.splitext(entry)[0] if suffix_of(entry) in SUFFIXES else entry
    return found or (named(tree, stem, role) if "/" not in stem or stem == entry else "")


def named(tree: Tree, name: str, role: Role) -> str:
    """The one image or mask of a name without suffix; of several, the one whose folders are named too."""
    name = name.strip().replace("\\", "/")
    stem = name.rpartition("/")[2]
    found = by_name(tree).get((role, stem), []) or by_name(tree).get((role, bare(stem)), [])
    if len(found) > 1:
        above = [part for part in name.split("/")[:-1] if not parse_name(part).role]
        found = [path for path in found if [p for p in folders_of(path) if p in above] == above] if above else []
    return found[0] if len(found) == 1 else ""


@lru_cache(maxsize=2)
def by_name(tree: Tree) -> dict[tuple[Role, str], list[str]]:
    """(image or mask, name of the file with or without the word that says so) -> paths."""
    found: dict[tuple[Role, str], list[str]] = defaultdict(list)
    for path in tree.pictures:
        stem = stem_of(path)
        inside = next((parse_name(part).role for part in reversed(folders_of(path)) if parse_name(part).role), "")
        role: Role = "mask" if "mask" in (inside, file_role(stem)[0]) else "image"
        for name in {stem, bare(stem)}:
            found[role, name].append(path)
    return found


# --- tables -----------------------------------------------------------------------------------------------------------


def rows_of_table(tree: Tree, path: str) -> list[Row]:
    """The rows of a table that has columns for images and masks; otherwise nothing."""
    try:
        return parse_table(tree, text_of(tree.path(path)), path)
    except UserError:
        return []


def parse_table(tree: Tree, text: str, path: str, *, united: bool = False) -> list[Row]:
    """The rows of a table.

    Args:
        united: whether a folder may stand for the mask that all files in it are together.

    Raises:
        UserError: for a table that cannot be understood, naming its line.
    """
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:
        header, *content = csv.reader(text.splitlines(), delimiter=delimiter, strict=True)
    except (ValueError, csv.Error) as error:
        raise UserError(f"{path}: not a table of images and masks: {error}") from None
    image, mask = (column(tree, role, header, content[:20], path) for role in ("image", "mask"))
    split = next((i for i, name in enumerate(header) if name.strip().lower() in SPLIT_COLUMNS), None)
    found, folder = [], posixpath.dirname(path)
    for number, fields in enumerate(content, 2):
        if not any(fields):
            continue
        if len(fields) != len(header):
            raise UserError(f"{path}, line {number}: {len(fields)} fields, but {len(header)} columns")
        where = "" if split is None else split_in(fields[split], f"{path}, line {number}")
        together = tree.find_folder(fields[mask], folder) if united else None
        its = together or picture(tree, folder, fields[mask], "mask")
        found.append(Row(picture(tree, folder, fields[image], "image"), its, where, fields[image].strip()))
    return found


def column(tree: Tree, role: Role, header: Sequence[str], content: Sequence[Sequence[str]], path: str) -> int:
    """The column whose name says image or mask; of several, the first in which files are named."""
    found = [i for i, name in enumerate(header) if parse_name(name).role == role]
    if not found:
        raise UserError(f"{path}: no column for the {role}: expected the header image,mask,split")
    folder = posixpath.dirname(path)
    files = (i for i in found if any(picture(tree, folder, fields[i], role) for fields in content if i < len(fields)))
    return next(files, found[0])


def split_in(field: str, where: str) -> str:
    word = field.strip().lower()
    if word and word not in SPLIT_WORDS:
        raise UserError(f"{where}: the split {field[:50]!r} is none of {', '.join(SPLITS)}")
    return SPLIT_WORDS.get(word, "")
