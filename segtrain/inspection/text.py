"""What is printed of a folder: how it is read, what its masks mean, its splits and classes, what is wrong."""

import csv
import io
import posixpath
import re
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

from ..data.classes import ClassTable
from ..data.color import hex_of, number_of
from ..data.findings import Finding
from ..data.layouts.choice import LAYOUTS, OpenFolder
from ..data.layouts.reading import Reading
from ..report.screen import bars, columns
from .counts import Counts
from .inspect import Inspection

CLASSES_SHOWN = 60
SIZES_SHOWN = 3
FINDINGS_SHOWN = 10  # of a kind
FOLDERS_SHOWN = 3  # of pictures that are not used
READINGS_SHOWN = 6
ALONE = ("no mask", "no image", "no partner")  # kinds of errors


def word(name: str, value: object) -> str:
    """A setting as it is typed in a shell."""
    return shlex.quote(f"{name}={value}")


def below(root: Path, path: Path) -> str:
    """A path as it is seen from the data folder."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def layout_text(folder: OpenFolder) -> str:
    """How images and masks are paired, with an example, and the other ways to pair them."""
    root, taken = folder.root, folder.reading
    layout = LAYOUTS.get(taken.kind)
    meaning, *_ = re.split(r"\.(?=\s|$)", (layout and layout.__doc__) or "")  # the first sentence
    lines = [
        f"{root}: {len(taken.pairs)} pairs of an image and a mask",
        f"  layout {taken.layout}: {' '.join(meaning.split())}",
        f"  {example(root, taken)}",
        *[f"  {line}" for line in left_out(folder)],
    ]
    others = [reading for reading in folder.readings if reading.layout != taken.layout]
    is_best = taken.layout == folder.readings[0].layout
    equal = [reading.layout for reading in folder.equals if is_best]
    as_good = [reading for reading in others if reading.layout in equal]
    worse = [reading for reading in others if reading.layout not in equal]
    lines += readings_table(root, "other readings, as good as this one: choose before you train", as_good)
    lines += readings_table(root, "other readings", worse)
    return "\n".join(lines)


def readings_table(root: Path, heading: str, readings: Sequence[Reading]) -> list[str]:
    """Below a heading, how the first few readings are chosen, and how many pairs they have; nothing for none."""
    if not readings:
        return []
    rows = []
    for reading in readings[:READINGS_SHOWN]:
        left = len(reading.images) + len(reading.masks)
        over = f"{left} files left over" if left else ""
        layout = f"  {word('data.layout', reading.layout)}"
        rows.append((layout, f"{len(reading.pairs)} pairs", over, example(root, reading)))
    lines = [heading, columns(rows)]
    if len(readings) > READINGS_SHOWN:
        lines.append(f"  and {len(readings) - READINGS_SHOWN} more")
    return lines


def example(root: Path, reading: Reading) -> str:
    pair = reading.pairs[0]
    return f"such as {below(root, pair.image)} + {below(root, pair.mask.path)}"


def left_out(folder: OpenFolder) -> list[str]:
    """What the reading of a folder leaves out, a sentence each: splits without masks; pictures among the masks that are
    none; of a list, images that the best other reading has; other pictures."""
    reading = folder.reading
    if reading.layout == "splits_csv":
        return not_listed(folder)
    lines = []
    if reading.unlabelled:
        number, first = len(reading.unlabelled), reading.unlabelled[0]
        lines.append(f"{number} images of a split without masks are left out, such as {first}")
    lines += [f"left aside: {stray}: among the masks, but it differs from all of them" for stray in reading.strays]
    if others := folder.not_used():
        lines.append(f"not used: {len(others)} other pictures: {by_folder(others)}")
    return lines


def by_folder(pictures: Sequence[str]) -> str:
    """How many pictures lie in which folder, with an example of each."""
    folders: dict[str, list[str]] = defaultdict(list)
    for picture in pictures:
        folders[posixpath.dirname(picture)].append(posixpath.basename(picture))
    fullest = sorted(folders, key=lambda path: -len(folders[path]))[:FOLDERS_SHOWN]
    kinds = [f"{len(folders[path])} in {path or '.'} such as {folders[path][0]}" for path in fullest]
    more = ", and others" if len(folders) > FOLDERS_SHOWN else ""
    return ", ".join(kinds) + more


def not_listed(folder: OpenFolder) -> list[str]:
    """A sentence on the images beyond `splits.csv` that the best other reading has."""
    other = next((reading for reading in folder.readings if reading.layout != "splits_csv"), None)
    if other is None:
        return []
    known = {pair.image for pair in folder.reading.pairs}
    more = sorted({*(pair.image for pair in other.pairs), *other.images} - known)
    if not more:
        return []
    number = f"splits.csv lists {len(known)} images, and {len(more)} more lie in the folder"
    return [f"{number}, such as {more[0]}: data.layout={other.layout} finds them"]


def masks_text(inspection: Inspection) -> str:
    """How the masks say their classes, and where the classes come from."""
    described = inspection.described
    source = f"classes from {described.source}" if described.spec else "no classes can be proposed"
    return "\n  - ".join([f"masks: {described.kind}; {source}", *described.notes])


def splits_text(inspection: Inspection) -> str:
    """A line for each split: images, sizes, channels, bits."""
    rows = [("split", "images", "width x height", "channels", "bits")]
    for split, pairs in inspection.splits.items():
        images = inspection.survey.usable_images(pairs)
        sizes = frequent(f"{image.width} x {image.height}" for image in images)
        channels = frequent(str(image.channels) for image in images)
        bits = frequent(str(image.bits) for image in images)
        rows.append((split, f"{len(pairs)}", sizes, channels, bits))
    return columns(rows, {1})


def frequent(values: Iterable[str]) -> str:
    """The most frequent values; how often, unless all are the same; and how many more there are."""
    counts = Counter(values).most_common()
    if len(counts) == 1:
        return counts[0][0]
    shown = [f"{value} ({number})" for value, number in counts[:SIZES_SHOWN]]
    if len(counts) > SIZES_SHOWN:
        shown.append(f"{len(counts) - SIZES_SHOWN} others")
    return ", ".join(shown)


def classes_text(table: ClassTable, counts: Counts, weights: Sequence[float]) -> str:
    """A line for each class: its share of the pixels, the images that have it, its weight."""
    shares = counts.shares
    rows = [("class", "colour", "share", "", *(f"in {split}" for split in counts.images), "weight")]
    shown = zip(table.names[:CLASSES_SHOWN], table.colors.tolist(), bars(shares.tolist()), strict=False)
    for i, (name, color, bar) in enumerate(shown):
        images = (str(numbers[i]) for numbers in counts.images.values())
        color_name = hex_of(number_of(color)).lower()
        rows.append((name, color_name, percent(shares[i]), bar, *images, f"{weights[i]:.2f}"))
    lines = [columns(rows, {2, *range(4, len(rows[0]))})]
    if len(table) > CLASSES_SHOWN:
        lines.append(f"and {len(table) - CLASSES_SHOWN} more classes")
    if counts.void:
        total = counts.void + int(sum(pixels.sum() for pixels in counts.pixels.values()))
        lines.append(f"void, which counts nowhere: {percent(counts.void / total)} of all pixels")
    return "\n".join(lines)


def percent(share: float) -> str:
    if 0 < share < 0.0001:
        return "< 0.01 %"
    return f"{100 * share:.2f} %" if share else "-"


def findings_csv(findings: Sequence[Finding]) -> str:
    rows = io.StringIO(newline="")
    writer = csv.writer(rows)
    writer.writerow(Finding._fields)
    writer.writerows(findings)
    return rows.getvalue()


def findings_text(findings: Sequence[Finding]) -> str:
    """By kind, the errors first, as they come: the first ten of each, and how many more there are."""
    lines = []
    for (severity, kind), group in groupby(findings, key=lambda finding: finding[:2]):
        same = list(group)
        lines.append(f"{severity}: {kind} ({len(same)})")
        lines += [f"  {finding.file}: {finding.detail}" for finding in same[:FINDINGS_SHOWN]]
        if len(same) > FINDINGS_SHOWN:
            lines.append(f"  and {len(same) - FINDINGS_SHOWN} more")
    return "\n".join(lines)
