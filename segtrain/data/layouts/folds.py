"""Cross-validation: the images that are not for the test in parts of nearly equal size, of which each is val once."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from ...errors import UserError
from ..files.pair import Pair
from .splits import SHARES, Group, group_of, natural, place

Groups = dict[str, list[Pair]]  # images that stay together, by the name of their group


class Fold(NamedTuple):
    """One of the `count` parts that train and val are shared out to: the one that is val."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"fold {self.number} of {self.count}"


def fold_of(folds: int | None, fold: int | None) -> Fold | None:
    """What the settings `data.folds` and `data.fold` ask for. Raises UserError for one without the other, and for
    numbers that do not fit."""
    if folds is None and fold is None:
        return None
    if folds is None:
        raise UserError(f"data.fold={fold}: of how many? Type data.folds too, such as data.folds=5")
    if folds < 2:
        raise UserError(f"data.folds={folds}: expected 2 or more, of which each is val once, such as data.folds=5")
    if fold is None:
        numbers = ",".join(map(str, range(folds)))
        every = f", or -m data.fold={numbers} for one run after the other" if folds <= 10 else ""
        raise UserError(f"data.folds={folds}: which of them is val? Type data.fold=0, up to {folds - 1}{every}")
    if not 0 <= fold < folds:
        raise UserError(f"data.fold={fold}: expected 0 to {folds - 1}, as data.folds={folds} are counted from 0")
    return Fold(fold, folds)


def with_fold(splits: Mapping[str, Sequence[Pair]], group: Group, fold: Fold) -> dict[str, list[Pair]]:
    """The splits, with train and val shared out anew: val is the part of this fold, train are all others. The test
    stays as it is. Raises UserError if there are fewer groups than folds."""
    pool = [*splits.get("train", ()), *splits.get("val", ())]
    parts = parted(pool, group, fold.count)
    val = parts.pop(fold.number)
    train = chain.from_iterable(parts)
    others = {split: list(pairs) for split, pairs in splits.items() if split not in ("train", "val")}
    return {"train": sorted(train), "val": sorted(val), **others}


def parted(pairs: Sequence[Pair], group: Group, count: int) -> list[list[Pair]]:
    """`count` parts of nearly equal size, of whole groups: the largest first, else in the order of the hash of their
    names, each into the part that is smallest so far."""
    groups: Groups = defaultdict(list)
    for pair in pairs:
        groups[group_of(pair, group)].append(pair)
    if isinstance(group, Mapping):
        groups = with_films_cut(groups, count)
    if len(groups) < count:
        raise UserError(too_few_text(len(pairs), len(groups), count))
    parts: list[list[Pair]] = [[] for _ in range(count)]
    for name in sorted(groups, key=lambda name: (-len(groups[name]), place(name))):
        min(parts, key=len).extend(groups[name])
    return parts


def with_films_cut(groups: Groups, count: int) -> Groups:
    """A group that nearly all images belong to, such as one film, in `count` consecutive pieces, as where splits are
    made of it; other groups as they are."""
    name = max(groups, key=lambda name: len(groups[name]), default="")
    film = sorted(groups.get(name, ()), key=natural)
    if len(film) <= SHARES["train"] * sum(map(len, groups.values())) or len(film) < count:
        return groups
    ends = [round(i * len(film) / count) for i in range(count + 1)]
    pieces = {f"{name} {i}": film[ends[i] : ends[i + 1]] for i in range(count)}
    return {**{other: pairs for other, pairs in groups.items() if other != name}, **pieces}


def too_few_text(images: int, groups: int, count: int) -> str:
    """Why there are no such folds, and what to type."""
    if images < count:
        return f"data.folds={count}: there are {images} images to share out: type data.folds={max(images, 2)} or fewer"
    reason = f"the {images} images are of {groups} groups that stay together"
    fewer = f"type data.folds={groups} or fewer, or " if groups > 1 else ""
    return f"data.folds={count}: {reason}: {fewer}data.group=REGEX for other groups (data.group=null for none)"
