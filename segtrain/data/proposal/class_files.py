"""Class files that people have: names, with the colours or values that mean them."""

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from ...errors import UserError
from ...text import UNPRINTABLE
from ..classes import MAX_BYTES, MAX_CLASSES, MAX_NAME, ClassTable
from ..color import Color

# Our own, what people call theirs, and those of CVAT, CamVid, RUGD, fast.ai, ADE20K, Roboflow, Supervisely, WoodScape.
FILES = re.compile(
    r"classes\.ya?ml|(label_)?class_dict.*\.csv|label_?map\.txt|label_?colou?rs\.txt|(.*[_-])?colou?r_?map\.(json|txt|csv)|"
    r"(labels?|class(es)?|class_?(names|list|mapping)|categories|category_ids?)\.(json|txt|csv)|(codes|names)\.(txt|csv)|"
    r"objectinfo\d*\.(txt|csv)|_classes\.csv|(label_?map|id2label|obj_class_to_machine_color|seg_annotation_info)\.json"
)
# Supervisely's, nnU-Net's and Mapillary's hold much else: the classes stand below a key of their own.
MIXED = re.compile(r"meta\.json|dataset\.json|config(_v[\d.]+)?\.json")
HEX = re.compile(r"#?([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})")
BELOW = ("classes", "labels", "categories", "items", "id2label")  # keys of a JSON file that hold the classes
COLUMNS = {  # keys of lists that belong together -> what they list
    **dict.fromkeys(("names", "class_names", "classes", "labels"), "name"),
    **dict.fromkeys(("colors", "class_colors", "palette"), "color"),
    **dict.fromkeys(("ids", "class_ids", "class_indexes", "class_indices"), "id"),
}
FILE_KEYS = {"image", "image_id", "img", "file", "file_name", "filename", "path", "image_path", "mask", "mask_path"}
FILE_NAME = re.compile(r".*\.(png|jpe?g|tiff?|bmp|gif|webp|nii|gz|npy|txt|json|xml)", re.IGNORECASE)
NAME_KEYS = ("readable", "name", "title", "label", "class", "class_name", "classname", "category")
VALUE_KEYS = ("id", "idx", "value", "index", "class_id", "label_id", "mask_value", "pixel_value", "pixel")
COLOR_KEYS = ("color", "colour", "rgb", "hex", "rgb_color", "color_rgb")
RED_GREEN_BLUE = (("r", "g", "b"), ("red", "green", "blue"))


class Listed(NamedTuple):
    """A class that a file names; `values` and `color` where it says them."""

    name: str
    color: Color | None = None
    values: tuple[int, ...] | None = None


class ClassFile(NamedTuple):
    path: Path
    entries: list[Listed]


def read_class_file(root: Path) -> ClassFile | None:
    """The first file that names classes: in `root`, or else in one of the folders below it, two levels deep."""
    for folder in (root, *(path for level in ("*/", "*/*/") for path in sorted(root.glob(level)))):
        if any(part.startswith(".") for part in folder.relative_to(root).parts):
            continue
        with suppress(OSError):
            found = [path for path in folder.iterdir() if is_class_file(path.name.lower()) and path.is_file()]
            for path in sorted(found, key=rank):
                entries = entries_in(path)
                if entries:
                    return ClassFile(path, entries)
    return None


def is_class_file(name: str) -> bool:
    return bool(FILES.fullmatch(name) or MIXED.fullmatch(name))


def rank(path: Path) -> tuple[int, str]:
    """The best known names first."""
    firsts = ("classes.y", "classes.json", "class_dict", "labelmap.txt", "label_colors.txt", "label")
    return next((i for i, start in enumerate(firsts) if path.name.lower().startswith(start)), len(firsts)), path.name


def entries_in(path: Path) -> list[Listed]:
    """The classes in a file; none for a file of another kind. Names that occur twice are one class."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            return []
        suffix, text = path.suffix.lower(), content.decode("utf-8-sig")
        if suffix in (".yaml", ".yml"):
            return from_table(path)
        mixed = bool(MIXED.fullmatch(path.name.lower()))
        entries = list(from_json(json.loads(text), mixed) if suffix == ".json" else from_text(text))
    except (ValueError, TypeError, KeyError, OSError, RecursionError, csv.Error, yaml.YAMLError):
        return []
    good = 0 < len(entries) <= MAX_CLASSES and all(printable(entry.name) for entry in entries)
    return merged(entries) if good else []


def printable(name: str) -> bool:
    """Whether it can be the name of a class; names of files are none."""
    return 0 < len(name.strip()) <= MAX_NAME and not UNPRINTABLE.search(name) and not FILE_NAME.fullmatch(name)


def merged(entries: Iterable[Listed]) -> list[Listed]:
    """One entry a name: with the first colour, and all values."""
    names: dict[str, Listed] = {}
    for entry in entries:
        first = names.setdefault(entry.name, entry)
        if first is not entry and entry.values:
            names[entry.name] = first._replace(values=(*(first.values or ()), *entry.values))
    return list(names.values())


# --- formats ----------------------------------------------------------------------------------------------------------


def from_table(path: Path) -> list[Listed]:
    """`classes.yaml`"""
    table = ClassTable.from_file(path)
    owned: dict[int, list[int]] = {i: [] for i in range(len(table))}
    for value, index in table.values.items():
        if index in owned:
            owned[index].append(value)
    colors = [tuple(int(c) for c in color) for color in table.colors]
    return [
        Listed(name, (color[0], color[1], color[2]), tuple(owned[i]))
        for i, (name, color) in enumerate(zip(table.names, colors, strict=True))
    ]


def from_json(content: Any, mixed: bool = False) -> Iterator[Listed]:
    """[names], [{name, color, id}], {name: color or number}, {number or color: name}; also below one of `BELOW`.

    Args:
        mixed: whether the file holds more than classes, which are then below such a key.
    """
    if isinstance(content, dict):
        below = [content[key] for key in content if str(key).lower() in BELOW]
        if rows := from_columns(lowered(content)):
            yield from map(from_mapping, rows)
        elif below and isinstance(below[0], dict | list):
            yield from from_json(below[0])
        elif not mixed:
            yield from alike([from_item(str(key), value) for key, value in content.items()])
    elif isinstance(content, list):
        for i, item in enumerate(content):
            yield Listed(item, None, (i,)) if isinstance(item, str) else from_mapping(lowered(item))


def from_columns(content: dict[str, Any]) -> list[dict[str, Any]]:
    """{names: [...], colors: [...]} -> [{name, color}]; nothing where no lists belong together."""
    lists = {COLUMNS[key]: value for key, value in content.items() if key in COLUMNS and isinstance(value, list)}
    names = lists.get("name", [])
    if len(lists) < 2 or not names or not all(isinstance(name, str) for name in names):
        return []
    if any(len(each) != len(names) for each in lists.values()):
        return []
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]


def alike(entries: list[Listed]) -> list[Listed]:
    """Raises UserError where some have a colour and others a number: [1, 2, 3] is no colour then, but a region."""
    if any(entry.color and not entry.values for entry in entries) and not all(entry.color for entry in entries):
        raise UserError("colours and numbers mixed")
    return entries


def from_item(key: str, value: Any) -> Listed:
    """One of {name: color}, {name: number}, {number: name}, {color: name}, {number or name: {name, color}}"""
    if isinstance(value, dict):
        entry = from_mapping({"id" if key.isdecimal() else "name": key} | lowered(value))
        if entry.color is None and entry.values is None:
            raise UserError(f"{key}: neither a colour nor a number")
        return entry
    if key.isdecimal() and isinstance(value, str):
        return Listed(value, None, (int(key),))
    if color := parse_color(value):
        return Listed(key, color)
    if isinstance(value, str) and (color := parse_color(key)):
        return Listed(value.strip(), color)
    if type(value) is not int:
        raise UserError(f"{key}: neither a colour nor a number")
    return Listed(key, None, (value,))


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
    color = next((c for key in COLOR_KEYS if (c := parse_color(item.get(key)))), None)
    for keys in RED_GREEN_BLUE:
        if color is None and all(key in item for key in keys):
            color = parse_color([item[key] for key in keys])
    value = next((item[key] for key in VALUE_KEYS if key in item), None)
    number = int(value) if isinstance(value, int | str) and str(value).strip().isdecimal() else None
    return Listed(name.strip(), color, None if number is None or number >= 1 << 16 else (number,))


def from_text(text: str) -> Iterator[Listed]:
    """A table with a header; `name:r,g,b:parts:actions` of CVAT; `r g b name` of CamVid; or a name a line.

    labelme's list of names begins with `__ignore__`, which its masks have as 255; the next is 0.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    rows = csv.reader(lines, delimiter="\t" if "\t" in "".join(lines[:1]) else ",", skipinitialspace=True)
    header = [re.sub(r"[\s-]+", "_", cell.strip().lower()) for cell in next(rows, [])]
    if set(header) & set(NAME_KEYS):
        for row in rows:
            yield from_mapping(dict(zip(header, (cell.strip() for cell in row), strict=False)))
        return
    lines = [line for line in lines if not line.startswith("#")]
    for i, line in enumerate(lines, -1 if lines[:1] == ["__ignore__"] else 0):
        yield from_line(line, i if i >= 0 else 255)


def from_line(line: str, number: int) -> Listed:
    """A line of a list: a name with its colour or value before or behind it; else its number is the value."""
    forms: tuple[tuple[str, Callable[[re.Match[str]], Listed]], ...] = (
        (r"([^:]+):(\d+),(\d+),(\d+):.*", lambda m: Listed(m[1], rgb(m[2], m[3], m[4]))),
        (r"([^:]+):::?", lambda m: Listed(m[1], None)),
        (r"(\d+)[\s,]+(\d+)[\s,]+(\d+)[\s,]+(\D.*)", lambda m: Listed(m[4], rgb(m[1], m[2], m[3]))),
        (
            r"(\d+)[\s,:]+(\D.*?)[\s,:]+(\d+)[\s,]+(\d+)[\s,]+(\d+)",
            lambda m: Listed(m[2], rgb(m[3], m[4], m[5]), (int(m[1]),)),
        ),
        (r"(\D.*?)[\s,:]+(\d+)[\s,]+(\d+)[\s,]+(\d+)", lambda m: Listed(m[1], rgb(m[2], m[3], m[4]))),
        (r"(\d+)[\s,:]+(\D.*)", lambda m: Listed(m[2], None, (int(m[1]),))),
        (r"(\D.*?)[\s,:]+(\d+)", lambda m: Listed(m[1], None, (int(m[2]),))),
        (r"([^,;:/\\]+)", lambda m: Listed(m[1], None, (number,))),
    )
    for pattern, entry in forms:
        match = re.fullmatch(pattern, line)
        if match:
            found = entry(match)
            return found._replace(name=found.name.strip())
    raise UserError(f"{line}: no class")


def rgb(*numbers: str) -> Color:
    color = parse_color(list(numbers))
    if color is None:
        raise UserError(f"{numbers}: no colour")
    return color


def parse_color(value: Any) -> Color | None:
    """[r, g, b], [r, g, b, a], "#RRGGBB", "r,g,b" or "(r, g, b)"; None for what is no colour."""
    if isinstance(value, str):
        match = HEX.fullmatch(value.strip())
        if match:
            return int(match[1], 16), int(match[2], 16), int(match[3], 16)
        value = value.strip(" ()[]").replace(",", " ").split()
    if not isinstance(value, list | tuple) or len(value) not in (3, 4) or not all(str(c).isdecimal() for c in value):
        return None
    red, green, blue = (int(c) for c in value[:3])
    return (red, green, blue) if max(red, green, blue) < 256 else None
