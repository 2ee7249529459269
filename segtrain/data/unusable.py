"""Pairs that cannot be used, by all that their files hold; and where that is remembered."""

import os
from pathlib import Path

from .classes import ClassTable
from .findings import Finding, find
from .reading import Reading
from .survey import survey

MAX_READERS = 8


def unusable(reading: Reading, table: ClassTable, max_pixels: int) -> list[Finding]:
    """The errors in the files of a reading. Files that were read before and have not changed are not read again."""
    facts = survey(reading.pairs, max_pixels=max_pixels, workers=readers(), cache=remembered())
    whole = reading._replace(splits={"": reading.pairs})  # so that nothing is compared across splits
    return [finding for finding in find(whole, facts, table) if finding.severity == "error"]


def readers() -> int:
    """Processes that read: one for each core that we may use; none beside a single one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(MAX_READERS, cores) if cores > 1 else 0


def remembered() -> Path | None:
    """The file of facts of all data of this user; `None` where there is no home."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "segtrain" / "survey.sqlite"
    except RuntimeError:
        return None
