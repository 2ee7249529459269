"""All files of a folder are read: what its masks mean, and what is wrong with it."""

import os
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from ..data.classes import ClassTable
from ..data.files.by_class import ClassMask
from ..data.files.pair import Pair
from ..data.findings import Finding, find
from ..data.folder import class_table, unpaired
from ..data.layouts.choice import OpenFolder
from ..data.layouts.splits import group_of, place, with_splits
from ..data.layouts.tree import beside_root
from ..data.proposal.class_files import read_class_file
from ..data.proposal.proposal import propose
from ..data.survey.memory import remembered
from ..data.survey.survey import Survey, readers, survey
from ..report.screen import counting_bar

VAL_SHARE = 0.15  # of the images, where a hash leaves none to validate on


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

    A class table in the settings, `classes`, decides; what `group` matches in a name decides on its split.
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
    by_class = [pair.mask for pair in folder.reading.pairs if isinstance(pair.mask, ClassMask)]
    if by_class:
        return Described(table.spec, source_of(folder, classes), True, "a mask for each class", notes_on(by_class))
    return Described(table.spec, source_of(folder, classes), True, propose(masks, None).kind, [])


def source_of(folder: OpenFolder, classes: Mapping[str, Any] | None) -> str:
    """Where the table of classes stands that a training finds."""
    if classes:
        return "the settings"
    places = (folder.root, beside_root(folder.root))
    if any((place / "classes.yaml").is_file() for place in places):
        return "classes.yaml"
    return folder.reading.layout


def notes_on(masks: Sequence[ClassMask]) -> list[str]:
    """What is assumed where an image lacks masks of some classes."""
    values = [set(mask.by_value()) for mask in masks]
    lacking = sum(set.union(*values) != own for own in values)
    if not lacking:
        return []
    return [f"{lacking} of {len(masks)} images have no mask for some class: it is taken not to be there."]


def proposed(splits: Mapping[str, Sequence[Pair]], group: re.Pattern[str] | None) -> dict[str, list[Pair]]:
    """The splits that a training makes; where these leave none to train or to validate on, 15 % of all, or of train,
    are val, by the hash of their names."""
    if splits.keys() == {"test"}:  # which nothing can be trained on
        splits = {"": splits["test"]}
    usual = with_splits(splits, group)
    if usual.keys() >= {"train", "val"} or not {"train", "trainval", ""} & splits.keys():
        return usual
    groups: dict[str, list[Pair]] = defaultdict(list)
    test = {}
    for split, pairs in splits.items():
        if split == "test":
            test["test"] = list(pairs)
            continue
        for pair in pairs:
            groups[group_of(pair.name, group)].append(pair)
    ordered = sorted(groups, key=place)
    enough = VAL_SHARE * sum(map(len, groups.values()))
    val: list[Pair] = []
    while len(ordered) > 1 and (not val or len(val) < enough):
        val += groups[ordered.pop()]
    train: list[Pair] = []
    for name in ordered:
        train += groups[name]
    return {"train": sorted(train), "val": sorted(val), **test}
