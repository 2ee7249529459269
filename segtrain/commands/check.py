"""`check`: how the files of a folder belong together, what its masks mean, and what is wrong with them."""

import csv
import io
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import yaml

from .. import disk
from ..data.classes import ClassTable
from ..data.encoding import tally
from ..data.folder import chosen
from ..data.geometry import fitting_crop
from ..data.layouts import LAYOUTS, beside_root, readings
from ..data.public import provide, recognised
from ..data.ranking import equals
from ..data.reading import Reading
from ..data.source import FolderSource, Pair
from ..data.survey import ImageFacts, mask_name
from ..errors import UserError
from ..inspection import ALONE, Folder, findings_csv, findings_text, inspect, left_out, word
from ..losses import class_weights
from ..report.pictures import samples
from ..report.screen import COMMAND, bars, columns, say

Spec = dict[str, Any]
CLASSES_SHOWN = 60
SIZES_SHOWN = 3
READINGS, OTHERS = 6, "other readings"  # that are shown
SAMPLES = 8  # in the picture
COMMENTS = {  # in classes.yaml
    "ignore": "  # what counts nowhere",
    "masks": "  # all of them are read as these, whether they are stored as grey, palette or colours: values | colors",
    "other": "  # a value or colour that is not listed: error | ignore | nearest",
}


def check(*, name: str, data: Spec, write: bool, out: str | None) -> int:
    """Explain the folder `data.root`; all findings go into `check.csv`, and samples into `check.png`.

    Args:
        name: of the data, as in `data=folder`.
        write: `classes.yaml` and `splits.csv`, where a training needs them, into the folder or beside it.
        out: the folder for the two files; `None` for the current one.

    Returns:
        The exit status: 2 where there are errors, at which a training would stop.
    """
    if "root" not in data:
        raise UserError(f"data={name} is not read from files: leave it out, and type data.root=FOLDER")
    root, target = Path(data["root"]), Path(out or ".").expanduser()
    provide(data)
    found = readings(root, outside=data.get("outside", False))
    reading = chosen(root, found if write or data["layout"] else found[:1], data["layout"])
    refuse_among_images(target, reading)
    say(layout_text(root, reading, found))
    if name == "folder" and (public := recognised(root, reading.layout)):
        say(f"this looks like a public data set: data={public} in place of data=folder knows its classes")
    folder = inspect(data, reading)
    say(f"\n{masks_text(folder)}\n\n{splits_text(folder)}")
    if folder.table:
        counts = Counts.of(folder, folder.table)
        say(f"\n{classes_text(folder.table, counts)}")
        say(f"\n{advice_text(data, folder, counts)}")
    if folder.findings:
        say(f"\n{findings_text(folder.findings)}")
    say(f"\nwritten: {', '.join(map(str, write_files(target, root, folder)))}")
    if not data["layout"] and len(equals(found)) > 1:  # what comes next has to say which
        data = {**data, "layout": reading.layout}
    files = description(root, reading, folder, data)
    if write:
        folder = write_description(root, folder, files)
    say(next_text(name, data, folder, [] if write else files))
    return 2 if folder.errors else 0


def refuse_among_images(target: Path, reading: Reading) -> None:
    """Raises UserError for a folder of the images: the picture written there would be taken for one of them."""
    folders = {path.parent.resolve() for pair in reading.pairs for path in (pair.image, mask_file(pair))}
    if target.resolve() in folders:
        raise UserError(f"{target.resolve()} holds the images: type out=FOLDER, so that check.png is not among them")


def mask_file(pair: Pair) -> Path:
    return pair.mask if isinstance(pair.mask, Path) else pair.mask.path


# --- text -------------------------------------------------------------------------------------------------------------


def layout_text(root: Path, taken: Reading, found: Sequence[Reading]) -> str:
    """How images and masks are paired, with an example, and the other ways to pair them."""
    lines = [
        f"{root}: {len(taken.pairs)} pairs of an image and a mask",
        f"  layout {taken.layout}: {meaning(taken)}",
        f"  such as {example(root, taken.pairs[0])}",
    ]
    lines += [f"  {line}" for line in left_out(root, taken, found)]
    others = [reading for reading in found if reading.layout != taken.layout]
    equal = [reading.layout for reading in equals(found)] if taken.layout == found[0].layout else []
    for text, good in ((f"{OTHERS}, as good as this one: choose before you train", True), (OTHERS, False)):
        rows = [reading_row(root, reading) for reading in others if (reading.layout in equal) is good]
        lines += [text, columns(rows[:READINGS])] if rows else []
        lines += [f"  and {len(rows) - READINGS} more"] if len(rows) > READINGS else []
    return "\n".join(lines)


def reading_row(root: Path, reading: Reading) -> tuple[str, ...]:
    """How another reading is chosen, how many pairs it has, and the first of them."""
    first = f"such as {example(root, reading.pairs[0])}"
    return f"  {word('data.layout', reading.layout)}", f"{len(reading.pairs)} pairs", left_over(reading), first


def example(root: Path, pair: Pair) -> str:
    return f"{below(root, pair.image)} + {below(root, mask_file(pair))}"


def meaning(reading: Reading) -> str:
    """What a layout looks like, in its own words."""
    function = LAYOUTS.get(reading.layout.partition(":")[0])
    return " ".join(re.split(r"\.(?=\s|$)", function.__doc__ or "")[0].split()) if function else ""


def left_over(reading: Reading) -> str:
    left = len(reading.images) + len(reading.masks)
    return f"{left} files left over" if left else ""


def below(root: Path, path: Path) -> str:
    """A path as it is seen from the data folder."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def masks_text(folder: Folder) -> str:
    """How the masks say their classes, and where the classes come from."""
    described = folder.described
    source = f"classes from {described.source}" if described.spec else "no classes can be proposed"
    return "\n".join([f"masks: {described.kind}; {source}", *(f"  - {note}" for note in described.notes)])


def splits_text(folder: Folder) -> str:
    """A line for each split: images, sizes, channels, bits."""
    rows = [("split", "images", "width x height", "channels", "bits")]
    for split, pairs in folder.reading.splits.items():
        facts = [found for found in map(folder.survey.image, pairs) if not found.problem]
        sizes = frequent(f"{found.width} x {found.height}" for found in facts)
        channels, bits = (frequent(str(getattr(f, key)) for f in facts) for key in ("channels", "bits"))
        rows.append((split, f"{len(pairs)}", sizes, channels, bits))
    return columns(rows, {1})


def frequent(values: Iterable[str]) -> str:
    """The most frequent values; how often, unless all are the same; and how many more there are."""
    counts = Counter(values).most_common()
    shown = [value if len(counts) == 1 else f"{value} ({number})" for value, number in counts[:SIZES_SHOWN]]
    return ", ".join([*shown, *([f"{len(counts) - SIZES_SHOWN} others"] if len(counts) > SIZES_SHOWN else [])])


class Counts(NamedTuple):
    """Over the masks without problems: pixels and images of each class (classes,), by split, and of void."""

    pixels: dict[str, np.ndarray]
    images: dict[str, np.ndarray]
    void: int

    @classmethod
    def of(cls, folder: Folder, table: ClassTable) -> "Counts":
        """Of the splits of a folder."""
        pixels, images, void = {}, {}, 0
        for split, pairs in folder.reading.splits.items():
            pixels[split], images[split] = np.zeros((2, len(table)), np.int64)
            for facts in map(folder.survey.mask, pairs):
                found = tally(facts, table) if not facts.problem else None
                for index, number in found.classes.items() if found else ():
                    pixels[split][index] += number
                    images[split][index] += number > 0
                void += found.void if found else 0
        return cls(pixels, images, void)

    @property
    def shares(self) -> np.ndarray:
        """(classes,) of all pixels that have a class."""
        total = sum(self.pixels.values(), np.zeros(()))
        return total / max(total.sum(), 1)

    def weights(self) -> list[float]:
        """(classes,) as `loss.weights=median_frequency` makes them of the training images."""
        pixels = self.pixels.get("train", next(iter(self.pixels.values())))
        return class_weights(torch.from_numpy(pixels), "median_frequency") if pixels.any() else [1.0] * len(pixels)


def classes_text(table: ClassTable, counts: Counts) -> str:
    """A line for each class: its share of the pixels, the images that have it, its weight."""
    shares, weights = counts.shares, counts.weights()
    rows = [("class", "colour", "share", "", *(f"in {split}" for split in counts.images), "weight")]
    shown = list(zip(table.names, table.colors.tolist(), bars(shares.tolist()), strict=True))
    for i, (name, color, bar) in enumerate(shown[:CLASSES_SHOWN]):
        images = (str(numbers[i]) for numbers in counts.images.values())
        rows.append((name, "#{:02x}{:02x}{:02x}".format(*color), percent(shares[i]), bar, *images, f"{weights[i]:.2f}"))
    numbers = {2, *range(4, len(rows[0]))}
    lines = [columns(rows, numbers)]
    if len(table) > CLASSES_SHOWN:
        lines.append(f"and {len(table) - CLASSES_SHOWN} more classes")
    if counts.void:
        everything = sum(int(pixels.sum()) for pixels in counts.pixels.values()) + counts.void
        lines.append(f"void, which counts nowhere: {percent(counts.void / everything)} of all pixels")
    return "\n".join(lines)


def percent(share: float) -> str:
    return "-" if not share else f"{100 * share:.2f} %" if share >= 0.0001 else "< 0.01 %"


def advice_text(data: Spec, folder: Folder, counts: Counts) -> str:
    """Settings that suit these images, and what a training measures of them by itself."""
    facts = [found for found in map(folder.survey.image, folder.reading.pairs) if not found.problem]
    mean, std = statistics(facts)
    lines = [f"channels: mean {mean}, standard deviation {std}; train measures them by itself"]
    crop = crop_of(folder)
    lines.append(
        f"crop {crop} (height, width) suits these images{'' if data['crop'] else '; train takes it by itself'}"
    )
    if words := fitting(data, folder):
        lines.append(f"type {' '.join(words)}")
    shares = counts.shares[counts.shares > 0]
    if len(shares) > 1 and shares.min() < 0.1 / len(shares):
        lines.append("rare classes: loss.weights=median_frequency gives them the weights above; sqrt is milder")
    return "\n".join(lines)


def statistics(facts: Sequence[ImageFacts]) -> tuple[str, str]:
    """Mean and standard deviation per channel over all images, as fractions of white; among colour, grey counts too."""
    channels = max((len(found.mean) for found in facts), default=0)
    total = squares = np.zeros(channels)
    pixels = 0
    for found in facts:
        area = found.width * found.height
        if len(found.mean) in (1, channels):
            pixels, total = pixels + area, total + area * np.array(found.mean)
            squares = squares + area * np.array(found.square)
    mean = total / max(pixels, 1)
    std = np.sqrt(np.maximum(squares / max(pixels, 1) - mean**2, 0))
    return str(mean.round(3).tolist()), str(std.round(3).tolist())


# --- files ------------------------------------------------------------------------------------------------------------


def write_files(target: Path, root: Path, folder: Folder) -> list[Path]:
    """check.csv, and check.png where the masks mean something."""
    target.mkdir(parents=True, exist_ok=True)
    written = [target / "check.csv"]
    disk.write(written[0], findings_csv(folder.findings))
    pairs = sample(folder, folder.table) if folder.table else []
    if folder.table and pairs:
        alone = {below(root, pair.image): FolderSource([pair], folder.table) for pair in pairs}  # of any channels
        read = ((name, source.read(0)) for name, source in alone.items())
        picture = io.BytesIO()
        samples([(name, image.numpy(), mask.numpy()) for name, (image, mask) in read], folder.table).save(
            picture, format="PNG"
        )
        written.append(target / "check.png")
        disk.write(written[1], picture.getvalue())
    return written


def sample(folder: Folder, table: ClassTable) -> list[Pair]:
    """Pairs without errors, up to eight: for each class, the rarest first, one that has much of it; then any others."""
    bad = {finding.file for finding in folder.errors}
    good = [
        pair
        for pair in folder.reading.pairs
        if not bad & {folder.short(str(pair.image)), folder.short(mask_name(pair))}
    ]
    found = [tally(folder.survey.mask(pair), table).classes for pair in good]
    total = Counter({index: sum(pixels.get(index, 0) for pixels in found) for index in range(len(table))})
    rarest = [index for index, pixels in reversed(total.most_common()) if pixels]
    richest = [max(range(len(good)), key=lambda i: found[i].get(index, 0)) for index in rarest]
    spread = np.linspace(0, len(good) - 1, SAMPLES).astype(int).tolist() if good else []
    return [good[i] for i in sorted([*dict.fromkeys([*richest, *spread])][:SAMPLES])]


# --- the description --------------------------------------------------------------------------------------------------


def description(root: Path, reading: Reading, folder: Folder, data: Spec) -> dict[str, str]:
    """Name -> content of the files that a training needs to read the folder as it was read here."""
    files = {}
    if folder.described.spec and not folder.described.settled:
        files["classes.yaml"] = classes_yaml(folder)
    if reading.splits != folder.reading.splits or (data.get("layout") and reading.layout != "splits_csv"):
        files["splits.csv"] = splits_csv(root, folder.reading)
    return files


def classes_yaml(folder: Folder) -> str:
    """The proposed table, a class in a line, under what was assumed."""
    spec, described = folder.described.spec or {}, folder.described
    lines = [f"# Proposed by `{COMMAND} check`: {described.kind}; classes from {described.source}."]
    lines += [f"# {note}" for note in described.notes]
    for key, value in spec.items():
        if key == "classes":
            lines += ["classes:", *(f"  - {line(entry)}" for entry in value)]
        else:
            lines.append(f"{key}: {line(value)}{COMMENTS.get(key, '')}")
    return "\n".join(lines) + "\n"


def line(value: Any) -> str:
    """A value in one line of YAML."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=float("inf"))
    return text.removesuffix("...\n").strip()


def splits_csv(root: Path, reading: Reading) -> str:
    rows = io.StringIO(newline="")
    writer = csv.writer(rows)
    writer.writerow(["image", "mask", "split"])
    for split, pairs in reading.splits.items():
        writer.writerows([below(root, pair.image), below(root, mask_file(pair)), split] for pair in pairs)
    return rows.getvalue()


def write_description(root: Path, folder: Folder, files: dict[str, str]) -> Folder:
    """Write the files, and return the folder as it is with them: of what a list does not name, nothing is wrong."""
    for name, content in files.items():
        say(f"written: {write_beside(root, name, content)}")
    if not folder.described.settled:
        say("look at check.png, and at the names in classes.yaml: they are yours to change")
    alone = ALONE if "splits.csv" in files else ()
    return folder._replace(findings=[finding for finding in folder.findings if finding.kind not in alone])


def write_beside(root: Path, name: str, content: str) -> Path:
    """Into the data folder, or where that is read-only, into the one beside it."""
    try:
        disk.write(root / name, content)
        return root / name
    except OSError:
        other = beside_root(root)
        other.mkdir(exist_ok=True)
        disk.write(other / name, content)
        return other / name


# --- what to type next ------------------------------------------------------------------------------------------------


def next_text(name: str, data: Spec, folder: Folder, missing: Collection[str]) -> str:
    """What is to be done: mend, write, train.

    Args:
        missing: files that a training needs, or may need, and that are not written yet.
    """
    lines, root = [], word("data.root", data["root"])
    if folder.errors:
        lines.append(f"{len(folder.errors)} errors, at which a training stops (exit status 2): mend these files")
    if folder.table is None:
        return "\n".join([*lines, "next: write a classes.yaml for these masks, as docs/data.md shows"])
    typed = [word(f"data.{key}", data[key]) for key in ("layout", "group") if data.get(key) is not None]
    if "classes.yaml" in missing or (missing and typed):
        lines.append(f"next: {' '.join([COMMAND, 'check', root, *typed, 'write=true'])}")
        lines.append(f"  writes {' and '.join(missing)} into {data['root']}")
        return "\n".join(lines)
    words = [*([f"data={name}"] if name != "folder" else []), root, *(typed if missing else []), *fitting(data, folder)]
    words += ["data.on_bad=skip"] if folder.errors else []
    then = "  # without the files that are not mended" if folder.errors else ""
    return "\n".join([*lines, f"next: {' '.join([COMMAND, 'train', *words])}{then}"])


def crop_of(folder: Folder) -> list[int]:
    """Height and width of crops that suit the training images."""
    facts = map(folder.survey.image, folder.reading.splits.get("train") or folder.reading.pairs)
    return fitting_crop([(found.height, found.width) for found in facts if not found.problem])


def fitting(data: Spec, folder: Folder) -> list[str]:
    """Settings that these images need, or that suit them better than the usual ones."""
    train = [facts for facts in map(folder.survey.image, folder.reading.splits.get("train", [])) if not facts.problem]
    if not train:
        return []
    crop = crop_of(folder)
    words = [f"data.crop=[{crop[0]},{crop[1]}]"] if data["crop"] and crop != list(data["crop"]) else []
    return words + ([f"data.batch_size={len(train)}"] if len(train) < data["batch_size"] else [])
