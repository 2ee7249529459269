"""Images and masks become pairs."""

from collections.abc import Callable, Sequence

import pytest

from segtrain.data.layouts.pairing import (
    KEYS,
    MAX_VARIANTS,
    Match,
    Placed,
    Spot,
    bare,
    by_affix,
    by_endings,
    by_likeness,
    by_suffix,
    by_variant,
    distinct,
    folders_of,
    held_in,
    learned,
    match,
    matches,
    most_frequent_affix,
    names_beside,
    paired,
    rival_names,
    shape_of,
    single,
    spots,
    stem_of,
    suffix_of,
    told_apart,
    usual_names,
    without,
)
from segtrain.data.layouts.tree import Tree

Grow = Callable[..., Tree]


def placed(path: str, variant: str = "", *, split: str = "", parts: tuple[str, ...] = ()) -> Placed:
    return Placed(path, split, parts, variant)


def several(*paths: str, variant: str = "") -> list[Placed]:
    return [placed(path, variant) for path in paths]


def names(pictures: Sequence[Placed]) -> list[str]:
    return [picture.path for picture in pictures]


def pairs(found: Match) -> list[tuple[str, str]]:
    return [(image.path, mask.path) for image, mask in found.pairs]


def left(found: Match) -> tuple[list[str], list[str]]:
    return names(found.images), names(found.masks)


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "stem", "suffix", "folders"),
    [
        ("a/b/1.png", "1", ".png", ("a", "b")),
        ("1.PNG", "1", ".png", ()),
        ("a.b/c", "c", "", ("a.b",)),
        ("a/x.y.tif", "x.y", ".tif", ("a",)),
        ("a/.png", ".png", "", ("a",)),
    ],
)
def test_a_path_has_a_stem_a_suffix_and_folders(path: str, stem: str, suffix: str, folders: tuple[str, ...]):
    assert (stem_of(path), suffix_of(path), folders_of(path)) == (stem, suffix, folders)
    assert placed(path).stem == stem


@pytest.mark.parametrize(("stem", "rest"), [("x_mask", "x"), ("img_7", "7"), ("x", "x"), ("mask", "")])
def test_a_bare_name_lacks_the_word_for_its_role(stem: str, rest: str):
    assert bare(stem) == rest


# --- keys -------------------------------------------------------------------------------------------------------------


def first_key(image: Placed, mask: Placed) -> int | None:
    """The strictest of the keys that the two share."""
    return next((i for i, key in enumerate(KEYS) if key(image) == key(mask)), None)


@pytest.mark.parametrize(
    ("image", "mask", "key"),
    [
        # name, folders, and what the folders are called besides image and mask
        (placed("a/1.jpg", "images_day1"), placed("b/1.png", "masks_day1"), 0),
        # name and folders
        (placed("a/1.jpg", "images_day1"), placed("b/1.png", "masks_day2"), 1),
        # the name without the word for the role
        (placed("a/img_1.jpg"), placed("b/1_mask.png"), 2),
        # folders without those that say a role
        (placed("a/1.jpg", parts=("x", "images")), placed("b/1.png", parts=("masks", "x")), 3),
        # never
        (placed("a/1.jpg", split="train"), placed("b/1.png", split="val"), None),
        (placed("a/1.jpg", parts=("day",)), placed("b/1.png", parts=("night",)), None),
        (placed("a/1.jpg"), placed("b/2.png"), None),
    ],
)
def test_keys_go_from_strict_to_loose(image: Placed, mask: Placed, key: int | None):
    assert first_key(image, mask) == key
    assert pairs(match([image], [mask])) == ([] if key is None else [(image.path, mask.path)])


def test_a_strict_key_pairs_before_a_loose_one():
    images = [placed("i1/0.jpg", "images_day1"), placed("i2/0.jpg", "images_day2"), placed("i1/img_5.jpg")]
    masks = [placed("m2/0.png", "masks_day2"), placed("m1/0.png", "masks_day1"), placed("m1/5_mask.png")]
    found = match(images, masks)
    assert pairs(found) == [("i1/0.jpg", "m1/0.png"), ("i2/0.jpg", "m2/0.png"), ("i1/img_5.jpg", "m1/5_mask.png")]
    assert left(found) == ([], [])


def test_a_key_that_two_have_pairs_nothing():
    images, masks = several("1.jpg", "1.tif", "2.jpg"), several("m/1.png", "m/2.png", "m/3.png")
    found = match(images, masks)
    assert pairs(found) == [("2.jpg", "m/2.png")]
    assert left(found) == (["1.jpg", "1.tif"], ["m/1.png", "m/3.png"])
    assert list(single(images, lambda picture: picture.stem)) == ["2"]


def test_what_fits_is_paired_and_the_rest_is_left_over():
    images, masks = several("1.jpg", "2.jpg"), several("m/1.png", "m/3.png")
    found = paired(images, masks, KEYS[1], KEYS[1])
    assert pairs(found) == [("1.jpg", "m/1.png")]
    assert left(found) == (["2.jpg"], ["m/3.png"])
    assert paired([], masks, KEYS[1], KEYS[1]) == Match([], [], masks)
    assert paired(images, [], KEYS[1], KEYS[1]) == Match([], images, [])


# --- ways of naming that are learned ----------------------------------------------------------------------------------


def test_what_masks_add_to_the_names_of_images_is_learned():
    found = match(several("1.jpg", "2.jpg", "3.jpg"), several("1_P.png", "2_P.png", "4_P.png"))
    assert pairs(found) == [("1.jpg", "1_P.png"), ("2.jpg", "2_P.png")]
    assert left(found) == (["3.jpg"], ["4_P.png"])


def test_what_images_add_to_the_names_of_masks_is_learned():
    found = match(several("sat-1.jpg", "sat-2.jpg"), several("1.png", "2.png"))
    assert pairs(found) == [("sat-1.jpg", "1.png"), ("sat-2.jpg", "2.png")]


def test_a_way_of_naming_that_less_than_half_of_the_images_follow_is_an_accident():
    masks = several("1_P.png", "7_P.png", "8_P.png")
    assert pairs(match(several("1.jpg", "b.jpg"), masks[:2])) == [("1.jpg", "1_P.png")]
    assert pairs(match(several("1.jpg", "b.jpg", "c.jpg"), masks[:2])) == []


def test_nothing_is_learned_where_names_fit():
    found = match(several("1.jpg", "2.jpg"), several("1.png", "2_P.png"))
    assert (pairs(found), left(found)) == ([("1.jpg", "1.png")], (["2.jpg"], ["2_P.png"]))


@pytest.mark.parametrize(
    ("longer", "shorter", "affix"),
    [
        (["1_P.png", "2_P.png"], ["1.jpg", "2.jpg"], ("", "_P")),
        (["P-1.png", "P-2.png"], ["1.jpg", "2.jpg"], ("P-", "")),
        (["1_a_b.png", "2_a_b.png"], ["1.jpg", "2.jpg"], ("", "_a_b")),
        (["1_P.png", "2_P.png", "3_Q.png"], ["1.jpg", "2.jpg", "3.jpg"], ("", "_P")),
        (["1_P.png", "2_Q.png", "3.png"], ["1.jpg", "2.jpg", "3.jpg"], None),  # neither is in half of them
        (["1_P.png"], ["1.jpg", "2.jpg", "3.jpg"], None),
        (["1_P.png", "7.png", "8.png"], ["1.jpg", "2.jpg"], None),  # half of the shorter names, not of the longer
        (["1_P.png", "2_P.png"], ["1.jpg", "2.jpg", "3.jpg", "4.jpg"], ("", "_P")),
        (["1_2.png", "2_2.png"], ["1.jpg", "2.jpg"], None),  # a number is no word
        (["1P.png", "2P.png"], ["1.jpg", "2.jpg"], None),  # no mark between
        ([], ["1.jpg"], None),
    ],
)
def test_the_affix_that_half_of_the_names_have(longer: list[str], shorter: list[str], affix: tuple[str, str] | None):
    assert most_frequent_affix(several(*longer), several(*shorter)) == affix


def test_an_affix_counts_among_equal_splits_and_folders_alone():
    train, val = placed("1.jpg", split="train"), placed("2.jpg", split="val")
    masks = [placed("1_P.png", split="train"), placed("2_P.png", split="val")]
    assert most_frequent_affix(masks, [train, val]) == ("", "_P")
    assert most_frequent_affix(masks, [train._replace(split="val"), val._replace(split="train")]) is None
    assert most_frequent_affix([masks[0]._replace(parts=("a",))], [train]) is None


def test_a_key_without_an_affix():
    key = without(("P_", "_Q"))
    assert key(placed("P_1_Q.png", split="val", parts=("a",))) == ("val", ("a",), "1")
    assert key(placed("2.png")) == ("", (), "2")


@pytest.mark.parametrize(
    ("stems", "keys"),
    [
        (["21_training", "22_training"], ["21", "22"]),
        (["t001", "t012"], ["001", "012"]),  # digits that all share are part of the number
        (["a10z", "a20z"], ["10", "20"]),
        (["x", "y"], ["x", "y"]),
    ],
)
def test_a_name_without_what_all_of_its_split_have(stems: list[str], keys: list[str]):
    pictures = several(*(f"{stem}.png" for stem in stems))
    assert [key[2] for key in map(distinct(pictures), pictures) if isinstance(key, tuple)] == keys


@pytest.mark.parametrize(
    ("names", "usual"),
    [
        (["21_a", "22_a", "23_a", "24_a", "chart"], 4),
        (["21_a", "22_a", "23_a", "chart"], 4),  # three of four are no rule
        (["x", "y"], 2),
        ([], 0),
    ],
)
def test_names_beside_a_rule_tell_nothing_of_it(names: list[str], usual: int):
    assert usual_names(names) == names[:usual]


def test_each_split_has_a_start_and_an_end_of_its_own():
    train = [placed(f"{i}_training.tif", split="train") for i in (21, 22)]
    test = [placed(f"{i}_test.tif", split="test") for i in ("01", "02")]
    key = distinct([*train, *test])
    assert [key(picture) for picture in (train[0], test[1])] == [("train", (), "21"), ("test", (), "02")]


def test_names_of_which_only_the_middle_differs_are_paired():
    """DRIVE."""
    found = match(several("21_training.tif", "22_training.tif"), several("21_manual1.gif", "22_manual1.gif"))
    assert pairs(found) == [("21_training.tif", "21_manual1.gif"), ("22_training.tif", "22_manual1.gif")]


def test_ways_of_naming_are_tried_in_order():
    images, masks = several("1.jpg", "2.jpg"), several("1_P.png", "2_P.png")
    assert len(list(learned(images, masks))) == 2
    assert len(list(learned(masks, images))) == 2
    assert len(list(learned(several("a.jpg"), several("b.png")))) == 1


def test_at_last_the_folder_pairs_an_image_with_the_one_mask_in_it():
    images, masks = several("im0/img.png", "im7/img.png"), several("im0/mask_1.png", "im7/mask_4.png")
    assert pairs(match(images, masks)) == [("im0/img.png", "im0/mask_1.png"), ("im7/img.png", "im7/mask_4.png")]
    assert not match(images, [*masks, *several("im7/mask_5.png")]).pairs
    assert not match(several("a/1.png", "a/2.png"), several("b/x_mask.png", "b/y_mask.png")).pairs


def test_folders_with_pictures_below_named_ones_are_spots(grow: Grow):
    tree = grow("x/images/train/1.jpg", "x/masks/train/1.png", "other/2.png", "3.png", "x/masks/note.txt")
    assert spots(tree) == [
        Spot("x/images/train", "image", "images", ("x",), ("train",)),
        Spot("x/masks/train", "mask", "masks", ("x",), ("train",)),
    ]


BESIDE: dict[str, tuple[list[str], dict[str, str]]] = {
    "image and mask": (["images/1.jpg", "masks/1.png", "docs/1.png"], {"images": "image", "masks": "mask"}),
    "of one kind alone": (["images/1.jpg", "photos/1.jpg"], {}),
    "not beside each other": (["a/images/1.jpg", "b/masks/1.png"], {}),
    "deep below": (["a/b/img/1.jpg", "a/b/gt/1.png"], {"img": "image", "gt": "mask"}),
    "a split beside its masks": (
        ["train/1.png", "trainannot/1.png", "val/1.png"],
        {"train": "image", "trainannot": "mask"},  # val has no masks
    ),
    "splits that are called alike": (["a_train/1.png", "a_val/1.png", "masks/1.png"], {}),
    "by likeness": (["sat/1.jpg", "map/1.png"], {"sat": "image", "map": "mask"}),
    "no likeness where a word says it": (["sat/1.jpg", "map/1.png", "masks/1.png"], {"sat": "image", "masks": "mask"}),
}


@pytest.mark.parametrize(("files", "roles"), BESIDE.values(), ids=BESIDE)
def test_folders_of_both_kinds_beside_each_other(grow: Grow, files: list[str], roles: dict[str, str]):
    assert names_beside(grow(*files)) == roles


LIKE: dict[str, tuple[list[str], dict[str, str]]] = {
    "one is called after images": (["sat/1.png", "map/1.png"], {"sat": "image", "map": "mask"}),
    "photos and pictures without loss": (["foto/1.jpg", "maske/1.png"], {"foto": "image", "maske": "mask"}),
    "both without loss": (["foto/1.png", "maske/1.png"], {}),
    "both photos": (["foto/1.jpg", "maske/1.jpg"], {}),
    "other names": (["sat/1.jpg", "map/2.png"], {}),
    "more than half alike": (
        ["sat/1.jpg", "map/1.png", "sat/2.jpg", "map/2.png", "sat/3.jpg"],
        {"sat": "image", "map": "mask"},
    ),
    "half alike": (["sat/1.jpg", "map/1.png", "sat/2.jpg"], {}),
    "splits": (["train/1.jpg", "val/1.png"], {}),
    "two for images": (["sat/1.jpg", "rgb/1.png"], {}),
}


@pytest.mark.parametrize(("files", "roles"), LIKE.values(), ids=LIKE)
def test_folders_whose_files_are_called_alike(grow: Grow, files: list[str], roles: dict[str, str]):
    tree = grow(*files)
    folders = {name: name for name in tree.children[""]}
    named = {name: "image" if name in ("sat", "rgb") else "" for name in folders}
    assert by_likeness(tree, folders, named) == roles


def test_a_folder_holds_stems_and_a_most_frequent_suffix(grow: Grow):
    tree = grow("a/1.jpg", "a/b/2.JPG", "a/3.png", "c/4.png", "a/note.txt")
    assert held_in(tree, "a") == ({"1", "b/2", "3"}, ".jpg")
    assert held_in(tree, "none") == (frozenset(), "")


def test_a_folder_that_belongs_to_all_is_no_choice():
    images = [placed("i1/0.jpg", "images_day1"), placed("i2/0.jpg", "images_day2")]
    masks = [placed("m1/0.png", "masks_day1"), placed("m2/0.png", "masks_day2")]
    (whole,) = matches(images, masks)
    assert (len(whole.pairs), whole.variant, left(whole)) == (2, "", ([], []))


def test_of_two_folders_of_masks_each_is_a_match():
    images = several("i/1.jpg", "i/2.jpg", variant="images")
    masks = [*several("a/1.png", "a/2.png", variant="labels"), *several("b/1.png", variant="masks")]
    first, second = matches(images, masks)
    assert (first.variant, pairs(first)) == ("labels", [("i/1.jpg", "a/1.png"), ("i/2.jpg", "a/2.png")])
    assert (second.variant, pairs(second)) == ("masks", [("i/1.jpg", "b/1.png")])
    assert (left(first), left(second)) == (([], []), (["i/2.jpg"], []))


def test_of_two_folders_on_both_sides_each_choice_is_a_match():
    images = [placed("l/1.jpg", "left"), placed("r/1.jpg", "right")]
    masks = [placed("a/1.png", "labels"), placed("b/1.png", "masks")]
    found = matches(images, masks)
    assert [each.variant for each in found] == ["left+labels", "left+masks", "right+labels", "right+masks"]
    assert [pairs(each) for each in found][1] == [("l/1.jpg", "b/1.png")]


def test_nothing_is_chosen_where_that_finds_fewer_pairs():
    """Days, of which one lacks a mask."""
    images = [placed(f"i{i}/{i}.jpg", f"images_day{i}") for i in (1, 2, 3)]
    masks = [placed(f"m{i}/{i}.png", f"masks_day{i}") for i in (1, 2)]
    (found,) = matches(images, masks)
    assert (len(found.pairs), found.variant, left(found)) == (2, "", (["i3/3.jpg"], []))


def test_a_choice_that_finds_as_many_pairs_is_made():
    masks = [*several("a/1.png", "a/2.png", variant="labels"), placed("b/3.png", "masks")]
    found = matches(several("1.jpg", "2.jpg"), masks)
    assert [(each.variant, len(each.pairs), len(each.masks)) for each in found] == [("labels", 2, 0), ("masks", 0, 1)]


def test_a_single_folder_on_each_side_leaves_no_choice():
    found = matches(several("i/1.jpg", "i/2.jpg", variant="images"), several("m/1.png", variant="masks"))
    assert [(each.variant, len(each.pairs), len(each.images)) for each in found] == [("", 1, 1)]


def test_a_match_that_is_given_is_not_sought_again():
    images, masks = several("1.jpg"), several("1.png")
    given = Match([], images, masks)
    assert matches(images, masks, given) == [given]
    complete = Match([], [], [])
    assert matches(images, masks, complete) == [complete]


def test_no_more_choices_are_tried_than_a_person_can_read():
    masks = [placed(f"{i}/1.png", f"masks{chr(97 + i)}") for i in range(MAX_VARIANTS + 4)]
    assert len(matches(several("1.jpg"), masks)) == MAX_VARIANTS


def test_rivals_lie_in_folders_of_several_names():
    both = [placed("a/1.png", "labels"), placed("b/1.png", "masks")]
    assert rival_names(both) == {"labels", "masks"}
    assert rival_names([*both, placed("2.png")]) == {"labels", "masks"}
    assert rival_names([placed("a/1.png", "labels"), placed("1.png")]) == set()
    assert rival_names([both[0]._replace(split="train"), both[1]._replace(split="val")]) == set()
    assert rival_names([both[0]._replace(parts=("x",)), both[1]._replace(parts=("y",))]) == set()


def test_pictures_of_one_name_are_told_apart_by_their_folders(grow: Grow):
    tree = grow("v1/labels/1.png", "v2/labels/1.png", "v1/labels/2.png")
    found = told_apart(tree, several(*tree.pictures))
    assert [(picture.path, picture.variant) for picture in found] == [
        ("v1/labels/1.png", "v1"),
        ("v1/labels/2.png", "v1"),  # is of the same kind, though nothing has its name
        ("v2/labels/1.png", "v2"),
    ]


def test_pictures_of_one_name_are_told_apart_by_their_words(grow: Grow):
    tree = grow("a/1_gt.png", "a/1_color.png")
    found = told_apart(tree, [by_affix(path, "", ())[1] for path in tree.pictures])
    assert [picture.variant for picture in found] == ["_color", "_gt"]


def test_nothing_tells_apart_what_has_names_of_its_own(grow: Grow):
    tree = grow("a/1.png", "b/2.png")
    assert [picture.variant for picture in told_apart(tree, several(*tree.pictures))] == ["", ""]


def test_pairs_have_one_variant():
    images = [placed("test/crack/0.png", "crack"), placed("test/rust/0.png", "rust"), placed("test/good/1.png", "good")]
    masks = [placed("gt/rust/0_mask.png", "rust"), placed("gt/crack/0_mask.png", "crack")]
    (found,) = by_variant(images, masks)
    assert pairs(found) == [("test/crack/0.png", "gt/crack/0_mask.png"), ("test/rust/0.png", "gt/rust/0_mask.png")]
    assert left(found) == (["test/good/1.png"], [])


def test_a_variant_decides_where_there_is_one():
    images = [placed("a/0.png", "crack"), placed("b/0.png", "rust")]
    masks = [placed("c/0_mask.png", "rust"), placed("d/0_mask.png", "crack")]
    (found,) = by_variant(images, masks)
    assert pairs(found) == [("a/0.png", "d/0_mask.png"), ("b/0.png", "c/0_mask.png")]
    (plain,) = by_variant(several("a/0.png"), several("c/0_mask.png"))
    assert pairs(plain) == [("a/0.png", "c/0_mask.png")]
    assert by_variant(several("a/0.png"), several("c/1.png")) == []


# --- endings ----------------------------------------------------------------------------------------------------------


def test_a_mask_has_the_name_of_its_image_and_an_ending():
    (found,) = by_endings(several("1.jpg", "2.jpg", "m/1_P.png", "m/2_P.png"))
    assert (pairs(found), found.variant) == ([("1.jpg", "m/1_P.png"), ("2.jpg", "m/2_P.png")], "")
    assert left(found) == ([], [])


def test_each_usual_ending_is_a_match():
    images = several("1.jpg", "2.jpg")
    masks = several("1_A.png", "1_B.png", "2_A.png", "2_B.png", "1_C.png")
    found = by_endings([*images, *masks])
    assert [(each.variant, len(each.pairs), len(each.images)) for each in found] == [
        ("_A", 2, 0),
        ("_B", 2, 0),
        ("_C", 1, 1),  # half of the images
    ]


def test_an_ending_of_less_than_half_of_the_images_is_an_accident():
    masks = several(*(f"{i}_A.png" for i in range(3)), "0_B.png")
    assert [each.variant for each in by_endings([*several("0.jpg", "1.jpg", "2.jpg"), *masks])] == [""]


def test_two_masks_of_one_ending_are_no_choice_for_an_image():
    (found,) = by_endings(several("1.jpg", "2.jpg", "a/1_P.png", "b/1_P.png", "a/2_P.png"))
    assert pairs(found) == [("2.jpg", "a/2_P.png")]


@pytest.mark.parametrize("mask", ["1_2.png", "1P.png", "3_P.png"])
def test_what_is_no_ending_of_an_image(mask: str):
    """A number, no mark between, an image that is not there."""
    assert by_endings(several("1.jpg", "2.jpg", mask)) == []


def test_what_lies_among_images_or_masks_without_a_partner_is_left_over():
    pictures = several("1.jpg", "2.jpg", "3.jpg", "m/1_P.png", "m/2_P.png", "m/4_P.png", "else/5.jpg", "6.png")
    (found,) = by_endings(pictures)
    assert (len(found.pairs), left(found)) == (2, (["3.jpg"], ["m/4_P.png"]))


def test_of_two_endings_each_has_the_masks_without_an_image_that_are_its_own():
    pictures = several("1.jpg", "2.jpg", "3.jpg", "1_A.png", "2_A.png", "1_B.png", "2_B.png", "9_A.png")
    one, two = by_endings(pictures)
    assert (left(one), left(two)) == ((["3.jpg"], ["9_A.png"]), (["3.jpg"], []))


def test_endings_count_among_equal_splits_alone():
    assert by_endings([placed("1.jpg", split="train"), placed("1_P.png", split="val")]) == []


# --- one folder for both ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "role", "variant"),
    [
        ("a/1_mask.png", "mask", "_mask"),
        ("a/gt-1.png", "mask", "gt-"),
        ("a/1_rgb.png", "image", ""),
        ("a/1.png", "image", ""),
        ("a/mask.png", "mask", ""),
    ],
)
def test_a_file_says_its_role_and_the_word_is_its_variant(path: str, role: str, variant: str):
    assert by_affix(path, "val", ("a",)) == (role, Placed(path, "val", ("a",), variant))


@pytest.mark.parametrize(
    ("paths", "pair"),
    [
        (["1.jpg", "1.png"], ("1.jpg", "1.png")),
        (["1.png", "1.tif"], ("1.tif", "1.png")),
        (["1.gif", "1.bmp"], ("1.bmp", "1.gif")),
    ],
)
def test_of_two_suffixes_the_one_for_photographs_is_the_image(paths: list[str], pair: tuple[str, str]):
    assert pairs(by_suffix(several(*paths))) == [pair]


def test_pictures_of_one_suffix_are_no_pairs():
    assert left(by_suffix(several("1.png", "2.png"))) == (["1.png", "2.png"], [])
    assert by_suffix([]) == Match([], [], [])


def test_pictures_of_a_third_suffix_are_left_over():
    found = by_suffix(several("1.jpg", "1.png", "1.gif", "2.jpg", "3.png"))
    assert pairs(found) == [("1.jpg", "1.png")]
    assert left(found) == (["2.jpg", "1.gif"], ["3.png"])


def test_names_that_differ_in_their_numbers_are_of_one_shape():
    assert shape_of("p_07") == shape_of("p_311") == "p_0"
