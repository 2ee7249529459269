"""What a training needs to read a folder as it was read by `check`: classes.yaml and splits.csv."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from .. import disk
from ..data.classes import ClassTable
from ..data.files.by_class import ClassMask
from ..data.layouts.tree import below, beside_root
from ..report.screen import COMMAND
from ..text import plain_cell
from .inspect import Inspection
from .mark import BLANK, PROPOSED, is_own, line_of_masks, marked

KEYWORDS = {"null", "true", "false", "nan", "inf"}  # words that are no texts for Hydra
COMMENTS = {  # in classes.yaml
    "ignore": "  # what counts nowhere",
    "masks": "  # all of them are read as these, whether they are stored as grey, palette or colours: values | colors",
    "other": "  # a value or colour that is not listed: error | ignore | nearest",
}


def description(inspection: Inspection, layout: str | None) -> dict[str, str]:
    """Name -> content of the files that a training needs; a list of splits replaces the `layout` in the settings."""
    files = {}
    reading = inspection.folder.reading
    described = inspection.described
    named_by_files = described.source == reading.layout and any(isinstance(p.mask, ClassMask) for p in reading.pairs)
    if described.spec and (not described.settled or named_by_files):
        files["classes.yaml"] = classes_yaml(inspection)
    if reading.splits != inspection.splits or (layout and reading.layout != "splits_csv"):
        files["splits.csv"] = splits_csv(inspection)
    return files


def classes_yaml(inspection: Inspection) -> str:
    """The proposed table, a class in a line, under what was assumed."""
    described = inspection.described
    lines = [
        f"{PROPOSED}{COMMAND} check`: {described.kind}; classes from {described.source}.",
        *[f"# {note}" for note in described.notes],
        f"# As long as nothing is changed here, it may be proposed anew ({BLANK}).",
        line_of_masks(inspection.folder.root, [pair.mask.path for pair in inspection.folder.reading.pairs]),
    ]
    for key, value in (described.spec or {}).items():
        if key == "classes":
            lines.append("classes:")
            lines += [f"  - {in_one_line(entry)}" for entry in with_colors(value, inspection.table)]
        else:
            lines.append(f"{key}: {in_one_line(value)}{COMMENTS.get(key, '')}")
    return marked("\n".join(lines) + "\n")


def with_colors(classes: Sequence[dict[str, Any]], table: ClassTable | None) -> Sequence[dict[str, Any]]:
    """The entries of classes, with the colours that pictures show for those that state none."""
    if table is None:
        return classes
    colors = table.colors.tolist()
    return [{"name": entry["name"], "color": colors[i], **entry} for i, entry in enumerate(classes)]


def in_one_line(value: Any) -> str:
    """A value in one line of YAML."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=float("inf"))
    return text.removesuffix("...\n").strip()


def typed_table(spec: Mapping[str, Any]) -> str:
    """A class table as it is typed for data.classes: {ignore:null,classes:[{name:a,values:[0]}]}"""
    classes = []
    for entry in spec["classes"]:
        parts = [f"name:{in_json(entry['name'])}"]
        parts += [f"{key}:{in_json(entry[key])}" for key in ("color", "values", "colors") if key in entry]
        classes.append(f"{{{','.join(parts)}}}")
    more = [f"{key}:{in_json(spec[key])}" for key in ("masks", "other") if spec.get(key) not in (None, "error")]
    parts = [f"ignore:{in_json(spec.get('ignore'))}", f"classes:[{','.join(classes)}]", *more]
    return f"{{{','.join(parts)}}}"


def in_json(value: Any) -> str:
    """A value as Hydra takes it in a setting; plain words need no quotes."""
    if isinstance(value, str) and value.isidentifier() and value.isascii() and value.lower() not in KEYWORDS:
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def splits_csv(inspection: Inspection) -> str:
    """A row for each pair: image, mask, split; a fourth column, which is empty, has the mark as its name."""
    root = inspection.folder.root
    rows = io.StringIO(newline="")
    writer = csv.writer(rows)
    writer.writerow(["image", "mask", "split", BLANK])
    for split, pairs in inspection.splits.items():
        for pair in pairs:
            writer.writerow([*map(path_cell, (below(root, pair.image), below(root, pair.mask.path))), split, ""])
    return marked(rows.getvalue())


def path_cell(path: str) -> str:
    """A path that no spreadsheet takes for a formula, and that still leads to the same file: ./=x.png"""
    return path if plain_cell(path) == path else f"./{path}"


def not_own(root: Path, names: Iterable[str]) -> list[Path]:
    """The files of these names, in the data folder or beside it, that are not as `check` wrote them."""
    paths = [folder / name for folder, name in product((root, beside_root(root)), names)]
    return [path for path in paths if path.exists() and not is_own(path)]


def write_description(root: Path, files: Mapping[str, str], keep: Callable[[Path], object]) -> list[Path]:
    """Write the files into the data folder, or where that is read-only, into the one beside it; what stands there is
    handed to `keep` before."""
    written = []
    for name, content in files.items():
        try:
            path = root / name
            keep(path)
            disk.write(path, content)
        except OSError:
            path = beside_root(root) / name
            path.parent.mkdir(exist_ok=True)
            keep(path)
            disk.write(path, content)
        written.append(path)
    return written
