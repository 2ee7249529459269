"""Lists and tables: which images and masks their lines name, and the layouts that tables tell."""

import csv
import posixpath
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from ...errors import UserError
from ..files.arrays import SUFFIXES as ARRAYS
from ..files.documents import text_in
from ..files.images import SUFFIXES as PICTURES
from . import class_masks, coco, labelme, yolo
from .pairing import bare, folders_of, role_of, stem_of, suffix_of
from .reading import Reading, Row, from_rows, mostly_found, numbered
from .tree import Tree, composed, description_in, grouped
from .words import SPLIT_WORDS, SPLITS, YEAR, Role, parse_name

SUFFIXES = PICTURES | ARRAYS
MAX_BYTES = 100_000_000  # of a list
LIST_WORDS = {"list", "lists", "name", "names", "filename", "filenames", "id", "ids", "index", "file", "all"}
SPLIT_COLUMNS = {"split", "subset", "set", "partition", "phase", "usage"}


def splits_csv(tree: Tree) -> list[Reading]:
    """splits.csv in the folder, or in FOLDER.segtrain beside it, with the columns image, mask and split"""
    path = description_in(tree.root, "splits.csv")
    if path is None:
        return []
    rows = parse_table(tree, text_of(path), str(path), united=True)
    if not rows:
        raise UserError(f"{path}: a list without images: fill it, or move it away")
    if not any(row.image for row in rows):
        raise UserError(none_found(rows))
    reading = from_rows(tree, "splits_csv", rows)
    for shapes in (yolo, labelme, coco, class_masks):
        reading = shapes.painted(tree, reading)
    return [reading._replace(written=True)]


def none_found(rows: Sequence[Row]) -> str:
    """The error about a list of which nothing is there."""
    first = rows[0]
    reason = f"none of its {len(rows)} images is there" if len(rows) > 1 else "there is no such image"
    return f"{first.where}: {first.text[:200]}: {reason}: mend the list, or move it away"


def csv_table(tree: Tree) -> list[Reading]:
    """A table with the columns image, mask and perhaps split"""
    tables: dict[tuple[str, bool], list[Row]] = defaultdict(list)
    for path in tree.with_suffix(".csv"):
        if path != "splits.csv":
            with suppress(UserError):  # a table of other things
                rows = parse_table(tree, text_of(tree.path(path)), path)
                split = split_of_list(stem_of(path))
                if split and not any(row.split for row in rows):  # train.csv, val.csv
                    tables[posixpath.dirname(path), True] += [row._replace(split=split) for row in rows]
                else:
                    tables[path, False] = rows
    readings = numbered(mostly_found([from_rows(tree, "csv", rows) for rows in tables.values()]))
    return [as_decided(reading, tree) for reading in readings]


def as_decided(reading: Reading, tree: Tree) -> Reading:
    """The reading of a table, which decides if it says the splits, or lists most of the images."""
    sure = 4 * len(reading.pairs) >= len(tree.pictures)
    return reading._replace(sure=sure, written="" not in reading.splits)


def text_of(path: Path) -> str:
    """The text of a list or table; UserError for what is no text, or too much of it."""
    try:
        return text_in(path, MAX_BYTES)
    except UserError as error:
        raise UserError(f"{path}: not a list: {error}") from None


def lists_of_splits(tree: Tree) -> dict[str, dict[str, str]]:
    """Folder -> split -> the list in it that is named after the split."""
    lists: dict[str, dict[str, str]] = defaultdict(dict)
    for path in (*tree.with_suffix(".txt"), *tree.with_suffix(".lst")):
        if split := split_of_list(stem_of(path)):
            lists[posixpath.dirname(path)].setdefault(split, path)
    return lists


def split_of_list(stem: str) -> str:
    """The split that a list is named after: `val`, `test2017`, `train_list`, `val_images`."""
    role, split, rest = parse_name(stem)
    others = [word for word in rest if word not in LIST_WORDS]
    return split if role != "mask" and all(map(YEAR.fullmatch, others)) else ""


def numbered_lines(text: str) -> Iterator[tuple[int, str]]:
    """(number, line) of what is not blank."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield number, line.strip()


def rows_of_list(tree: Tree, path: str, split: str, text: str) -> list[Row]:
    """A row for each line of a list; what stands behind # is a comment, unless it is the name of a file."""
    rows: list[Row] = []
    for number, line in numbered_lines(text):
        row = row_of_line(tree, posixpath.dirname(path), line, split)
        if row.image or row.mask or not line.startswith("#"):
            rows.append(row._replace(where=f"{path}, line {number}"))
    return rows


def row_of_line(tree: Tree, folder: str, line: str, split: str) -> Row:
    """The image and the mask that a line names; or the image that it, or its first word, names with its mask; or the
    image and the mask in the folder that it names."""
    for first, second in halves(line):
        if image := picture(tree, folder, first, "image"):
            return Row(image, picture(tree, folder, second, "mask"), split, first, mask_text=second)
    for name in (line, re.split(r"[\s,;]", line)[0]):
        image = picture(tree, folder, name, "image")
        is_path = "/" in name.replace("\\", "/") and suffix_of(name) in SUFFIXES  # which means this file and no other
        mask = "" if is_path and not image else named(tree, without_suffix(image or name), "mask", folder)
        if image or mask:
            return Row(image, "" if mask == image else mask, split, name)
    if image := in_folder(tree, line, "image", folder):
        return Row(image, in_folder(tree, line, "mask", folder), split, line)
    first, _ = next(halves(line), (line, ""))
    return Row("", "", split, first)


def halves(line: str) -> Iterator[tuple[str, str]]:
    """The line cut in two, at every place where it can be, if the second half is the name of a picture."""
    for cut in re.finditer(r"\s*[\t,;]\s*|\s+", line):
        first, second = line[: cut.start()], line[cut.end() :]
        if suffix_of(first) in SUFFIXES and suffix_of(second) in SUFFIXES:
            yield first, second


def picture(tree: Tree, folder: str, entry: str, role: Role) -> str:
    """The file that an entry of a list names, by its path or by its name without suffix; empty if there is none."""
    entry = entry.strip()
    name = without_suffix(entry)
    path = tree.find(entry, folder) if suffix_of(entry) in SUFFIXES | {".json"} else None
    if path or ("/" in name and name != entry):
        return path or ends_like(tree, entry, role)
    return named(tree, name, role, folder)


def in_folder(tree: Tree, entry: str, role: Role, folder: str) -> str:
    """The one image or mask in the folder that an entry names, as where there is a folder for each image."""
    home = tree.find_folder(entry, folder) or folder_like(tree, entry)
    paths = [path for path in tree.below(home) if role_of(path) == role] if home else []
    return paths[0] if len(paths) == 1 else ""


def folder_like(tree: Tree, entry: str) -> str:
    """The one folder whose path ends like an entry, as where the folders of the images lie in another one."""
    end = composed(posixpath.normpath(entry.replace("\\", "/"))).lstrip("/")
    paths = [path for path in by_folder_name(tree).get(posixpath.basename(end), ()) if f"/{path}".endswith(f"/{end}")]
    return paths[0] if len(paths) == 1 else ""


@lru_cache(maxsize=2)
def by_folder_name(tree: Tree) -> dict[str, list[str]]:
    return grouped(tree.folders, posixpath.basename)


def ends_like(tree: Tree, entry: str, role: Role) -> str:
    """The one image or mask whose path ends like an entry, as where lists begin in the folder of the images."""
    end = "/" + composed(posixpath.normpath(entry.replace("\\", "/"))).lstrip("/")
    paths = [path for path in by_name(tree).get((role, stem_of(end)), ()) if f"/{path}".endswith(end)]
    return paths[0] if len(paths) == 1 else ""


def without_suffix(name: str) -> str:
    """A name or path without the suffix of a picture: `a.png` -> `a`, but `a_1.5m` as it is."""
    return posixpath.splitext(name)[0] if suffix_of(name) in SUFFIXES else name


def named(tree: Tree, name: str, role: Role, folder: str = "") -> str:
    """The one image or mask of a name without suffix; of several, the one whose folders are named too, or the one that
    is nearest to the list in `folder`, as where trees with lists stand side by side."""
    *above, stem = composed(name.strip()).replace("\\", "/").split("/")
    paths = by_name(tree).get((role, stem)) or by_name(tree).get((role, bare(stem)), [])
    above = [folder for folder in above if not parse_name(folder).role]
    if len(paths) > 1 and above:
        paths = [path for path in paths if leads_through(above, path)]
    while len(paths) > 1 and folder:
        near = [path for path in paths if path.startswith(f"{folder}/")]
        paths, folder = near or paths, posixpath.dirname(folder)
    return paths[0] if len(paths) == 1 else ""


def leads_through(folders: list[str], path: str) -> bool:
    """Whether a path leads through these folders in this order; others may lie between."""
    return [folder for folder in folders_of(path) if folder in folders] == folders


@lru_cache(maxsize=2)
def by_name(tree: Tree) -> dict[tuple[Role, str], list[str]]:
    """(image or mask, name of the file with or without the word that says so) -> paths."""
    paths: dict[tuple[Role, str], list[str]] = defaultdict(list)
    for path in tree.pictures:
        role, stem = role_of(path), stem_of(path)
        for name in {stem, bare(stem)}:
            paths[role, name].append(path)
    return paths


def parse_table(tree: Tree, text: str, path: str, *, united: bool = False) -> list[Row]:
    """The rows of a table; with `united` a folder may stand for the mask that all files in it are together."""
    header, *content = cells_of(text, path)
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
        image_path = picture(tree, folder, fields[image], "image")
        mask_path = picture(tree, folder, fields[mask], "mask")
        if united:
            pattern = fields[mask].strip() if "*" in fields[mask] else ""  # a mask for each class
            mask_path = tree.find_folder(fields[mask], folder) or mask_path or pattern or shapes_file(fields[mask])
        where = f"{posixpath.basename(path)}, line {number}"
        rows.append(Row(image_path, mask_path, row_split, fields[image].strip(), where, fields[mask].strip()))
    return rows


def cells_of(text: str, path: str) -> list[list[str]]:
    """The lines of a table, at least a header, in cells; commas, semicolons or tabs stand between these."""
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    try:
        lines = list(csv.reader(text.splitlines(), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise UserError(f"{path}: not a table of images and masks: {error}") from None
    if not lines:
        raise UserError(f"{path}: not a table of images and masks: it is empty")
    return lines


def shapes_file(entry: str) -> str:
    """A text file of polygons, which need not be there for an image without any; nothing for other files."""
    path = posixpath.normpath(composed(entry.strip()).replace("\\", "/"))
    return path if suffix_of(path) == ".txt" else ""


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
