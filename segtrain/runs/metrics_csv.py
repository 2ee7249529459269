"""`metrics.csv` when a run goes on: cut back to the checkpoint, and freed of what a power cut has damaged."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from .. import disk

Row = dict[str, str]
FINAL = {"test": "IoU/test", "val": "IoU_final/val"}  # split -> the tag of a final score on it


class Content(NamedTuple):
    """What can be read of the file. Of a last line without its end, nothing is expected."""

    columns: list[str]  # none where the header is lost
    rows: list[Row]
    last: list[str]  # cells of the last line, where its end is missing
    damaged: int  # other lines that are no rows


def cut_back(path: Path, columns: Sequence[str], first_step: int) -> tuple[list[str], str | None]:
    """Keep the rows from before `first_step`, without the final score, which will be written again.

    If more than that is lost, since lines cannot be read, the file is kept under another name too. Returns the columns
    of the file, `columns` first, and in words what was damaged.
    """
    content = parse(path.read_bytes())
    extra = [name for name in content.columns if name not in columns]
    kept = [row for row in content.rows if int(row["step"]) < first_step and not is_final(row)]
    torn = is_lost(content.last, first_step)
    problem = None
    if content.damaged or torn:
        number, copy = content.damaged + torn, set_aside(path)
        problem = f"{path}: {number} of its lines cannot be read: the others are kept, and the file as it was, {copy}"
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [*columns, *extra])
    writer.writeheader()
    writer.writerows(kept)
    disk.write(path, text.getvalue())
    return [*columns, *extra], problem


def is_final(row: Row) -> bool:
    """Whether a row has the final score, which stands alone there."""
    return any(row.get(tag) for tag in FINAL.values())


def parse(content: bytes) -> Content:
    """The rows below the header. A row has a whole number as its step, and numbers or nothing in all other cells."""
    *ended, last = content.split(b"\n")
    lines = [line for line in ended if line.strip()]
    header, *others = [cells_of(line) for line in lines] or [[]]
    if header[:1] != ["step"] or len(set(header)) < len(header):
        return Content([], [], [], len(lines) + bool(last))
    whole_rows = [cells for cells in others if len(cells) == len(header) and is_row(cells)]
    rows = [dict(zip(header, cells, strict=True)) for cells in whole_rows]
    return Content(header, rows, cells_of(last), len(others) - len(rows))


def cells_of(line: bytes) -> list[str]:
    """The cells of a line; one that says so where it is no text."""
    try:
        text = line.rstrip(b"\r").decode("utf-8-sig")
        return next(csv.reader([text]), [])
    except (ValueError, csv.Error):
        return ["unreadable"]


def is_row(cells: Sequence[str]) -> bool:
    step, *numbers = cells
    return step.isdecimal() and step.isascii() and all(map(is_number_or_empty, numbers))


def is_number_or_empty(cell: str) -> bool:
    try:
        float(cell or "0")
    except ValueError:
        return False
    return True


def is_lost(last: Sequence[str], first_step: int) -> bool:
    """Whether a last line without its end tells of a step before `first_step`, or cannot be read at all.

    A kill in the middle of writing leaves half a row of a later step, which will be logged again.
    """
    if not last or (len(last) == 1 and last[0].isdecimal()):
        return False
    return not is_row(last[:1]) or int(last[0]) < first_step


def set_aside(path: Path) -> Path:
    """Keep a copy of a damaged file beside it, under a name that is not taken."""
    copy, number = path.with_name("metrics.damaged.csv"), 1
    while copy.exists():
        number += 1
        copy = path.with_name(f"metrics.damaged_{number}.csv")
    disk.link(path, copy)
    return copy
