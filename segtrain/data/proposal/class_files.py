"""Class files that people have: names, with the colours or values that mean them."""

import csv
import json
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from ...errors import UserError
from ...text import INVISIBLE, UNPRINTABLE
from ..classes import MAX_BYTES, MAX_CLASSES, MAX_NAME, ClassTable
from ..color import Color

# Supervisely's, nnU-Net's and Mapillary's hold much else: the classes stand below a key of their own.
MIXED = r"meta\.json|dataset\.json|config(_v[\d.]+)?\.json"
# Our own, what people call theirs, and those of CVAT, CamVid, RUGD, fast.ai, ADE20K, Roboflow, Supervisely, WoodScape.
FILES = re.compile(
    r"classes\.ya?ml|(label_)?class_dict.*\.csv|label_?map\.txt|label_?colou?rs\.txt|(.*[_-])?colou?r_?map\.(json|txt|csv)|"
    r"(labels?|class(es)?|class_?(names|list|mapping)|categories|category_ids?)\.(json|txt|csv)|(codes|names)\.(txt|csv)|"
    rf"objectinfo\d*\.(txt|csv)|_classes\.csv|(label_?map|id2label|obj_class_to_machine_color|seg_annotation_info)\.json|{MIXED}"
)
HEX = re.compile(r"#?([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})")
BELOW = ("classes", "labels", "categories", "items", "id2label")  # keys of a JSON file that hold the classes
COLUMNS = {  # what is listed -> keys of the list; of lists that belong together, as in WoodScape
    "name": ("names", "class_names", "classes", "labels"),
    "color": ("colors", "class_colors", "palette"),
    "id": ("ids", "class_ids", "class_indexes", "class_indices"),
}
FILE_KEYS = {"image", "image_id", "img", "file", "file_name", "filename", "path", "image_path", "mask", "mask_path"}
FILE_NAME = re.compile(r".*\.(png|jpe?g|tiff?|bmp|gif|webp|nii|gz|npy|txt|json|xml)", re.IGNORECASE)
NAME_KEYS = ("readable", "name", "title", "label", "class", "class_name", "classname", "category")
VALUE_KEYS = ("id", "idx", "value", "index", "class_id", "label_id", "mask_value", "pixel_value", "pixel")
COLOR_KEYS = ("color", "colour", "rgb", "hex", "rgb_color", "color_rgb")
RGB = r"(?P<color>\d+[\s,]+\d+[\s,]+\d+)"
LINES = (  # of lists of classes
    rf"(?P<name>[^:]+):{RGB}:.*",  # CVAT
    r"(?P<name>[^:]+):::?",
    rf"{RGB}[\s,]+(?P<name>\D.*)",  # CamVid
    rf"(?P<value>\d+)[\s,:]+(?P<name>\D.*?)[\s,:]+{RGB}",  # RUGD
    rf"(?P<name>\D.*?)[\s,:]+{RGB}",
    r"(?P<value>\d+)[\s,:]+(?P<name>\D.*)",
    r"(?P<name>\D.*?)[\s,:]+(?P<value>\d+)",
)
TABLES = (".yaml", ".yml")


class Listed(NamedTuple):
    """A class that a file names; `values` and `color` where it says them."""

    name: str
    color: Color | None = None
    values: tuple[int, ...] | None = None


class ClassFile(NamedTuple):
    path: Path
    entries: list[Listed]


def read_class_file(root: Path, passed_over: Collection[Path] = ()) -> ClassFile | None:
    """The first file that names classes: in `root`, or else in one of the folders below it, two levels deep."""
    for folder in (root, *sorted(root.glob("*/")), *sorted(root.glob("*/*/"))):
        if any(part.startswith(".") for part in folder.relative_to(root).parts):
            continue
        with suppress(OSError):
            paths = [path for path in folder.iterdir() if FILES.fullmatch(path.name.lower()) and path.is_file()]
            paths = [path for path in paths if path not in passed_over]
            for path in sorted(paths, key=lambda path: (path.suffix not in TABLES, path.name)):
                entries = entries_in(path)
                if entries:
                    return ClassFile(path, entries)
    return None


def entries_in(path: Path) -> list[Listed]:
    """The classes in a file; none for a file of another kind. Names that occur twice are one class."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            return []
        text = content.decode("utf-8-sig")
        if path.suffix.lower() in TABLES:
            return from_table(path)
        if path.suffix.lower() == ".json":
            entries = list(from_json(json.loads(text), bool(re.fullmatch(MIXED, path.name.lower()))))
        else:
            entries = list(from_text(text))
    except (ValueError, TypeError, KeyError, OSError, RecursionError, csv.Error, yaml.YAMLError):
        return []
    if len(entries) > MAX_CLASSES or not all(printable(entry.name) for entry in entries):
        return []
    return merged(entry._replace(name=INVISIBLE.sub("", entry.name).strip()) for entry in entries)


def printable(name: str) -> bool:
    """Whether this can be the name of a class, which the name of a file cannot."""
    return (
        0 < len(INVISIBLE.sub("", name).strip()) <= MAX_NAME
        and not UNPRINTABLE.search(name)
        and not FILE_NAME.fullmatch(name)
    )


def merged(entries: Iterable[Listed]) -> list[Listed]:
    """One entry a name: with the first colour, and all values."""
    names: dict[str, Listed] = {}
    for entry in entries:
        first = names.setdefault(entry.name, entry)
        if first is not entry and entry.values:
            names[entry.name] = first._replace(values=(*(first.values or ()), *entry.values))
    return list(names.values())


def from_table(path: Path) -> list[Listed]:
    """The entries of a `classes.yaml`."""
    table = ClassTable.from_file(path)
    entries = []
    for index, (name, color) in enumerate(zip(table.names, table.colors.tolist(), strict=True)):
        values = [value for value, owner in table.values.items() if owner == index]
        entries.append(Listed(name, tuple(color), tuple(values)))
    return entries


def from_json(content: Any, mixed: bool = False) -> Iterator[Listed]:
    """[names], [{name, color, id}], {name: color or number}, {number or color: name}; also below one of `BELOW`, where
    the classes of a `mixed` file are."""
    if isinstance(content, dict):
        below = next((value for key, value in content.items() if str(key).lower() in BELOW), None)
        if rows := from_columns(lowered(content)):
            yield from map(from_mapping, rows)
        elif isinstance(below, dict | list):
            yield from from_json(below)
        elif not mixed:
            entries = [from_item(str(key), value) for key, value in content.items()]
            if any(entry.color and not entry.values for entry in entries) and not all(e.color for e in entries):
                raise UserError("colours and numbers mixed")  # [1, 2, 3] is no colour then, but a region
            yield from entries
    elif isinstance(content, list):
        for i, item in enumerate(content):
            yield Listed(item, None, (i,)) if isinstance(item, str) else from_mapping(lowered(item))


def from_columns(content: dict[str, Any]) -> list[dict[str, Any]]:
    """{names: [...], colors: [...]} -> [{name, color}]; nothing where no lists belong together."""
    columns = {}
    for name, keys in COLUMNS.items():
        for key in keys:
            if isinstance(content.get(key), list):
                columns[name] = content[key]
    names = columns.get("name", [])
    if len(columns) < 2 or not all(isinstance(name, str) for name in names):
        return []
    if any(len(column) != len(names) for column in columns.values()):
        return []
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def from_item(key: str, value: Any) -> Listed:
    """One of {name: color}, {name: number}, {number: name}, {color: name}, {number or name: {name, color}}"""
    if isinstance(value, dict):
        item = {"id" if key.isdecimal() else "name": key} | lowered(value)
    elif isinstance(value, str) and (key.isdecimal() or parse_color(value) is None):
        item = {"name": value, "id": key, "color": key}
    else:
        item = {"name": key, "id": value, "color": value}
    entry = from_mapping(item)
    if entry.color is None and entry.values is None and type(value) is not int:
        raise UserError(f"{key}: neither a colour nor a number")
    return entry


def lowered(item: Any) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise UserError("neither a name nor a mapping")
    return {str(key).lower(): value for key, value in item.items()}


def from_mapping(item: dict[str, Any]) -> Listed:
    """{name, color or r, g, b, id} under the names that these are given. Raises UserError for a list of files."""
    if FILE_KEYS & item.keys():
        raise UserError("a file, and no class")
    name = next((item[key] for key in NAME_KEYS if isinstance(item.get(key), str)), None)
    if name is None:
        raise UserError("a class without a name")
    channels = [list(map(item.get, keys)) for keys in (("r", "g", "b"), ("red", "green", "blue"))]
    colors = [parse_color(color) for color in (*map(item.get, COLOR_KEYS), *channels)]
    value = str(next((item[key] for key in VALUE_KEYS if key in item), "")).strip()
    values = (int(value),) if value.isdecimal() and int(value) < 1 << 16 else None
    return Listed(name.strip(), next(filter(None, colors), None), values)


def from_text(text: str) -> Iterator[Listed]:
    """A table with a header; or a class a line, as in `LINES`; labelme's begin with `__ignore__`, which is 255."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    delimiter = max(",\t", key=text.partition("\n")[0].count)
    rows = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    header = [re.sub(r"[\s-]+", "_", cell.strip().lower()) for cell in next(rows, [])]
    if set(header) & set(NAME_KEYS):
        for row in rows:
            yield from_mapping(dict(zip(header, map(str.strip, row), strict=False)))
        return
    names = [line for line in lines if not line.startswith("#")]
    if names[:1] == ["__ignore__"]:
        yield Listed(names.pop(0), None, (255,))
    for number, line in enumerate(names):
        yield from_line(line, number)


def from_line(line: str, number: int) -> Listed:
    """A line of a list: a name with its colour or value before or behind it; else its number is the value."""
    for form in LINES:
        match = re.fullmatch(form, line)
        if match:
            parts = match.groupdict()
            color = parse_color(parts.get("color"))
            if "color" in parts and color is None:
                raise UserError(f"{line}: no colour")
            return Listed(parts["name"].strip(), color, (int(parts["value"]),) if "value" in parts else None)
    if re.search(r"[,;:/\\]", line):
        raise UserError(f"{line}: no class")
    return Listed(line, None, (number,))


def parse_color(value: Any) -> Color | None:
    """[r, g, b], [r, g, b, a], "#RRGGBB", "r,g,b" or "(r, g, b)"; None for what is no colour."""
    if isinstance(value, str):
        match = HEX.fullmatch(value.strip())
        if match:
            return int(match[1], 16), int(match[2], 16), int(match[3], 16)
        value = value.strip(" ()[]").replace(",", " ").split()
    if not isinstance(value, list | tuple) or len(value) not in (3, 4) or not all(str(c).isdecimal() for c in value):
        return None
    red, green, blue = map(int, value[:3])
    return (red, green, blue) if max(red, green, blue) < 256 else None
