"""Which pairs are for training, for validation, for the test: as the data say, else by a stable hash of the name."""

import hashlib
import re
from collections.abc import Mapping, Sequence

from ..files.pair import Pair
from .words import SPLITS

SHARES = {"train": 0.70, "val": 0.85, "test": 1.0}  # upper ends, for data without splits


def with_splits(splits: Mapping[str, Sequence[Pair]], group: re.Pattern[str] | None = None) -> dict[str, list[Pair]]:
    """Train, val and test as they are; what has no split is split by `split_of`, and trainval into train and val.
    What `group` matches in a name, its first group if it has one, decides instead of the name."""
    shares: dict[str, list[Pair]] = {split: list(pairs) for split, pairs in splits.items() if split in SPLITS}
    for pair in splits.get("", ()):
        shares.setdefault(split_of(group_of(pair.name, group)), []).append(pair)
    for pair in splits.get("trainval", ()):
        split = split_of(group_of(pair.name, group))  # 85 / 15, with the same images in val as without any split
        shares.setdefault("val" if split == "val" else "train", []).append(pair)
    return {split: shares[split] for split in SPLITS if split in shares}


def group_of(name: str, group: re.Pattern[str] | None) -> str:
    """What decides on the split of a name: what `group` matches in it, or all of it."""
    match = group.search(name) if group else None
    if match is None:
        return name
    return next((text for text in match.groups() if text is not None), match[0])


def split_of(name: str) -> str:
    """70 / 15 / 15 by a stable hash of the name, so that adding images moves no other."""
    return next(split for split, end in SHARES.items() if place(name) < end)


def place(name: str) -> float:
    """A number from 0 to 1 for a name, by a stable hash."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
