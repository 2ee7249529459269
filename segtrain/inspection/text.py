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

from rich.cells import cell_len, set_cell_size

from ..data.classes import ClassTable
from ..data.color import hex_of, number_of
from ..data.files.pair import Pair
from ..data.findings import Finding
from ..data.layouts.choice import LAYOUTS, OpenFolder
from ..data.layouts.reading import Reading
from ..data.layouts.tree import below
from ..data.survey.facts import ImageFacts, pictures
from ..report.screen import bars, columns
from ..text import counted, plain_cell
from .counts import Counts
from .inspect import Inspection

CLASSES_SHOWN = 60
WIDTH = 79  # columns of the table of classes, so that no terminal breaks its lines
LEAST_NAME, LEAST_BAR, WIDEST_BAR = 12, 6, 24  # columns in it
SIZES_SHOWN = 3
FINDINGS_SHOWN = 10  # of a kind
ALIKE_SHOWN = 3  # of masks of one value, which may be pictures without anything to find
FOLDERS_SHOWN = 3  # of pictures that are not used
READINGS_SHOWN = 6
DATA = 0.5  # share of half transparent pixels from which on a channel is rather data than alpha
ALONE = ("no file", "no mask", "no image")  # kinds of errors


def word(name: str, value: object) -> str:
    """A setting as it is typed in a shell."""
    return shlex.quote(f"{name}={value}")


def layout_text(folder: OpenFolder, same: Sequence[Reading]) -> str:
    """How images and masks are paired, with an example, and the other ways to pair them; those that are the `same` but
    for their names or colours apart."""
    root, taken = folder.root, folder.reading
    layout = LAYOUTS.get(taken.kind)
    meaning, *_ = re.split(r"\.(?=\s|$)", (layout and layout.__doc__) or "")  # the first sentence
    lines = [
        f"{root}: {counted(len(taken.pairs), 'pair')} of an image and a mask",
        f"  layout {taken.layout}: {' '.join(meaning.split())}",
        f"  {example(root, taken)}",
        *[f"  {line}" for line in left_out(folder)],
    ]
    others = [reading for reading in folder.readings if reading.layout != taken.layout and reading not in same]
    is_best = taken.layout == folder.readings[0].layout
    equal = [reading.layout for reading in folder.equals if is_best]
    as_good = [reading for reading in others if reading.layout in equal]
    worse = [reading for reading in others if reading.layout not in equal]
    lines += readings_table(root, "other readings, whose masks hold the same", same)
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
        over = f"{counted(left, 'file')} left over" if left else ""
        layout = f"  {word('data.layout', reading.layout)}"
        rows.append((layout, counted(len(reading.pairs), "pair"), over, example(root, reading)))
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
        return [*reading.notes, *not_listed(folder)]
    lines = [*reading.notes, *not_in_lists(reading)]
    if reading.unlabelled:
        number, first = counted(len(reading.unlabelled), "image"), reading.unlabelled[0]
        verb = "is" if len(reading.unlabelled) == 1 else "are"
        lines.append(f"{number} of a split without masks {verb} left out, such as {first}")
    lines += [f"left aside: {stray}: among the masks, but it differs from all of them" for stray in reading.strays]
    if others := folder.not_used():
        lines.append(f"not used: {counted(len(others), 'other picture')}: {by_folder(others)}")
    return lines


def not_in_lists(reading: Reading) -> list[str]:
    """A sentence on the images with masks that the lists of splits leave out, if there are any."""
    if not reading.unlisted:
        return []
    number = len(reading.unlisted)
    subject = "an image is" if number == 1 else f"{number} images are"
    return [f"{subject} in no list of a split, and not used, such as {reading.unlisted[0].image}"]


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
    """A sentence on the images beyond `splits.csv` that a reading with the same masks has; where no other reading has
    the same masks, those of the best one, which is not named then."""
    others = [reading for reading in folder.readings if reading.layout != "splits_csv"]
    if not others:
        return []
    alike = [reading for reading in others if has_the_masks_of(reading, folder.reading)]
    other = (alike or others)[0]
    known = {pair.image for pair in folder.reading.pairs}
    more = sorted({*(pair.image for pair in other.pairs), *other.images} - known)
    if not more:
        return []
    verb = "lies" if len(more) == 1 else "lie"
    text = (
        f"splits.csv lists {counted(len(known), 'image')}, and {len(more)} more {verb} in the folder, such as {more[0]}"
    )
    return [f"{text}: data.layout={other.layout} finds them" if alike else text]


def has_the_masks_of(other: Reading, listed: Reading) -> bool:
    """Whether a reading has the masks of a list for all images that both have."""
    masks = {pair.image: pair.mask.name for pair in listed.pairs}
    shared = [pair for pair in other.pairs if pair.image in masks]
    return bool(shared) and all(pair.mask.name == masks[pair.image] for pair in shared)


def masks_text(inspection: Inspection) -> str:
    """How the masks say their classes, and where the classes come from."""
    described = inspection.described
    source = f"classes from {described.source}" if described.spec else "no classes can be proposed"
    if described.choices:
        source = "the classes are yours to choose"
    return "\n  - ".join([f"masks: {described.kind}; {source}", *described.notes])


def splits_text(inspection: Inspection) -> str:
    """A line for each split: images, sizes, channels, bits; and how the splits were made that the folder lacks."""
    rows = [("split", "images", "width x height", "channels", "bits")]
    for split, pairs in inspection.splits.items():
        images = inspection.survey.usable_images(pairs)
        sizes = frequent(f"{image.width} x {image.height}" for image in images)
        channels = frequent(channels_text(image) for image in images)
        bits = frequent(depth_text(image) for image in images)
        rows.append((split, f"{len(pairs)}", sizes, channels, bits))
    table = columns(rows, {1})
    return f"{table}\n{inspection.how}" if inspection.how else table


def channels_text(image: ImageFacts) -> str:
    """The channels that are read, and whether there is alpha, which is not."""
    read = len(image.mean) or image.channels
    return str(read) if image.alpha is None else f"{read} + alpha"


def depth_text(image: ImageFacts) -> str:
    """Bits of a channel, and the kind of numbers that are not the usual ones."""
    return str(image.bits) if image.kind == "unsigned" else f"{image.bits} {image.kind}"


def trained_pairs(inspection: Inspection) -> Sequence[Pair]:
    """The pairs that a training takes, whose images decide on the range of values; all pairs where none are to be
    trained on."""
    return inspection.splits.get("train") or inspection.folder.reading.pairs


def range_text(inspection: Inspection) -> list[str]:
    """A sentence where the images do not fill black to white, as photographs do."""
    pairs = trained_pairs(inspection)
    known = pictures(inspection.survey.usable_images(pairs))
    if known is None or known.span() is None:
        return []
    first = next(pair for pair in pairs if inspection.survey.image(pair).low)
    return [
        f"images such as {below(inspection.folder.root, first.image)}: {known.stores}, filled from {known.fills}; "
        "colours are jittered in that range"
    ]


def alpha_text(inspection: Inspection) -> list[str]:
    """A sentence where what is marked as alpha may be a channel like the others."""
    pairs = trained_pairs(inspection)
    alike = [pair.image for pair in pairs if (inspection.survey.image(pair).alpha or 0) > DATA]
    if not alike:
        return []
    return [
        f"in {len(alike)} of {len(pairs)} images, the last channel is marked as alpha but varies as data do, such as "
        f"in {below(inspection.folder.root, alike[0])}: it is left out; to have it used, mark it as unspecified "
        "(ExtraSamples 0)"
    ]


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
    """A line for each class: its share of the pixels, the images that have it, its weight; where that is possible, no
    wider than a terminal."""
    shares = counts.shares
    cells = [["colour", "share", *(f"in {split}" for split in counts.images), "weight"]]
    for i, color in enumerate(table.colors[:CLASSES_SHOWN].tolist()):
        images = (str(numbers[i]) for numbers in counts.images.values())
        cells.append([hex_of(number_of(color)).lower(), percent(shares[i]), *images, f"{weights[i]:.2f}"])
    room = WIDTH - max(map(len, columns(cells).splitlines())) - 2
    names = ["class", *(shortened(name, max(room, LEAST_NAME)) for name in table.names[:CLASSES_SHOWN])]
    room -= max(map(cell_len, names)) + 2
    drawn = [""] * len(names)
    if room >= LEAST_BAR:
        drawn[1:] = bars(shares[: len(names) - 1].tolist(), min(room, WIDEST_BAR))
    rows = []
    for name, (color, share, *others), bar in zip(names, cells, drawn, strict=True):
        rows.append([name, color, share, *([bar] if any(drawn) else []), *others])
    right = {2, *range(len(rows[0]) - len(counts.images) - 1, len(rows[0]))}
    lines = [columns(rows, right)]
    if len(table) > CLASSES_SHOWN:
        lines.append(f"and {counted(len(table) - CLASSES_SHOWN, 'more class')}")
    if counts.void:
        total = counts.void + int(sum(pixels.sum() for pixels in counts.pixels.values()))
        lines.append(f"void, which counts nowhere: {percent(counts.void / total)} of all pixels")
    return "\n".join(lines)


def shortened(name: str, width: int) -> str:
    """A name that leaves room for the other columns."""
    if cell_len(name) <= width:
        return name
    return f"{set_cell_size(name, width - 1).rstrip()}…"


def percent(share: float) -> str:
    if 0 < share < 0.0001:
        return "< 0.01 %"
    return f"{100 * share:.2f} %" if share else "-"


def findings_csv(findings: Sequence[Finding]) -> str:
    rows = io.StringIO(newline="")
    writer = csv.writer(rows)
    writer.writerow(Finding._fields)
    writer.writerows(map(plain_cell, finding) for finding in findings)
    return rows.getvalue()


def alike_text(findings: Sequence[Finding]) -> list[str]:
    """A line for all files of which the same is to be said."""
    files: dict[str, list[str]] = defaultdict(list)
    for finding in findings:
        files[finding.detail].append(finding.file)
    lines = []
    for detail, names in sorted(files.items(), key=lambda item: -len(item[1]))[:FINDINGS_SHOWN]:
        lines.append(f"  {counted(len(names), 'mask')}, such as {names[0]}: {detail}; check.csv lists them")
    return lines


def findings_text(findings: Sequence[Finding]) -> str:
    """By kind, the errors first, as they come: the first ten of each, and how many more there are."""
    lines = []
    for (severity, kind), group in groupby(findings, key=lambda finding: finding[:2]):
        same = list(group)
        lines.append(f"{severity}: {kind} ({len(same)})")
        if kind == "one value" and len(same) > ALIKE_SHOWN:
            lines += alike_text(same)
            continue
        lines += [f"  {finding.file}: {finding.detail}" for finding in same[:FINDINGS_SHOWN]]
        if len(same) > FINDINGS_SHOWN:
            lines.append(f"  and {len(same) - FINDINGS_SHOWN} more")
    return "\n".join(lines)
