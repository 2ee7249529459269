"""Splits that the data do not say."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from segtrain.data.files.masks import MaskFile
from segtrain.data.files.pair import Pair
from segtrain.data.layouts.splits import split_of, with_splits


def pairs(names: Iterable[object]) -> list[Pair]:
    return [Pair(f"{name}", Path(f"{name}.jpg"), MaskFile(Path(f"{name}.png"))) for name in names]


def numbers(splits: dict[str, list[Pair]]) -> dict[str, int]:
    return {split: len(found) for split, found in splits.items()}


def grouped(sizes: dict[str, int]) -> tuple[list[Pair], dict[Path, str]]:
    """Images of groups, `size` of each, and image -> group."""
    names = [f"{name}_{i}" for name, size in sizes.items() for i in range(size)]
    return pairs(names), {Path(f"{name}.jpg"): name.rpartition("_")[0] for name in names}


@pytest.mark.parametrize("number", range(2, 30))
def test_two_images_and_more_give_train_and_val(number: int):
    splits = with_splits({"": pairs(range(number))})
    assert min(len(splits["train"]), len(splits["val"])) >= 1
    assert len(splits["train"]) > len(splits["val"]) or number < 8
    assert sum(numbers(splits).values()) == number
    assert splits == with_splits({"": pairs(range(number))})


def test_one_image_is_for_training():
    assert numbers(with_splits({"": pairs("a")})) == {"train": 1}


def test_of_many_images_the_hash_of_the_name_decides_alone():
    splits = with_splits({"": pairs(range(200))})
    assert all(split_of(pair.name) == split for split, found in splits.items() for pair in found)


def test_an_image_that_is_added_moves_no_other():
    groups = {f"g{i}": 5 for i in range(40)}
    before = with_splits({"": grouped(groups)[0]}, grouped(groups)[1])
    images, names = grouped({**groups, "g40": 1})
    after = with_splits({"": images}, names)
    assert all(set(before[split]) <= set(after[split]) for split in before)
    assert 120 < len(before["train"]) < 170


@pytest.mark.parametrize(
    ("given", "whole"),
    [
        ({"trainval": pairs(range(40)), "test": pairs("xy")}, "trainval"),
        ({"train": pairs(range(40)), "test": pairs("xy")}, "train"),
        ({"train": pairs(range(40))}, "train"),
    ],
)
def test_val_is_made_of_train_where_it_is_lacking(given: dict[str, list[Pair]], whole: str):
    splits = with_splits(given)
    assert sorted(splits["train"] + splits["val"]) == sorted(given[whole])
    assert numbers(splits)["val"] == 4
    assert splits.get("test") == given.get("test")


@pytest.mark.parametrize(
    "given", [{"train": pairs("a"), "val": pairs("b")}, {"test": pairs("abc")}, {"val": pairs("a")}]
)
def test_splits_of_the_data_stay(given: dict[str, list[Pair]]):
    assert with_splits(given) == given


def test_a_pattern_keeps_what_it_finds_together():
    splits = with_splits({"": pairs(["a1", "a2", "b1", "b2"])}, re.compile("^."))
    assert sorted(numbers(splits).values()) == [2, 2]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(
    "sizes", [{"a": 60, **dict.fromkeys("bcde", 10)}, {"a": 16, "b": 16, "c": 16}, {"a": 5, "b": 1}]
)
def test_groups_stay_whole_and_leave_most_for_training(sizes: dict[str, int], seed: int):
    images, names = grouped({f"{name}{seed}": size for name, size in sizes.items()})
    splits = with_splits({"": images}, names)
    groups = [{names[pair.image] for pair in found} for found in splits.values()]
    if max(sizes.values()) <= 0.7 * len(images):
        assert sum(map(len, groups)) == len(sizes)
    assert len(splits["train"]) >= len(images) / 2
    assert splits["val"]


def test_a_film_alone_is_cut_into_consecutive_parts():
    images, names = grouped({"film": 100})
    splits = with_splits({"": images}, names)
    assert numbers(splits) == {"train": 70, "val": 15, "test": 15}
    assert [pair.name for pair in splits["val"]] == [f"film_{i}" for i in range(70, 85)]
    assert numbers(with_splits({"": images[:3]}, names)) == {"train": 2, "val": 1}
