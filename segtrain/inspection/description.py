"""What a training needs to read a folder as it was read by `check`: classes.yaml and splits.csv."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from .. import disk
from ..data.classes import ClassTable
from ..data.files.by_class import ClassMask
from ..data.layouts.tree import beside_root
from ..report.screen import COMMAND
from .inspect import Inspection
from .text import below

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
    lines = [f"# Proposed by `{COMMAND} check`: {described.kind}; classes from {described.source}."]
    lines += [f"# {note}" for note in described.notes]
    for key, value in (described.spec or {}).items():
        if key == "classes":
            lines.append("classes:")
            lines += [f"  - {in_one_line(entry)}" for entry in with_colors(value, inspection.table)]
        else:
            lines.append(f"{key}: {in_one_line(value)}{COMMENTS.get(key, '')}")
    return "\n".join(lines) + "\n"


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


def splits_csv(inspection: Inspection) -> str:
    """A row for each pair: image, mask, split."""
    root = inspection.folder.root
    rows = io.StringIO(newline="")
    writer = csv.writer(rows)
    writer.writerow(["image", "mask", "split"])
    for split, pairs in inspection.splits.items():
        for pair in pairs:
            writer.writerow([below(root, pair.image), below(root, pair.mask.path), split])
    return rows.getvalue()


def write_description(root: Path, files: Mapping[str, str]) -> list[Path]:
    """Write the files into the data folder, or where that is read-only, into the one beside it."""
    written = []
    for name, content in files.items():
        try:
            path = root / name
            disk.write(path, content)
        except OSError:
            path = beside_root(root) / name
            path.parent.mkdir(exist_ok=True)
            disk.write(path, content)
        written.append(path)
    return written
