"""A folder looked at as a whole: what its masks mean, and what is wrong with its files; before a training too."""

import csv
import io
import os
import posixpath
import re
import shlex
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from .data import coco
from .data.class_files import read as read_class_file
from .data.classes import ClassTable
from .data.encoding import propose
from .data.findings import Finding, find
from .data.folder import chosen, class_table, group_pattern, unpaired
from .data.images import MAX_PIXELS
from .data.layouts import not_used, readings
from .data.reading import Reading
from .data.source import Pair, checked_size
from .data.splits import group_of, place, with_splits
from .data.survey import Survey, survey, unknown
from .data.unusable import readers, remembered
from .errors import UserError
from .report.screen import COMMAND, counting_bar, say

Spec = dict[str, Any]
SHOWN = 10  # findings of a kind on the screen
PATIENCE = 60  # seconds that a training waits for the full check
OTHERS = 3  # folders of pictures that are not used
TRIAL = 8  # pairs that are read to tell how long all will take
PAIRED = "files are paired by name, without the suffix"
ALONE = ("no mask", "no image", "no partner")  # kinds of errors
ADVICE = {  # what to do about the errors of a kind
    "size": "a mask needs the size of its image",
    "values": "list what stands in the masks in classes.yaml, or set `other: ignore` (or `nearest`) there",
}


class Described(NamedTuple):
    """What the masks of a folder mean.

    Attributes:
        spec: the content of a `classes.yaml`; `None` where nothing can be proposed.
        source: where it comes from.
        settled: whether a training finds it there by itself.
        kind: of the masks, in words.
        notes: what a person should know of it.
    """

    spec: Spec | None
    source: str
    settled: bool
    kind: str
    notes: list[str]


class Folder(NamedTuple):
    """All that is known of a folder. The splits are those of a training, where it has none itself the proposed ones."""

    root: Path
    reading: Reading
    survey: Survey
    described: Described
    table: ClassTable | None
    findings: list[Finding]

    def short(self, text: str) -> str:
        """`text` with paths as they are seen from the data folder."""
        return text.replace(f"{self.root}{os.sep}", "")

    @property
    def errors(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity == "error"]


def inspect(data: Mapping[str, Any], reading: Reading) -> Folder:
    """Read all files of a reading, with a progress bar, and say what they mean.

    Args:
        data: the settings of a `FolderData`.
    """
    coco.set_order(reading, data.get("order", "area"))
    facts = surveyed(reading.pairs, data.get("max_pixels", MAX_PIXELS))
    described = describe(data, reading, facts)
    table = ClassTable.from_spec(described.spec, described.source) if described.spec else None
    reasons = {str(path): reason for path, reason in unpaired(reading)}
    reading = reading._replace(splits=proposed(reading.splits, group_pattern(data.get("group"))))
    folder = Folder(Path(data["root"]), reading, facts, described, table, [])
    findings = (
        finding._replace(
            file=folder.short(finding.file), detail=folder.short(reasons.get(finding.file, finding.detail))
        )
        for finding in find(reading, facts, table)
    )
    return folder._replace(findings=list(findings))


def describe(data: Mapping[str, Any], reading: Reading, facts: Survey) -> Described:
    """The classes that the settings, the folder or its layout name, else those that the masks suggest."""
    masks = [facts.mask(pair) for pair in reading.pairs]
    root = Path(data["root"])
    try:
        table = class_table(root, data.get("classes"), reading)
        source = "the settings" if data.get("classes") else "classes.yaml" if not reading.classes else reading.layout
        return Described(table.spec, source, True, propose(masks, None).kind, [])
    except FileNotFoundError:
        file = read_class_file(root)
        proposal = propose(masks, file.entries if file else None)
        source = f"the masks and {file.path.relative_to(root).as_posix()}" if file else "the masks alone"
        return Described(proposal.spec, source, False, proposal.kind, proposal.notes)


def proposed(splits: Mapping[str, Sequence[Pair]], group: re.Pattern[str] | None) -> dict[str, list[Pair]]:
    """As a training splits them; where that leaves none to train or to validate on, 15 % of all or of train are val."""
    if splits.keys() == {"test"}:  # which nothing can be trained on
        splits = {"": splits["test"]}
    found = with_splits(splits, group)
    if found.keys() >= {"train", "val"} or not {"train", "trainval", ""} & splits.keys():
        return found
    groups: dict[str, list[Pair]] = {}
    for pair in [pair for split, pairs in splits.items() if split != "test" for pair in pairs]:
        groups.setdefault(group_of(pair.name, group), []).append(pair)
    ordered = sorted(groups, key=place)
    enough = 0.15 * sum(map(len, groups.values()))
    val: list[Pair] = []
    while len(ordered) > 1 and (not val or len(val) < enough):
        val += groups[ordered.pop()]
    train = [pair for name in ordered for pair in groups[name]]
    test = {"test": list(splits["test"])} if "test" in splits else {}
    return {"train": sorted(train), "val": sorted(val), **test}


def surveyed(pairs: Sequence[Pair], max_pixels: int) -> Survey:
    """The facts of all files; those that have not changed since they were read last are not read again."""
    with counting_bar(transient=True) as bar:
        task = bar.add_task("reading images and masks", total=len(pairs))
        return survey(
            pairs, max_pixels=max_pixels, workers=readers(), cache=remembered(), advance=lambda n: bar.advance(task, n)
        )


def findings_csv(findings: Sequence[Finding]) -> str:
    rows = io.StringIO(newline="")
    writer = csv.writer(rows)
    writer.writerow(Finding._fields)
    writer.writerows(findings)
    return rows.getvalue()


def findings_text(findings: Sequence[Finding]) -> str:
    """Errors first, by kind: the first ten of each, and how many more there are."""
    lines = []
    for severity in ("error", "warning"):
        kinds: dict[str, list[Finding]] = {}
        for finding in findings:
            if finding.severity == severity:
                kinds.setdefault(finding.kind, []).append(finding)
        for kind, found in kinds.items():
            lines.append(f"{severity}: {kind} ({len(found)})")
            lines += [f"  {finding.file}: {finding.detail}" for finding in found[:SHOWN]]
            lines += [f"  and {len(found) - SHOWN} more"] * (len(found) > SHOWN)
    return "\n".join(lines)


# --- before a training ------------------------------------------------------------------------------------------------


def before_training(data: Mapping[str, Any]) -> None:
    """The full check of a folder where that does not take long; otherwise of partners and headers alone.

    With `on_bad=skip` it is always the full one, because what is left out must be known before the first step.

    Args:
        data: the settings of a `FolderData`.

    Raises:
        UserError: if there are errors, which are printed, unless they are to be skipped.
    """
    if not is_folder(data):
        return
    root, skip = Path(data["root"]), data.get("on_bad") == "skip"
    found = readings(root, outside=data.get("outside", False))
    reading = chosen(root, found, data.get("layout"))
    class_table(root, data.get("classes"), reading)  # without which nothing more is worth a look
    for line in left_out(root, reading, found):
        say(line)
    max_pixels = data["max_pixels"]
    minutes = seconds_to_read(reading.pairs, max_pixels) / 60
    if minutes * 60 > PATIENCE and not skip:
        errors = header_errors(reading, max_pixels)
        say(
            f"each file is checked as it is read: all {len(reading.pairs)} pairs at once would take about "
            f"{minutes:.0f} minutes; {COMMAND} check {word('data.root', root)} does that, and is remembered"
        )
    else:
        folder = inspect(data, reading)
        errors = folder.errors
        if warnings := Counter(finding.kind for finding in folder.findings if finding.severity == "warning"):
            kinds = ", ".join(f"{kind} ({number})" for kind, number in warnings.items())
            say(f"warnings about the data: {kinds}; {COMMAND} check {word('data.root', root)} lists them")
    if errors and not skip:
        refuse(root, errors)


def left_out(root: Path, reading: Reading, found: Sequence[Reading]) -> list[str]:
    """What a reading leaves out: splits without masks; of a list, images that the best other reading has; other
    pictures."""
    if reading.layout == "splits_csv":
        return not_listed(reading, found)
    lines = []
    if reading.unlabelled:
        number, first = len(reading.unlabelled), reading.unlabelled[0]
        lines.append(f"{number} images of a split without masks are left out, such as {first}")
    if other := not_used(root, reading):
        folders = Counter(posixpath.dirname(path) for path in other).most_common(OTHERS + 1)
        first = {posixpath.dirname(path): posixpath.basename(path) for path in reversed(other)}
        kinds = [f"{number} in {folder or '.'} such as {first[folder]}" for folder, number in folders[:OTHERS]]
        more = ", and others" if len(folders) > OTHERS else ""
        lines.append(f"not used: {len(other)} other pictures: {', '.join(kinds)}{more}")
    return lines


def not_listed(reading: Reading, found: Sequence[Reading]) -> list[str]:
    """Of `splits.csv`: the images beyond it that the best other reading has."""
    other = next((each for each in found if each.layout != "splits_csv"), None)
    if other is None:
        return []
    known = {pair.image for pair in reading.pairs}
    more = sorted({*(pair.image for pair in other.pairs), *other.images} - known)
    if not more:
        return []
    number = f"splits.csv lists {len(known)} images, and {len(more)} more lie in the folder"
    return [f"{number}, such as {more[0]}: data.layout={other.layout} finds them"]


def is_folder(data: Mapping[str, Any]) -> bool:
    """Whether these are settings of a `FolderData` that it will take; of others, building it says what is wrong."""
    kinds = {"root": str, "layout": str | None, "group": str | None, "classes": Mapping | None, "max_pixels": int}
    fits = all(isinstance(data.get(key), kind) for key, kind in kinds.items())
    return str(data.get("_target_", "")).startswith("segtrain.data.") and fits and data["max_pixels"] > 0


def refuse(root: Path, errors: Sequence[Finding]) -> NoReturn:
    """Print all errors but a single one, and raise UserError about the first."""
    if len(errors) > 1:
        say(findings_text(errors))
    first = errors[0]
    more = f" (and {len(errors) - 1} more errors, see above)" if len(errors) > 1 else ""
    said = f"{root / first.file}{' ' if first.kind in ALONE else ': '}{first.detail}{more}"
    advice = PAIRED if first.kind in ALONE else ADVICE.get(first.kind, "mend it")
    raise UserError(f"{said}: {advice}; or go on without such files: data.on_bad=skip")


def header_errors(reading: Reading, max_pixels: int) -> list[Finding]:
    """What names and headers alone show."""
    errors = [Finding("error", "no partner", str(path), reason) for path, reason in unpaired(reading)]
    for pair in reading.pairs:
        try:
            checked_size(pair, max_pixels)
        except (UserError, OSError) as error:
            errors.append(Finding("error", "header", str(pair.image), str(error).removeprefix(f"{pair.image}: ")))
    return errors


def seconds_to_read(pairs: Sequence[Pair], max_pixels: int) -> float:
    """How long the full check will take, by the time for some of the files that are not remembered."""
    todo = unknown(pairs, remembered())
    if len(todo) <= TRIAL:
        return 0.0
    start = time.perf_counter()
    survey(todo[:: len(todo) // TRIAL][:TRIAL], max_pixels=max_pixels, workers=0, cache=remembered())
    return (time.perf_counter() - start) / TRIAL * len(todo) / max(readers(), 1)


def word(name: str, value: object) -> str:
    """A setting as it is typed in a shell."""
    return shlex.quote(f"{name}={value}")
