"""All files of a folder are read: what its masks mean, and what is wrong with it."""

import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from ..data.classes import ClassTable
from ..data.files.pair import Pair
from ..data.findings import Finding, find
from ..data.folder import AUTO, Wish, class_table, split_up, unpaired
from ..data.layouts.choice import OpenFolder
from ..data.layouts.reading import Reading
from ..data.proposal.class_files import read_class_file
from ..data.proposal.proposal import propose
from ..data.survey.memory import remembered
from ..data.survey.survey import Survey, readers, survey
from ..report.screen import counting_bar


class Described(NamedTuple):
    """What the masks of a folder mean."""

    spec: dict[str, Any] | None  # the content of a classes.yaml, if one can be proposed
    source: str  # where it comes from
    settled: bool  # whether a training finds it there by itself
    kind: str  # how the masks say their classes, in words
    notes: list[str]  # sentences that a person should read


class Inspection(NamedTuple):
    """All that is known of a folder."""

    folder: OpenFolder
    splits: dict[str, list[Pair]]  # those that a training takes; where the folder has none, the proposed ones
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


def inspect(folder: OpenFolder, classes: Mapping[str, Any] | None, group: Wish, max_pixels: int) -> Inspection:
    """Read all files of a folder, with a progress bar, and say what they mean and what is wrong with them.

    A class table in the settings, `classes`, decides; what `group` matches in a name decides on its split.
    """
    reading = folder.reading
    facts = surveyed(reading.pairs, max_pixels)
    described = describe(folder, classes, facts)
    table = ClassTable.from_spec(described.spec, described.source) if described.spec else None
    splits, how = proposed(reading, group, facts)
    inspection = Inspection(folder, splits, facts, described, table, [], how)
    reasons = {str(path): reason for path, reason in unpaired(reading)}
    findings = []
    for finding in find(reading._replace(splits=splits), facts, table):
        if how and group == AUTO and finding.kind in ("sequence", "overlap"):
            continue  # where a film was cut, as `how` says
        detail = reasons.get(finding.file, finding.detail)
        findings.append(finding._replace(file=inspection.short(finding.file), detail=inspection.short(detail)))
    return inspection._replace(findings=findings)


def surveyed(pairs: Sequence[Pair], max_pixels: int) -> Survey:
    with counting_bar(transient=True) as bar:
        advance = partial(bar.advance, bar.add_task("reading images and masks", total=len(pairs)))
        return survey(pairs, max_pixels=max_pixels, workers=readers(), cache=remembered(), advance=advance)


def describe(folder: OpenFolder, classes: Mapping[str, Any] | None, facts: Survey) -> Described:
    """The classes that the settings, the folder or its layout name, else those that the masks suggest."""
    masks = [facts.mask(pair) for pair in folder.reading.pairs]
    try:
        table = class_table(folder, classes)
    except FileNotFoundError:
        file = read_class_file(folder.root)  # which may have names for them
        proposal = propose(masks, file.entries if file else None)
        source = "the masks alone"
        if file:
            source = f"the masks and {file.path.relative_to(folder.root).as_posix()}"
        return Described(proposal.spec, source, False, proposal.kind, proposal.notes)
    source = "classes.yaml"
    if classes:
        source = "the settings"
    elif folder.reading.classes:
        source = folder.reading.layout
    return Described(table.spec, source, True, propose(masks, None).kind, [])


def proposed(reading: Reading, group: Wish, facts: Survey) -> tuple[dict[str, list[Pair]], str]:
    """The splits that a training makes, with a sentence on how; of a test alone, on which none can train, those that
    `check` writes."""
    if reading.splits.keys() == {"test"}:
        reading = reading._replace(splits={"": reading.splits["test"]})
    return split_up(reading, group, lambda: facts)
