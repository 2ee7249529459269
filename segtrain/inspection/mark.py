"""The mark on files that `check` wrote: as long as they are as it left them, it may write them anew."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from ..data.files.documents import text_in
from ..data.layouts.reading import spread
from ..data.layouts.tree import below
from ..errors import UserError

MAX_BYTES = 100_000_000
BLANK = f"check {'0' * 16}"  # where the mark will stand
MARK = re.compile(r"\bcheck ([0-9a-f]{16})\b")
PROPOSED = "# Proposed by `"  # how a class table begins
MASKS = "# For masks such as "  # how the line of a class table begins that names some of its masks
EXAMPLES = 3


def marked(text: str) -> str:
    """The text, with the hash of it in the place of `BLANK`."""
    return text.replace(BLANK, f"check {digest(text)}", 1)


def digest(text: str) -> str:
    """The hash of a text that holds `BLANK`, whatever its ends of lines are."""
    return hashlib.blake2b("\n".join(text.splitlines()).encode(), digest_size=8).hexdigest()


def text_of(path: Path) -> str:
    """The content of a text file; empty for all else."""
    with suppress(OSError, UserError):
        return text_in(path, MAX_BYTES)
    return ""


def is_own(path: Path) -> bool:
    """Whether `check` wrote this file, and nothing in it was changed since."""
    text = text_of(path)
    match = MARK.search(text)
    return match is not None and digest(text.replace(match[0], BLANK, 1)) == match[1]


def line_of_masks(root: Path, masks: Sequence[Path]) -> str:
    """The line of a class table that says for which masks it was made."""
    return MASKS + ", ".join(below(root, mask) for mask in spread(masks, EXAMPLES))


def examples(path: Path) -> list[str]:
    """The masks, as seen from the data folder, that a class table says it was made for; none where it does not."""
    for line in text_of(path).splitlines():
        if line.startswith(MASKS):
            return line.removeprefix(MASKS).split(", ")
    return []


def made_for_others(path: Path, root: Path, masks: Iterable[Path]) -> list[str]:
    """The masks that a class table was made for, if these are there and none of them is among `masks`."""
    there = [name for name in examples(path) if (root / name).exists()]
    known = set(masks) if there else set()
    return [] if any(root / name in known for name in there) else there
