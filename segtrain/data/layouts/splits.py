"""Which pairs are for training, for validation, for the test: as the data say, else by a stable hash of the name."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...text import Pattern
from ..files.pair import Pair
from .words import SPLITS

SHARES = {"train": 0.70, "val": 0.85, "test": 1.0}  # upper ends, for data without splits
SHARE = 0.15  # of the images for val, and as many for the test, where groups are dealt out by their size
FEW = 20  # images; fewer have no test, unless the hash of their names gives them one
HALF = 0.5  # share of the images for training, below which groups are dealt out by their size

Group = Pattern | Mapping[Path, str] | None  # a pattern in the name of an image, or images with their groups


def with_splits(splits: Mapping[str, Sequence[Pair]], group: Group = None) -> dict[str, Sequence[Pair]]:
    """Train, val and test as they are. What has no split is split by the hash of its name; so is trainval, or train
    where there is no val, into train and val. What `group` says of an image decides instead of its name."""
    shares = {split: pairs for split, pairs in splits.items() if split in SPLITS}
    whole = made_of(splits)
    if whole is not None:
        shares.pop(whole, None)
        for split, pairs in share_out(splits[whole], group, with_test=not whole).items():
            shares[split] = [*shares.get(split, ()), *pairs]
    return {split: shares[split] for split in SPLITS if shares.get(split) is not None}


def made_of(splits: Mapping[str, Sequence[Pair]]) -> str | None:
    """The split of the data that others are made of: `` if they have none, or trainval, or train without val."""
    for split in ("", "trainval"):
        if split in splits:
            return split
    return "train" if "train" in splits and "val" not in splits else None


def share_out(pairs: Sequence[Pair], group: Group, *, with_test: bool) -> dict[str, list[Pair]]:
    """Train and val, and perhaps test, from the hash of the names of groups, so that adding images moves no other; by
    the size of groups where that leaves too little to train or to validate on."""
    groups: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        groups[group_of(pair, group)].append(pair)
    largest = max(groups.values(), key=len, default=[])
    if isinstance(group, Mapping) and len(largest) > SHARES["train"] * len(pairs):
        return cut(largest, groups, with_test=with_test)
    shares: dict[str, list[Pair]] = {}
    for pair in pairs:
        split = split_of(group_of(pair, group))
        shares.setdefault(split if with_test or split == "val" else "train", []).append(pair)
    enough = HALF * len(pairs) if isinstance(group, Mapping) else 1
    if "val" in shares and len(shares.get("train", ())) >= enough:
        return shares
    return by_size(groups, with_test=with_test)


def by_size(groups: Mapping[str, Sequence[Pair]], *, with_test: bool) -> dict[str, list[Pair]]:
    """About 15 % for val, and for the test of data that are not few, in whole groups, in the order of their hash."""
    total = sum(map(len, groups.values()))
    ordered = sorted(groups, key=place)
    shares: dict[str, list[Pair]] = {}
    for split in ("val", "test") if with_test and total >= FEW else ("val",):
        part: list[Pair] = []
        for name in taken(ordered, groups, SHARE * total):
            ordered.remove(name)
            part += groups[name]
        left = sum(len(groups[name]) for name in ordered)
        if part and (split == "val" or left >= HALF * total):
            shares[split] = sorted(part)
        elif part:  # too little would be left for training
            ordered += [name for name in groups if groups[name][0] in part]
    train: list[Pair] = []
    for name in ordered:
        train += groups[name]
    return {"train": sorted(train), **shares}


def taken(ordered: Sequence[str], groups: Mapping[str, Sequence[Pair]], enough: float) -> list[str]:
    """The last groups, up to `enough` images, but for such as have more than twice that; if all have, the smallest."""
    chosen: list[str] = []
    number = 0
    for name in reversed(ordered[1:]):
        if number >= enough:
            break
        if number + len(groups[name]) <= max(2 * enough, 1):
            chosen.append(name)
            number += len(groups[name])
    if not chosen and len(ordered) > 1:
        chosen = [min(ordered, key=lambda name: len(groups[name]))]
    return chosen


def cut(largest: Sequence[Pair], groups: Mapping[str, Sequence[Pair]], *, with_test: bool) -> dict[str, list[Pair]]:
    """A group that nearly all images belong to, such as one film, cut into consecutive parts; others by their hash."""
    ordered = sorted(largest, key=natural)
    number = max(1, round(SHARE * len(ordered))) if len(ordered) > 1 else 0
    last = number if with_test and len(ordered) >= FEW else 0
    ends = len(ordered) - number - last, len(ordered) - last
    shares = {"train": ordered[: ends[0]], "val": ordered[ends[0] : ends[1]], "test": ordered[ends[1] :]}
    for name, pairs in groups.items():
        if pairs is not largest:
            split = split_of(name)
            shares[split if split == "val" or shares["test"] else "train"] += pairs
    return {split: pairs for split, pairs in shares.items() if pairs}


def natural(pair: Pair) -> list[tuple[int, str]]:
    """The name for sorting, with numbers by their value: frame 9 before frame 10."""
    words = re.split(r"(\d+)", pair.name)
    return [(int(word) if word.isdecimal() else -1, word) for word in words]


def group_of(pair: Pair, group: Group) -> str:
    """What decides on the split of a pair: its group, or what a pattern matches in its name, or all of its name."""
    if isinstance(group, Mapping):
        return group[pair.image]
    match = group.search(pair.name) if group else None
    if match is None:
        return pair.name
    return next((text for text in match.groups() if text is not None), match[0])


def split_of(name: str) -> str:
    """70 / 15 / 15 by a stable hash of the name, so that adding images moves no other."""
    return next(split for split, end in SHARES.items() if place(name) < end)


def place(name: str) -> float:
    """A number from 0 to 1 for a name, by a stable hash."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
