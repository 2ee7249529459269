"""The look at a folder before a training: a full one where that does not take long."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from ..data import ClassTable, DataModule, FolderData
from ..data.files.pair import SAME_SIZE, Pair, Unequal
from ..data.findings import Finding, alone
from ..data.folder import HEADERS, looks_decide, split_up, surveyed
from ..data.layouts.choice import OpenFolder
from ..data.layouts.reading import spread
from ..data.layouts.tree import below, description_in
from ..data.survey.memory import remembered
from ..data.survey.survey import readers, survey, unknown
from ..errors import UserError
from ..report.screen import COMMAND, progress, say
from ..text import counted
from .inspect import inspect, with_reasons
from .mark import MASKS, made_for_others
from .questions import ways_text
from .rivals import rivals_of, ways_of
from .text import ALONE, alpha_text, findings_text, left_out, word

PATIENCE = 60  # seconds that a training waits for the full check
TRIAL = 8  # pairs that are read to tell how long all will take
SAMPLE = 512  # pairs by which is told how many are remembered
ADVICE = {  # what to do about the errors of a kind
    "size": SAME_SIZE,
    **dict.fromkeys(ALONE, "files are paired by name, without the suffix"),
}


def before_training(data: DataModule, typed: Mapping[str, Any] | None = None, *, is_new: bool = True) -> None:
    """The full check of a folder where that does not take long; otherwise of partners and headers alone.

    For a training that `is_new`, UserError is raised too where a folder holds several kinds of masks, or its class
    table was proposed for others, unless the settings that were `typed` (layout, classes) decide.

    With `on_bad=skip`, or where images that belong together decide on the splits, it is always the full one, because
    what is left out, or in which split, must be known before the first step, and `check` must say the same. Else
    UserError is raised for errors, which are printed. Data that are read from no folder need no check.
    """
    if not isinstance(data, FolderData):
        return
    folder, skip = data.folder, data.on_bad == "skip"
    if is_new:
        refuse_doubt(folder, typed or {}, data.max_pixels)
    for line in left_out(folder):
        say(line)
    seconds = seconds_to_read(folder.reading.pairs, data.max_pixels)
    is_long = seconds > PATIENCE and not skip and not needs_survey(data)
    errors = look_at_headers(data, seconds) if is_long else look_at_all(data)
    if errors and not skip:
        refuse(folder.root, errors, data.classes)


def look_at_headers(data: FolderData, seconds: float) -> list[Finding]:
    """The errors that names and headers show, in place of the full check, which would take so many seconds."""
    errors = header_errors(data)
    reading = data.folder.reading
    facts = partial(surveyed, reading.pairs, data.max_pixels, progress)
    _, how = split_up(reading, data.group, facts, data.fold)
    if how:
        say(how)
    say(
        f"each file is checked as it is read: all {len(reading.pairs)} pairs at once would take about "
        f"{seconds / 60:.0f} minutes; {check_command(data.folder)} does that, and is remembered"
    )
    return errors


def look_at_all(data: FolderData) -> list[Finding]:
    """The errors of the full check, whose warnings are counted on the screen."""
    inspection = inspect(data.folder, data.classes.spec, data.group, data.max_pixels, data.fold)
    for line in alpha_text(inspection):
        say(line)
    if inspection.how:
        say(inspection.how)
    warnings = Counter(finding.kind for finding in inspection.findings if finding.severity == "warning")
    if warnings:
        kinds = ", ".join(f"{kind} ({number})" for kind, number in warnings.items())
        say(f"warnings about the data: {kinds}; {check_command(data.folder)} lists them")
    return inspection.errors


def check_command(folder: OpenFolder) -> str:
    return f"{COMMAND} check {word('data.root', folder.root)}"


def refuse_doubt(folder: OpenFolder, typed: Mapping[str, Any], max_pixels: int) -> None:
    """Raises UserError where a person has to say which masks are meant, or what they mean."""
    same, different = rivals_of(folder, typed.get("layout"))
    root, taken = folder.root, folder.reading
    if different:
        ways = ways_of(folder, different, max_pixels)
        say(ways_text(ways))
        names = " or ".join(word("data.layout", way.reading.layout) for way in ways)
        raise UserError(f"{root} holds {len(ways)} kinds of masks for the same images: type {names}")
    for reading in same:
        say(f"the masks of {reading.layout} hold the same as those of {taken.layout}, which are taken")
    if typed.get("classes"):
        return
    path = description_in(root, "classes.yaml")
    masks = (pair.mask.path for pair in taken.pairs)
    others = made_for_others(path, root, masks) if path else []
    if others:
        command = f"{check_command(folder)} {word('data.layout', taken.layout)} write=true"
        mask = below(root, taken.pairs[0].mask.path)
        raise UserError(
            f"{path} was proposed for other masks, such as {others[0]}, and these are such as {mask}: "
            f"{command} proposes one for them (if this one is right for them too, remove its line "
            f"'{MASKS.strip()} ...')"
        )


def needs_survey(data: FolderData) -> bool:
    """Whether all files have to be read to say which image is in which split."""
    return looks_decide(data.folder.reading, data.group, data.fold)


def refuse(root: Path, errors: Sequence[Finding], classes: ClassTable) -> NoReturn:
    """Print all errors but a single one, and raise UserError about the first."""
    more = ""
    if len(errors) > 1:
        say(findings_text(errors))
        more = f" (and {counted(len(errors) - 1, 'more error')}, see above)"
    first = errors[0]
    colon = "" if first.kind in ALONE else ":"
    advice = classes.advice() if first.kind == "values" else ADVICE.get(first.kind, "mend it")
    raise UserError(
        f"{root / first.file}{colon} {first.detail}{more}: {advice}; or go on without such files: data.on_bad=skip"
    )


def header_errors(data: FolderData) -> list[Finding]:
    """What names and headers alone show."""
    reading = data.folder.reading
    errors, pairs = with_reasons(alone(reading), reading), reading.pairs
    with progress(HEADERS, len(pairs)) as advance:
        headers = data.read_headers(pairs, advance)
    for index, header in enumerate(headers):
        if isinstance(header, Exception):
            image = pairs[index].image
            kind = "size" if isinstance(header, Unequal) else "unreadable"
            detail = str(header).removeprefix(f"{image}: ").removesuffix(f": {SAME_SIZE}")
            errors.append(Finding("error", kind, str(image), detail))
    return errors


def seconds_to_read(pairs: Sequence[Pair], max_pixels: int) -> float:
    """How long the full check will take, by the time for some of the files, and by how many of some are remembered."""
    some = spread(pairs, SAMPLE)
    todo = unknown(some, remembered())
    if len(todo) <= TRIAL and len(some) == len(pairs):
        return 0.0
    tried = spread(todo, TRIAL)
    start = time.perf_counter()
    survey(tried, max_pixels=max_pixels, workers=0, cache=remembered())
    per_pair = (time.perf_counter() - start) / max(len(tried), 1)
    return per_pair * len(pairs) * len(todo) / max(len(some), 1) / max(readers(), 1)
