"""All files of a folder are read: what its masks mean, and what is wrong with it."""

import os
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..data.classes import ClassTable
from ..data.files.pair import Pair
from ..data.findings import Finding, find
from ..data.folder import class_table, unpaired
from ..data.layouts.choice import OpenFolder
from ..data.layouts.splits import group_of, place, with_splits
from ..data.proposal.class_files import read_class_file
from ..data.proposal.proposal import propose
from ..data.survey.facts import MaskFacts
from ..data.survey.memory import remembered
from ..data.survey.survey import Survey, readers, survey
from ..report.screen import counting_bar

VAL_SHARE = 0.15  # of the images, where a hash leaves none to validate on


class Described(NamedTuple):
    """What the masks of a folder mean.

    Attributes:
        spec: The content of a `classes.yaml`; `None` where nothing can be proposed.
        source: Where it comes from.
        settled: Whether a training finds it there by itself.
        kind: How the masks say their classes, in words.
        notes: Sentences that a person should read.
    """

    spec: dict[str, Any] | None
    source: str
    settled: bool
    kind: str
    notes: list[str]


class Inspection(NamedTuple):
    """All that is known of a folder.

    Attributes:
        splits: The splits that a training takes; where the folder has none, the proposed ones.
    """

    folder: OpenFolder
    splits: dict[str, list[Pair]]
    survey: Survey
    described: Described
    table: ClassTable | None
    findings: list[Finding]

    @property
    def errors(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity == "error"]

    def short(self, text: str) -> str:
        """`text` with paths as they are seen from the data folder."""
        return text.replace(f"{self.folder.root}{os.sep}", "")


def inspect(
    folder: OpenFolder, classes: Mapping[str, Any] | None, group: re.Pattern[str] | None, max_pixels: int
) -> Inspection:
    """Read all files of a folder, with a progress bar, and say what they mean and what is wrong with them.

    Args:
        classes: The class table in the settings, if there is one.
        group: What it matches in a name decides on the split instead of the name.
    """
    reading = folder.reading
    facts = surveyed(reading.pairs, max_pixels)
    described = describe(folder, classes, facts)
    table = ClassTable.from_spec(described.spec, described.source) if described.spec else None
    splits = proposed(reading.splits, group)
    inspection = Inspection(folder, splits, facts, described, table, [])
    reasons = {str(path): reason for path, reason in unpaired(reading)}
    findings = []
    for finding in find(reading._replace(splits=splits), facts, table):
        detail = reasons.get(finding.file, finding.detail)
        findings.append(finding._replace(file=inspection.short(finding.file), detail=inspection.short(detail)))
    return inspection._replace(findings=findings)


def surveyed(pairs: Sequence[Pair], max_pixels: int) -> Survey:
    """The facts of all files; those that have not changed since they were read last are not read again."""
    with counting_bar(transient=True) as bar:
        task = bar.add_task("reading images and masks", total=len(pairs))

        def advance(number: int) -> None:
            bar.advance(task, number)

        return survey(pairs, max_pixels=max_pixels, workers=readers(), cache=remembered(), advance=advance)


def describe(folder: OpenFolder, classes: Mapping[str, Any] | None, facts: Survey) -> Described:
    """The classes that the settings, the folder or its layout name, else those that the masks suggest."""
    masks = [facts.mask(pair) for pair in folder.reading.pairs]
    try:
        table = class_table(folder, classes)
    except FileNotFoundError:
        return described_by_masks(folder, masks)
    if classes:
        source = "the settings"
    elif folder.reading.classes:
        source = folder.reading.layout
    else:
        source = "classes.yaml"
    return Described(table.spec, source, True, propose(masks, None).kind, [])


def described_by_masks(folder: OpenFolder, masks: Sequence[MaskFacts]) -> Described:
    """The classes that the masks suggest, with the names of a class file where there is one."""
    file = read_class_file(folder.root)
    proposal = propose(masks, file.entries if file else None)
    source = "the masks alone"
    if file:
        source = f"the masks and {file.path.relative_to(folder.root).as_posix()}"
    return Described(proposal.spec, source, False, proposal.kind, proposal.notes)


def proposed(splits: Mapping[str, Sequence[Pair]], group: re.Pattern[str] | None) -> dict[str, list[Pair]]:
    """The splits that a training makes; where these leave none to train or to validate on, 15 % of all, or of train,
    are val."""
    if splits.keys() == {"test"}:  # which nothing can be trained on
        splits = {"": splits["test"]}
    usual = with_splits(splits, group)
    if usual.keys() >= {"train", "val"} or not {"train", "trainval", ""} & splits.keys():
        return usual
    groups: dict[str, list[Pair]] = defaultdict(list)
    for split, pairs in splits.items():
        for pair in pairs if split != "test" else ():
            groups[group_of(pair.name, group)].append(pair)
    train, val = divided(groups)
    test = {"test": list(splits["test"])} if "test" in splits else {}
    return {"train": sorted(train), "val": sorted(val), **test}


def divided(groups: Mapping[str, Sequence[Pair]]) -> tuple[list[Pair], list[Pair]]:
    """Groups of pairs, shared out to train and val by the hash of their names."""
    ordered = sorted(groups, key=place)
    enough = VAL_SHARE * sum(map(len, groups.values()))
    val: list[Pair] = []
    while len(ordered) > 1 and (not val or len(val) < enough):
        val += groups[ordered.pop()]
    train = [pair for name in ordered for pair in groups[name]]
    return train, val
