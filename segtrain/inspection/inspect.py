"""All files of a folder are read: what its masks mean, and what is wrong with it."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..data.classes import ClassTable
from ..data.files.by_class import ClassMask
from ..data.files.pair import Pair
from ..data.findings import Finding, find
from ..data.folder import Wish, class_table, looks_decide, split_up, surveyed, unpaired
from ..data.layouts.choice import OpenFolder
from ..data.layouts.folds import Fold
from ..data.layouts.reading import Reading, unpacked
from ..data.layouts.tree import description_in
from ..data.proposal.class_files import read_class_file
from ..data.proposal.levels import Histogram
from ..data.proposal.proposal import propose
from ..data.proposal.table import Choice
from ..data.survey.facts import MaskFacts
from ..data.survey.survey import Survey
from ..data.survey.tally import shows_colours, tally
from ..report.screen import progress, working
from .exchanged import are_exchanged, exchanged
from .mark import PROPOSED, examples, made_for_others, text_of


class Described(NamedTuple):
    """What the masks of a folder mean."""

    spec: dict[str, Any] | None  # the content of a classes.yaml, if one can be proposed
    source: str  # where it comes from
    settled: bool  # whether a training finds it there by itself
    kind: str  # how the masks say their classes, in words
    notes: list[str]  # sentences that a person should read
    stale: Path | None = None  # a table that was proposed for other masks
    choices: Sequence[Choice] = ()  # tables between which a person has to decide


class Inspection(NamedTuple):
    """All that is known of a folder."""

    folder: OpenFolder
    splits: dict[str, Sequence[Pair]]  # those that a training takes; where the folder has none, the proposed ones
    survey: Survey
    described: Described
    table: ClassTable | None
    findings: list[Finding]
    how: str = ""  # how the splits were made, if the folder lacks some

    @property
    def errors(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity == "error"]

    def short(self, text: str) -> str:
        """`text` with paths as they are seen from the data folder."""
        return text.replace(f"{self.folder.root}{os.sep}", "")


def inspect(
    folder: OpenFolder, classes: Mapping[str, Any] | None, group: Wish, max_pixels: int, fold: Fold | None = None
) -> Inspection:
    """Read all files of a folder, with a progress bar, and say what they mean and what is wrong with them.

    A class table in the settings, `classes`, decides; what `group` matches in a name decides on its split, or on the
    `fold` in which it is val.
    """
    reading = unpacked(folder.reading)  # since all pairs are gone through often
    folder = folder._replace(reading=reading)
    facts = surveyed(reading.pairs, max_pixels, progress)
    described = describe(folder, classes, facts)
    if not described.settled and are_exchanged(reading.pairs, facts, max_pixels):
        described = Described(None, "", False, "photos", [])
    table = ClassTable.from_spec(described.spec, described.source) if described.spec else None
    splits, how = proposed(reading, group, facts, fold)
    inspection = Inspection(folder, splits, facts, described, table, [], how)
    with working("comparing the files with one another"):
        found = with_reasons(find(reading._replace(splits=splits), facts, table), reading)
    findings = []
    for finding in found:
        if how and looks_decide(reading, group) and finding.kind in ("sequence", "overlap"):
            continue  # where a film was cut, as `how` says
        file, detail = inspection.short(finding.file), inspection.short(finding.detail)
        findings.append(finding._replace(file=file, detail=detail))
    unlisted = [finding for finding in findings if finding.kind in ("values", "lossy") and finding.severity == "error"]
    misread = described.kind == "photos" or 2 * len(unlisted) > len(reading.pairs)
    if misread and are_exchanged(reading.pairs, facts, max_pixels):
        findings = [finding for finding in findings if finding.kind not in ("values", "lossy", "one value")]
        findings.insert(0, exchanged(reading.pairs, folder.root))
    return inspection._replace(findings=findings)


def with_reasons(findings: Sequence[Finding], reading: Reading) -> list[Finding]:
    """The findings, of which those on files without a partner say why there is none."""
    reasons = {str(path): reason for path, reason in unpaired(reading)}
    return [finding._replace(detail=reasons.get(finding.file, finding.detail)) for finding in findings]


def describe(folder: OpenFolder, classes: Mapping[str, Any] | None, facts: Survey) -> Described:
    """The classes that the settings, the folder or its layout name, else those that the masks suggest."""
    masks = [facts.mask(pair) for pair in folder.reading.pairs]
    stale = stale_table(folder, masks) if classes is None else None
    table = named_classes(folder, classes, stale)
    if table is None:
        file = read_class_file(folder.root, [stale] if stale else [])  # which may have names for them
        proposal = propose(masks, file.entries if file else None)
        source = "the masks alone"
        if file:
            source = f"the masks and {file.path.relative_to(folder.root).as_posix()}"
        return Described(proposal.spec, source, False, proposal.kind, proposal.notes, stale, proposal.choices)
    source, kind = source_of(folder, classes, stale), propose(masks, None).kind
    notes = notes_on_positions(table, masks)
    by_class = [pair.mask for pair in folder.reading.pairs if isinstance(pair.mask, ClassMask)]
    if by_class:
        kind, notes = "a mask for each class", notes_on(by_class)
    return Described(table.spec, source, stale is None, kind, notes, stale)


def source_of(folder: OpenFolder, classes: Mapping[str, Any] | None, stale: Path | None) -> str:
    """Where the table of classes stands that a training finds."""
    if classes:
        return "the settings"
    if not stale and description_in(folder.root, "classes.yaml"):
        return "classes.yaml"
    return folder.reading.layout


def notes_on(masks: Sequence[ClassMask]) -> list[str]:
    """What is assumed where an image lacks masks of some classes."""
    values = [set(mask.by_value()) for mask in masks]
    lacking = sum(set.union(*values) != own for own in values)
    if not lacking:
        return []
    return [f"{lacking} of {len(masks)} images have no mask for some class: it is taken not to be there."]


def notes_on_positions(table: ClassTable, masks: Sequence[MaskFacts]) -> list[str]:
    """A sentence on each class that lists no values, among others that do, if its position stands in no mask."""
    readable = [facts for facts in masks if not facts.problem]
    if any(shows_colours(facts, table.coding) for facts in readable):
        return []
    values = Histogram.of(readable, "values").pixels
    lost = [(name, position) for name, position in table.by_position.items() if position not in values]
    return [
        f"The class {name!r} lists no values, so it means {i}, its position: no mask holds that." for name, i in lost
    ]


def named_classes(folder: OpenFolder, classes: Mapping[str, Any] | None, stale: Path | None) -> ClassTable | None:
    """The table in the settings, in the folder, or of the layout, which alone counts where that in the folder is stale;
    `None` if there is none."""
    if stale:
        spec = folder.reading.classes
        return ClassTable.from_spec(spec, folder.reading.layout) if spec else None
    try:
        return class_table(folder, classes)
    except FileNotFoundError:
        return None


def stale_table(folder: OpenFolder, masks: Sequence[MaskFacts]) -> Path | None:
    """The class table of a folder, if `check` proposed it for other masks than those of the reading."""
    path = description_in(folder.root, "classes.yaml")
    if path is None:
        return None
    if examples(path):
        is_stale = bool(made_for_others(path, folder.root, [pair.mask.path for pair in folder.reading.pairs]))
    else:
        is_stale = text_of(path).startswith(PROPOSED) and not fits(path, masks)
    return path if is_stale else None


def fits(path: Path, masks: Sequence[MaskFacts]) -> bool:
    """Whether a class table lists all that stands in at least half of the masks."""
    table = ClassTable.from_file(path)
    readable = [facts for facts in masks if not facts.problem]
    listed = [facts for facts in readable if not tally(facts, table).unowned]
    return 2 * len(listed) >= len(readable)


def proposed(reading: Reading, group: Wish, facts: Survey, fold: Fold | None) -> tuple[dict[str, Sequence[Pair]], str]:
    """The splits that a training makes, with a sentence on how; of a test alone, on which none can train, those that
    `check` writes."""
    if reading.splits.keys() == {"test"}:
        reading = reading._replace(splits={"": reading.splits["test"]})
    return split_up(reading, group, lambda: facts, fold)
