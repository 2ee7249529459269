"""What a layout makes of a folder: pairs with names, by split, and what is left over."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from segtrain.data.files.masks import MaskFile
from segtrain.data.files.pair import Pair
from segtrain.data.files.united import UnitedMask
from segtrain.data.layouts.pairing import Match, Placed
from segtrain.data.layouts.reading import (
    Reading,
    Row,
    as_reading,
    beyond,
    from_rows,
    in_order,
    mask_at,
    spread,
    unique_names,
    with_named_splits,
)
from segtrain.data.layouts.tree import Tree

Grow = Callable[..., Tree]


def placed(path: str, split: str = "", *parts: str) -> Placed:
    return Placed(path, split, parts, "")


def both(stem: str, split: str = "") -> tuple[Placed, Placed]:
    return placed(f"i/{stem}.jpg", split), placed(f"m/{stem}.png", split)


def below(tree: Tree, paths: Sequence[Path]) -> list[str]:
    return [path.relative_to(tree.root).as_posix() for path in paths]


def names(reading: Reading) -> dict[str, list[str]]:
    return {split: [pair.name for pair in pairs] for split, pairs in reading.splits.items()}


def grown(grow: Grow, found: Match) -> Tree:
    """With files for all that a match holds."""
    pictures = [*(picture for pair in found.pairs for picture in pair), *found.images, *found.masks]
    return grow(*(picture.path for picture in pictures))


def test_pairs_stand_by_split_and_name(grow: Grow):
    found = Match([both("2", "train"), both("1", "train"), both("3", "val")], [], [])
    tree = grown(grow, found)
    reading = as_reading(tree, "flat", found)
    assert (reading.layout, names(reading)) == ("flat", {"train": ["1", "2"], "val": ["3"]})
    assert reading.splits["val"] == [Pair("3", tree.root / "i/3.jpg", MaskFile(tree.root / "m/3.png"))]
    assert [pair.name for pair in reading.pairs] == ["1", "2", "3"]
    assert (reading.images, reading.masks, list(reading.unlabelled), reading.sure) == ([], [], [], False)


def test_a_variant_is_part_of_the_layouts_name(grow: Grow):
    found = Match([both("1")], [], [], "labels")
    assert as_reading(grown(grow, found), "flat", found).layout == "flat:labels"


def test_a_pair_of_no_split_is_left_over_beside_pairs_that_have_one(grow: Grow):
    found = Match([both("1", "train"), both("2")], [], [])
    tree = grown(grow, found)
    reading = as_reading(tree, "flat", found)
    assert names(reading) == {"train": ["1"]}
    assert (below(tree, reading.images), below(tree, reading.masks)) == (["i/2.jpg"], ["m/2.png"])


def test_pairs_of_no_split_are_all_there_is(grow: Grow):
    found = Match([both("1"), both("2")], [], [])
    assert names(as_reading(grown(grow, found), "flat", found)) == {"": ["1", "2"]}


def test_what_has_no_partner_is_left_over_in_order(grow: Grow):
    found = Match([both("1")], [placed("i/8.jpg"), placed("i/7.jpg")], [placed("m/9.png")])
    tree = grown(grow, found)
    reading = as_reading(tree, "flat", found, [tree.path("a.jpg")], [tree.path("z.png"), tree.path("b.png")])
    assert below(tree, reading.images) == ["a.jpg", "i/7.jpg", "i/8.jpg"]
    assert below(tree, reading.masks) == ["b.png", "m/9.png", "z.png"]


@pytest.mark.parametrize(("split", "left_out"), [("test", True), ("val", True), ("train", False), ("", False)])
def test_a_test_or_val_split_without_any_masks_is_left_out(grow: Grow, split: str, left_out: bool):
    found = Match([both("1", "trainval")], [placed("i/2.jpg", split)], [])
    tree = grown(grow, found)
    reading = as_reading(tree, "flat", found)
    wanted = (["i/2.jpg"], []) if left_out else ([], ["i/2.jpg"])
    assert (below(tree, reading.unlabelled), below(tree, reading.images)) == wanted


@pytest.mark.parametrize("alone", [False, True], ids=["with its image", "alone"])
def test_a_split_with_one_mask_is_not_left_out(grow: Grow, alone: bool):
    image, mask = both("3", "test")
    pairs = [both("1", "train")] if alone else [both("1", "train"), (image, mask)]
    found = Match(pairs, [placed("i/2.jpg", "test")], [mask] if alone else [])
    tree = grown(grow, found)
    reading = as_reading(tree, "flat", found)
    assert (below(tree, reading.images), list(reading.unlabelled)) == (["i/2.jpg"], [])


def test_further_masks_of_an_image_are_not_left_over(grow: Grow):
    found = Match([both("1")], [], [placed("m/1_mask.png"), placed("m/2_mask.png")])
    tree = grown(grow, found)
    assert below(tree, as_reading(tree, "flat", found).masks) == ["m/2_mask.png"]


# --- what belongs to an image that has its mask -----------------------------------------------------------------------

THREE = [both(str(i)) for i in (1, 2, 3)]


def test_masks_of_a_known_name_belong_to_it():
    masks = [placed("c/1.png"), placed("c/2_mask.png"), placed("c/4.png"), placed("c/3.png", "val")]
    assert beyond(THREE, [], masks) == set(masks[:2])
    assert beyond(THREE, [], []) == set()


def test_pictures_with_an_ending_that_many_have_belong_to_it():
    images = [placed(f"i/{i}_superpixels.png") for i in (1, 2, 3)]
    assert beyond(THREE, images, []) == set(images)
    assert beyond(THREE, images[:2], []) == set()  # fewer than three
    assert beyond(THREE, images[:2], [placed("m/3_superpixels.png")]) == {*images[:2], placed("m/3_superpixels.png")}


def test_an_ending_of_less_than_a_fifth_is_not_that_of_many():
    pairs = [both(str(i)) for i in range(20)]
    images = [placed(f"i/{i}_x.png") for i in range(4)]
    assert beyond(pairs, images, []) == set(images)
    assert beyond(pairs, images[:3], []) == set()


@pytest.mark.parametrize("end", ["_4", "x", "_4_"])
def test_an_ending_begins_with_a_mark_and_a_letter(end: str):
    assert beyond(THREE, [placed(f"i/{i}{end}.png") for i in (1, 2, 3)], []) == set()


def test_an_ending_counts_in_the_split_of_its_image_alone():
    assert beyond(THREE, [placed(f"i/{i}_x.png", "val") for i in (1, 2, 3)], []) == set()


# --- splits told by names ---------------------------------------------------------------------------------------------


def test_names_of_all_images_tell_the_splits():
    """GlaS."""
    image, mask = placed("train_1.bmp"), placed("train_1_anno.bmp")
    found = with_named_splits(Match([(image, mask)], [placed("testA_2.bmp")], [placed("valid_3_anno.bmp")]))
    assert found.pairs == [(placed("train_1.bmp", "train"), placed("train_1_anno.bmp", "train"))]
    assert found.images == [placed("testA_2.bmp", "test")]
    assert found.masks == [placed("valid_3_anno.bmp", "val")]


@pytest.mark.parametrize(
    "images",
    [
        [placed("train_1.bmp"), placed("val_1.bmp")],  # no test
        [placed("test_1.bmp"), placed("val_1.bmp")],  # no train
        [placed("train_1.bmp"), placed("test_1.bmp"), placed("city_1.bmp")],  # one says nothing
        [placed("train_1.bmp"), placed("test_1.bmp", "val")],  # a folder says it
    ],
)
def test_names_tell_no_splits(images: list[Placed]):
    found = Match([], images, [placed("m.bmp")])
    assert with_named_splits(found) is found


def test_splits_that_names_tell_are_those_of_the_reading(grow: Grow):
    found = Match([(placed("train_1.bmp"), placed("train_1_anno.bmp"))], [placed("test_1.bmp")], [])
    tree = grown(grow, found)
    reading = as_reading(tree, "one_folder", found)
    assert names(reading) == {"train": ["train_1"]}
    assert below(tree, reading.unlabelled) == ["test_1.bmp"]


# --- names, order, masks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("images", "unique"),
    [
        ([placed("i/a/1.jpg", "", "a"), placed("i/b/1.jpg", "", "b")], ["a/1", "b/1"]),
        ([placed("i/1.jpg"), placed("i/2.jpg")], ["1", "2"]),
        ([placed("i/1.jpg", "train"), placed("j/1.jpg", "val")], ["1", "1"]),  # each in its split
        ([placed("i/1.jpg"), placed("j/1.jpg")], ["i/1", "j/1"]),
        ([placed("i/1.jpg"), placed("i/1.png")], ["i/1.jpg", "i/1.png"]),
        ([], []),
    ],
)
def test_a_name_is_as_short_as_it_can_be(images: list[Placed], unique: list[str]):
    assert unique_names(images) == unique


def test_splits_and_pairs_have_an_order():
    one, two = Pair("1", Path("1"), MaskFile(Path("1"))), Pair("2", Path("2"), MaskFile(Path("2")))
    ordered = in_order({"": [one], "trainval": [one], "test": [one], "val": [one], "train": [two, one]})
    assert list(ordered.items()) == [
        ("train", [one, two]),
        ("val", [one]),
        ("test", [one]),
        ("trainval", [one]),
        ("", [one]),
    ]


def test_a_mask_is_a_file_or_all_files_of_a_folder(grow: Grow):
    tree = grow("m/1.png", "m/2/b.png", "m/2/a.png")
    assert mask_at(tree, "m/1.png") == MaskFile(tree.root / "m/1.png")
    united = mask_at(tree, "m/2")
    assert isinstance(united, UnitedMask)
    assert (united.path, united.files) == (
        tree.root / "m/2",
        (tree.root / "m/2/a.png", tree.root / "m/2/b.png"),
    )


# --- lists ------------------------------------------------------------------------------------------------------------


def test_the_lines_of_a_list_are_pairs_and_what_is_left_over(grow: Grow):
    tree = grow("images/1.jpg", "masks/1.png", "images/2.jpg", "masks/3.png")
    reading = from_rows(
        tree,
        "listed",
        [
            Row("images/1.jpg", "masks/1.png", "train", "1"),
            Row("images/2.jpg", "", "train", "2"),
            Row("", "masks/3.png", "train", "3"),
            Row("", "", "train", "images/4.jpg"),
        ],
    )
    assert (reading.layout, names(reading)) == ("listed", {"train": ["1"]})
    assert below(tree, reading.images) == ["3", "images/2.jpg", "images/4.jpg"]
    assert reading.masks == []  # what is lacking is the image that the line names
    assert below(tree, reading.missing) == ["3", "images/4.jpg"]


def test_an_image_counts_once_in_a_split_and_the_last_line_wins(grow: Grow):
    tree = grow("images/1.jpg", "masks/1.png", "masks/2.png")
    rows = [Row("images/1.jpg", f"masks/{i}.png", split, "1") for i, split in ((1, "train"), (2, "train"), (1, "val"))]
    reading = from_rows(tree, "listed", rows)
    found = {split: below(tree, [pair.mask.path for pair in pairs]) for split, pairs in reading.splits.items()}
    assert found == {"train": ["masks/2.png"], "val": ["masks/1.png"]}


def test_folders_that_say_a_role_or_a_split_are_no_part_of_a_name(grow: Grow):
    tree = grow("city/images/train/Bonn/1.jpg", "city/masks/train/Bonn/1.png")
    rows = [Row("city/images/train/Bonn/1.jpg", "city/masks/train/Bonn/1.png", "val", "1")]
    assert names(from_rows(tree, "listed", rows)) == {"val": ["city/Bonn/1"]}


def test_an_image_of_a_test_split_without_masks_is_left_out_of_a_list(grow: Grow):
    tree = grow("images/1.jpg", "masks/1.png", "images/2.jpg")
    rows = [Row("images/1.jpg", "masks/1.png", "train", "1"), Row("images/2.jpg", "", "test", "2")]
    reading = from_rows(tree, "listed", rows)
    assert (below(tree, reading.unlabelled), reading.images) == (["images/2.jpg"], [])


def test_a_few_of_many_are_from_all_over():
    assert spread(range(7), 4) == [0, 1, 3, 5]
    assert spread("ab", 4) == ["a", "b"]
    assert spread([], 4) == []
