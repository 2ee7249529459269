"""`check`: how the files of a folder belong together, what its masks mean, and what is wrong with them."""

import io
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import disk
from ..data.batches.augment import fitting_crop
from ..data.batches.source import FolderSource
from ..data.batches.statistics import pooled
from ..data.classes import ClassTable
from ..data.files.images import MAX_PIXELS
from ..data.files.pair import Pair
from ..data.findings import Finding
from ..data.folder import group_pattern, open_root
from ..data.layouts.choice import OpenFolder, chosen
from ..data.layouts.folds import Fold, fold_of
from ..data.layouts.reading import Reading
from ..data.public import provide, recognised
from ..data.survey.facts import ImageFacts
from ..data.survey.tally import tally
from ..errors import UserError
from ..inspection import text
from ..inspection.counts import Counts, count
from ..inspection.description import description, not_own, typed_table, write_description
from ..inspection.inspect import Inspection, inspect
from ..inspection.mark import text_of
from ..inspection.questions import question_text, typed_words
from ..inspection.rivals import rivals_of, ways_of
from ..inspection.text import word
from ..losses.weights import class_weights
from ..report.pictures import samples
from ..report.screen import COMMAND, say, working
from ..text import counted

Settings = Mapping[str, Any]
SAMPLES = 8  # in the picture


def check(*, name: str, data: dict[str, Any], write: bool, out: str | None) -> int:
    """Explain the folder `data.root`; all findings go into `check.csv`, and samples into `check.png`.

    Args:
        name: The choice of data, as in `data=folder`.
        write: Whether to write `classes.yaml` and `splits.csv`, where a training needs them.
        out: The folder for the two files; `None` for the current one.

    Returns:
        The exit status: 2 where there are errors, at which a training would stop.
    """
    fold = wanted_fold(name, data, write=write)
    target = Path(out or ".").expanduser()
    provide(data, say)
    folder = opened(data)
    refuse_target(target, folder.reading)
    rivals = rivals_of(folder, data["layout"])
    say(text.layout_text(folder, rivals.same))
    say_public(name, folder)
    max_pixels = data.get("max_pixels", MAX_PIXELS)
    inspection = inspect(folder, data.get("classes"), group_pattern(data.get("group")), max_pixels, fold)
    has_classes = name == "folder" and bool(data.get("classes"))  # those of a public data set need no file
    typed = has_classes or data["layout"] is not None
    if has_classes:
        inspection = inspection._replace(described=inspection.described._replace(settled=False))
    explain(inspection, data)
    say(f"\nwritten: {', '.join(map(str, write_files(target, inspection)))}")
    ways = ways_of(folder, rivals.different, max_pixels)
    if question := question_text(data, inspection, ways):
        say(question)
        return 2
    if write:  # where readings are equally good, and their masks cannot be compared
        chosen(folder.root, folder.readings, data["layout"], ties=False)
    if not typed and len(folder.equals) > 1:  # what comes next has to say which
        data = {**data, "layout": folder.reading.layout}
    files = needed_files(inspection, data, fold)
    if write:
        inspection = described(inspection, files, typed=typed)
    say(next_text(name, data, inspection, [] if write else files))
    return 2 if inspection.errors else 0


def wanted_fold(name: str, data: Settings, *, write: bool) -> Fold | None:
    """The fold that is looked at, if any. Raises UserError for data that are not read from files, and where the splits
    of a fold would be written."""
    if "root" not in data:
        raise UserError(f"data={name} is not read from files: leave it out, and type data.root=FOLDER")
    fold = fold_of(data.get("folds"), data.get("fold"))
    if fold and write:
        raise UserError(f"write=true writes the splits of the data, of which {fold} is none: leave one of them out")
    return fold


def opened(data: Settings) -> OpenFolder:
    """The folder that the settings name; they may be those of data with fewer settings than a folder has."""
    root, outside, order = Path(data["root"]), data.get("outside", False), data.get("order", "area")
    with working("opening the data"):
        return open_root(root, data["layout"], data.get("origin"), outside=outside, order=order, ties=True)


def say_public(name: str, folder: OpenFolder) -> None:
    """Say which data set a folder of one's own is, if it is a public one."""
    public = recognised(folder) if name == "folder" else None
    if public:
        say(f"this looks like a public data set: data={public} in place of data=folder knows its classes")


def refuse_target(target: Path, reading: Reading) -> None:
    """Raises UserError for a folder of the images, since the picture written there would be taken for one of them; and
    where a file of another kind has the name of one that would be written."""
    images = {pair.image.parent.resolve() for pair in reading.pairs}
    masks = {pair.mask.path.parent.resolve() for pair in reading.pairs}
    if target.resolve() in images | masks:
        raise UserError(f"{target.resolve()} holds the images: type out=FOLDER, so that check.png is not among them")
    table, picture = target / "check.csv", target / "check.png"
    own = table.is_file() and text_of(table).startswith(",".join(Finding._fields))
    if (table.exists() or picture.exists()) and not own:
        there = table if table.exists() else picture
        raise UserError(f"{there} was not written by check: type out=FOLDER, so that it is not replaced")


def explain(inspection: Inspection, data: Settings) -> None:
    """Print what the masks mean, the splits, the classes, and what is wrong."""
    say(f"\n{text.masks_text(inspection)}\n\n{text.splits_text(inspection)}")
    for line in [*text.range_text(inspection), *text.alpha_text(inspection)]:
        say(line)
    if inspection.table:
        counts = count(inspection, inspection.table)
        say(f"\n{text.classes_text(inspection.table, counts, median_weights(counts))}")
        say(f"\n{advice_text(data, inspection, counts)}")
    if inspection.findings:
        say(f"\n{text.findings_text(inspection.findings)}")


def needed_files(inspection: Inspection, data: Settings, fold: Fold | None) -> dict[str, str]:
    """Name -> content of the files to be written: no list of splits of a fold, which a training makes anew, or that
    would leave out files without a partner, unless a layout was typed, or `on_bad=skip`."""
    files = description(inspection, data["layout"])
    if fold:
        files.pop("splits.csv", None)
    if "splits.csv" not in files or not alone_in(inspection) or data["layout"] or data.get("on_bad") == "skip":
        return files
    say("splits.csv is not written while files have no partner: mend them, or leave them out by data.on_bad=skip")
    return {name: content for name, content in files.items() if name != "splits.csv"}


def described(inspection: Inspection, files: Mapping[str, str], *, typed: bool) -> Inspection:
    """Write the files that describe a folder; what the list of splits does not name is then no finding any more.

    Nothing is written over a file that `check` did not make, unless a layout or classes were `typed`, and never
    without a copy then.
    """
    root = inspection.folder.root
    if inspection.folder.reading.kind == "splits_csv" and alone_in(inspection):
        say("splits.csv stays as it is, though it names files that are not there, or that have no partner, see above")
        say("  mend its lines, or type data.layout=NAME too to have another list made")
        files = {name: content for name, content in files.items() if name != "splits.csv"}
    if not typed:
        for path in not_own(root, files):
            say(f"not written: {path} is not as check left it, and stays; data.layout=NAME write=true would replace it")
            files = {name: content for name, content in files.items() if name != path.name}

    def keep(path: Path) -> None:
        copy = disk.keep_copy(path) if typed else None
        if copy:
            say(f"{path} is replaced: what stood there is kept as {copy}")

    for path in write_description(root, files, keep):
        say(f"written: {path}")
    if "classes.yaml" in files:
        say("look at check.png, and at the names in classes.yaml: they are yours to change")
    if "splits.csv" not in files:
        return inspection
    alone = alone_in(inspection)
    if alone:
        say(f"splits.csv leaves out {counted(len(alone), 'file')} without partner, such as {alone[0].file}")
    return inspection._replace(findings=[finding for finding in inspection.findings if finding not in alone])


def alone_in(inspection: Inspection) -> list[Finding]:
    """The errors about files without partner."""
    return [finding for finding in inspection.errors if finding.kind in text.ALONE]


def median_weights(counts: Counts) -> list[float]:
    """The weights (classes,) that `loss.weights=median_frequency` makes of the training images."""
    pixels = counts.pixels.get("train", next(iter(counts.pixels.values())))
    if not pixels.any():
        return [1.0] * len(pixels)
    return class_weights(torch.from_numpy(pixels), "median_frequency")


def advice_text(data: Settings, inspection: Inspection, counts: Counts) -> str:
    """Settings that suit these images, and what a training measures of them by itself."""
    mean, std = statistics(inspection.survey.usable_images(inspection.folder.reading.pairs))
    itself = "" if data["crop"] else "; train takes it by itself"
    lines = [
        f"channels: mean {mean}, standard deviation {std}; train measures them by itself",
        f"crop {crop_of(inspection)} (height, width) suits these images{itself}",
    ]
    if words := fitting(data, inspection):
        lines.append(f"type {' '.join(words)}")
    shares = counts.shares[counts.shares > 0]
    if len(shares) > 1 and shares.min() < 0.1 / len(shares):
        lines.append("rare classes: loss.weights=median_frequency gives them the weights above; sqrt is milder")
    return "\n".join(lines)


def statistics(images: Sequence[ImageFacts]) -> tuple[str, str]:
    """Mean and standard deviation per channel over all images, as fractions of white; among colour, grey counts too."""
    channels = max((len(image.mean) for image in images), default=0)
    usable = [image.summary.of_channels(channels) for image in images if len(image.mean) in (1, channels)]
    mean, square = pooled(usable)
    std = np.sqrt(np.maximum(square - mean**2, 0))
    return str(mean.round(3).tolist()), str(std.round(3).tolist())


def crop_of(inspection: Inspection) -> list[int]:
    """Height and width of crops that suit the training images."""
    images = inspection.survey.usable_images(text.trained_pairs(inspection))
    return fitting_crop([(image.height, image.width) for image in images])


def fitting(data: Settings, inspection: Inspection) -> list[str]:
    """Settings, as they are typed, that these images need, or that suit them better than the usual ones."""
    images = inspection.survey.usable_images(inspection.splits.get("train", []))
    height, width = crop_of(inspection)
    if images and data["crop"] and [height, width] != list(data["crop"]):
        return [f"data.crop=[{height},{width}]"]
    return []


def write_files(target: Path, inspection: Inspection) -> list[Path]:
    """check.csv, and check.png where the masks mean something."""
    target.mkdir(parents=True, exist_ok=True)
    findings = target / "check.csv"
    disk.write(findings, text.findings_csv(inspection.findings))
    table = inspection.table
    if table is None:
        return [findings]
    rows = []
    for pair in sample(inspection, table):
        image, mask = FolderSource([pair], table).read(0)  # each for itself: they may differ in their channels
        rows.append((text.below(inspection.folder.root, pair.image), image.numpy(), mask.numpy()))
    if not rows:
        return [findings]
    content = io.BytesIO()
    samples(rows, table).save(content, format="PNG")
    picture = target / "check.png"
    disk.write(picture, content.getvalue())
    return [findings, picture]


def sample(inspection: Inspection, table: ClassTable) -> list[Pair]:
    """Pairs without errors, up to eight: for each class, the rarest first, one that has much of it; then any others."""
    bad = {finding.file for finding in inspection.errors}

    def is_good(pair: Pair) -> bool:
        return not bad & {inspection.short(str(pair.image)), inspection.short(pair.mask.name)}

    good = list(filter(is_good, inspection.folder.reading.pairs))
    if not good:
        return []
    pixels, total = [], Counter[int]()
    for pair in good:
        pixels.append(tally(inspection.survey.mask(pair), table).classes)
        total.update(pixels[-1])
    rarest = [index for index, number in reversed(total.most_common()) if number]
    richest = [max(range(len(good)), key=lambda i: pixels[i].get(index, 0)) for index in rarest]
    spread = np.linspace(0, len(good) - 1, SAMPLES).astype(int).tolist()
    first = list(dict.fromkeys([*richest, *spread]))[:SAMPLES]
    return [good[i] for i in sorted(first)]


def is_other_table(inspection: Inspection) -> bool:
    """Whether the class table names none of what stands in most masks, and so is none for them."""
    unlisted = [finding for finding in inspection.errors if finding.kind == "values"]
    return 2 * len(unlisted) > len(inspection.folder.reading.pairs)


def next_text(name: str, data: Settings, inspection: Inspection, missing: Collection[str]) -> str:
    """What is to be done: mend, write, train; `missing` are files that a training may need and that are not written."""
    lines, root = [], word("data.root", data["root"])
    errors = len(inspection.errors)
    advice, is_other = "mend these files", is_other_table(inspection)
    if is_other:
        advice = f"the classes ({inspection.described.source}) are not those of most masks, so mend the table, or move "
        advice += "it away to have another one proposed"
    if errors:
        lines.append(f"{counted(errors, 'error')}, at which a training stops (exit status 2): {advice}")
    if is_other:
        return "\n".join([*lines, f"next: {COMMAND} check {root}  # when that is done"])
    if inspection.table is None:
        return "\n".join([*lines, "next: write a classes.yaml for these masks, as docs/data.md shows"])
    if not {"train", "val"} <= inspection.splits.keys():
        need = "a training needs some to train and some to validate on"
        return "\n".join([*lines, f"next: add images with masks: {need}"])
    typed = typed_words(data, "layout", "group")
    if name == "folder" and data.get("classes"):
        typed.append(word("data.classes", typed_table(data["classes"])))
    nothing_to_train = inspection.folder.reading.splits.keys() == {"test"}  # until the proposed splits are written
    if "classes.yaml" in missing or (missing and (typed or nothing_to_train)):
        lines.append(f"next: {' '.join([COMMAND, 'check', root, *typed, 'write=true'])}")
        lines.append(f"  writes {' and '.join(missing)} into {data['root']}")
        return "\n".join(lines)
    folds = typed_words(data, "folds", "fold")
    words = [root, *(typed if missing or folds else []), *folds, *fitting(data, inspection)]
    if name != "folder":
        words.insert(0, f"data={name}")
    if errors:
        words.append("data.on_bad=skip  # without the files that are not mended")
    return "\n".join([*lines, f"next: {' '.join([COMMAND, 'train', *words])}"])
