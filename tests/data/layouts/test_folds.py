"""Train and val in parts, of which each is val once."""

from collections.abc import Mapping, Sequence
from itertools import chain

import pytest

from segtrain.data.files.pair import Pair
from segtrain.data.layouts.folds import Fold, fold_of, parted, with_fold
from segtrain.text import Pattern
from tests.data.layouts.test_splits import grouped, numbers, pairs

DATA: dict[str, list[Pair]] = {
    "train": pairs(f"a{i}" for i in range(17)),
    "val": pairs(f"b{i}" for i in range(6)),
    "test": pairs("xyz"),
}


def names(found: Sequence[Pair]) -> set[str]:
    return {pair.name for pair in found}


def all_folds(splits: Mapping[str, Sequence[Pair]], count: int) -> list[dict[str, list[Pair]]]:
    return [with_fold(splits, None, Fold(number, count)) for number in range(count)]


def test_each_image_of_train_and_val_is_in_val_once_and_the_test_stays():
    folds = all_folds(DATA, 5)
    assert sorted(len(fold["val"]) for fold in folds) == [4, 4, 5, 5, 5]
    assert sorted(chain.from_iterable(names(fold["val"]) for fold in folds)) == sorted(
        names(DATA["train"] + DATA["val"])
    )
    for fold in folds:
        assert not names(fold["train"]) & names(fold["val"])
        assert len(fold["train"]) + len(fold["val"]) == 23
        assert fold["test"] == DATA["test"]


def test_the_order_in_which_files_are_listed_changes_nothing():
    turned = {split: found[::-1] for split, found in DATA.items()}
    assert [fold["val"] for fold in all_folds(turned, 5)] == [fold["val"] for fold in all_folds(DATA, 5)]
    assert [fold["train"] for fold in all_folds(turned, 5)] == [fold["train"] for fold in all_folds(DATA, 5)]


def test_data_with_train_alone_have_folds_too():
    assert numbers(with_fold({"train": DATA["train"]}, None, Fold(0, 2))) == {"train": 8, "val": 9}


def test_groups_stay_whole_in_parts_of_nearly_equal_size():
    images, group = grouped({"a": 6, "b": 5, "c": 4, "d": 2, "e": 1})
    parts = parted(images, group, 3)
    assert sorted(map(len, parts)) == [6, 6, 6]
    owners = [{group[pair.image] for pair in part} for part in parts]
    assert sum(map(len, owners)) == 5


def test_a_pattern_keeps_what_it_finds_together():
    parts = parted(pairs(["a1", "a2", "b1", "b2", "c1", "c2"]), Pattern("^."), 3)
    assert sorted(sorted(names(part)) for part in parts) == [["a1", "a2"], ["b1", "b2"], ["c1", "c2"]]


def test_a_film_alone_is_cut_into_consecutive_parts():
    images, group = grouped({"film": 10})
    parts = parted(images, group, 3)
    found = sorted(sorted(int(pair.name.removeprefix("film_")) for pair in part) for part in parts)
    assert found == [[0, 1, 2], [3, 4, 5, 6], [7, 8, 9]]


@pytest.mark.parametrize(
    ("sizes", "count", "message"),
    [
        (
            {"a": 3, "b": 3},
            3,
            "data.folds=3: the 6 images are of 2 groups that stay together: type data.folds=2 or fewer",
        ),
        ({"a": 1, "b": 1}, 3, "data.folds=3: there are 2 images to share out: type data.folds=2 or fewer"),
    ],
)
def test_more_folds_than_groups_are_refused(sizes: dict[str, int], count: int, message: str):
    with pytest.raises(ValueError, match=message):
        parted(*grouped(sizes), count)


@pytest.mark.parametrize(
    ("folds", "fold", "message"),
    [
        (1, 0, "data.folds=1: expected 2 or more"),
        (5, 5, "data.fold=5: expected 0 to 4"),
        (5, -1, "data.fold=-1: expected 0 to 4"),
        (5, None, "data.folds=5: which of them is val.* -m data.fold=0,1,2,3,4"),
        (None, 0, "data.fold=0: of how many"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(folds: int | None, fold: int | None, message: str):
    with pytest.raises(ValueError, match=message):
        fold_of(folds, fold)
    assert fold_of(None, None) is None
    assert str(fold_of(5, 4)) == "fold 4 of 5"
