"""What the names of folders and files say."""

import pytest

from segtrain.data.layouts.words import (
    file_role,
    is_second,
    parse_name,
    parted,
    split_named,
    split_told,
    splits_beside,
    tokens,
)

TOKENS = {
    "": [],
    "_-. ": [],
    "images": ["images"],
    "train_JPEGImages-2": ["train", "jpeg", "images", "2"],
    "SegmentationClass": ["segmentation", "class"],
    "GTs": ["gts"],
    "GTFine": ["gt", "fine"],
    "leftImg8bit": ["left", "img", "8", "bit"],
    "testA": ["test", "a"],
    "DUTS-TE": ["duts", "te"],
    "1st manual": ["1", "st", "manual"],
    "trainannot": ["train", "annot"],
    "маски": ["маски"],
}


@pytest.mark.parametrize(("name", "words"), TOKENS.items())
def test_a_name_falls_into_words_and_numbers(name: str, words: list[str]):
    assert list(tokens(name)) == words


PARTED = {
    "trainannot": ("train", "annot"),
    "trainingimages": ("training", "images"),
    "valmasks": ("val", "masks"),
    "testlabels": ("test", "labels"),
    "train": ("train",),
    "trainset": ("trainset",),
    "annottrain": ("annottrain",),
    "testing": ("testing",),
}


@pytest.mark.parametrize(("word", "parts"), PARTED.items())
def test_a_split_and_a_role_in_one_word_are_two(word: str, parts: tuple[str, ...]):
    assert parted(word) == parts


FOLDERS = {
    "images": ("image", "", ()),
    "masks": ("mask", "", ()),
    "JPEGImages": ("image", "", ("jpeg",)),
    "SegmentationClass": ("mask", "", ("class",)),
    "image_2": ("image", "", ("2",)),
    "images_day3": ("image", "", ("day", "3")),
    "1st_manual": ("mask", "", ("1", "st")),
    "leftImg8bit": ("image", "", ("left", "8", "bit")),
    "Berlin": ("", "", ("berlin",)),
    "": ("", "", ()),
    # a word for masks counts more than one for images
    "label_images": ("mask", "", ()),
    "label_images_semantic": ("mask", "", ()),
    "RGB_image_masks": ("mask", "", ()),
    # what comes with the pictures does not say what they are
    "frames-with-labels": ("image", "", ()),
    "labels_with_images": ("mask", "", ()),
    "with_labels": ("mask", "", ("with",)),
    # words that mean something where nothing else does
    "x": ("image", "", ()),
    "y": ("mask", "", ()),
    "x_train": ("image", "train", ()),
    "output": ("mask", "", ()),
    "output images": ("image", "", ("output",)),
    # a word that is written as several
    "RoI": ("mask", "", ()),
    # splits
    "train": ("", "train", ()),
    "training": ("", "train", ()),
    "trn": ("", "train", ()),
    "valid": ("", "val", ()),
    "dev": ("", "val", ()),
    "tst": ("", "test", ()),
    "trainval": ("", "trainval", ()),
    "train_val": ("", "trainval", ()),
    "TrainVal_annotations": ("mask", "trainval", ()),
    "train_test": ("", "", ()),
    "trainannot": ("mask", "train", ()),
    "val_images": ("image", "val", ()),
    "training_set": ("", "train", ()),
    "val2017": ("", "val", ("2017",)),
    "train station": ("", "train", ("station",)),
    "DUTS-TE": ("", "", ("duts", "te")),
}


@pytest.mark.parametrize(("name", "meaning"), FOLDERS.items())
def test_the_name_of_a_folder_says_role_split_and_the_rest(name: str, meaning: tuple[str, str, tuple[str, ...]]):
    assert tuple(parse_name(name)) == meaning


SPLITS = {
    # folder: (split it is named after, split it tells)
    "train": ("train", "train"),
    "training_set": ("train", "train"),
    "val2017": ("val", "val"),
    "train_val": ("trainval", "trainval"),
    "train_images": ("", "train"),
    "valmasks": ("", "val"),
    "train station": ("", ""),
    "train_12": ("", ""),
    "train_20170": ("", ""),
    "testA": ("", ""),
    "images": ("", ""),
    "Berlin": ("", ""),
}


@pytest.mark.parametrize(("name", "splits"), SPLITS.items())
def test_a_folder_is_named_after_a_split_or_tells_one(name: str, splits: tuple[str, str]):
    assert (split_named(name), split_told(name)) == splits


BESIDE: dict[str, tuple[list[str], dict[str, str]]] = {
    "UAVid": (["uavid_train", "uavid_val", "readme"], {"uavid_train": "train", "uavid_val": "val"}),
    "DUTS": (["DUTS-TR", "DUTS-VA", "DUTS-TE"], {"DUTS-TR": "train", "DUTS-VA": "val", "DUTS-TE": "test"}),
    "ts is test as well": (["a_tr", "a_ts"], {"a_tr": "train", "a_ts": "test"}),
    "two sets": (
        ["a_train", "a_test", "b_train", "b_test"],
        {"a_train": "train", "a_test": "test", "b_train": "train", "b_test": "test"},
    ),
    "one alone": (["DUTS-TE", "images"], {}),
    "of other things": (["a_train", "b_val"], {}),
    "twice the same split": (["a_train", "a_training"], {}),
    "no split": (["day", "night"], {}),
    "roles": (["train_images", "val_images"], {}),
    "nothing": ([], {}),
}


@pytest.mark.parametrize(("names", "splits"), BESIDE.values(), ids=BESIDE)
def test_folders_that_differ_in_the_split_alone_are_the_splits(names: list[str], splits: dict[str, str]):
    assert splits_beside(names) == splits


FILES = {
    # the last word
    "x_mask": ("mask", "x"),
    "x.mask": ("mask", "x"),
    "x mask": ("mask", "x"),
    "x__labelIds": ("mask", "x"),
    "x_manual1": ("mask", "x"),
    "top_3_label": ("mask", "top_3"),
    "top_3_RGB": ("image", "top_3"),
    "x_image_mask": ("mask", "x_image"),
    "a_gtFine_labelIds": ("mask", "a_gtFine"),
    # the first word
    "gt-x": ("mask", "x"),
    "mask_a_b": ("mask", "a_b"),
    "img_7": ("image", "7"),
    "frame_0001": ("image", "0001"),
    "gt_x_mask": ("mask", "gt_x"),
    # letters and drawings at the end alone
    "0001TP_1_L": ("mask", "0001TP_1"),
    "x_m": ("mask", "x"),
    "x_y": ("mask", "x"),
    "x_color": ("mask", "x"),
    "L_x": ("", "L_x"),
    "color_x": ("", "color_x"),
    # two words for one thing
    "x_ground_truth": ("mask", "x"),
    "x_image_truth": ("mask", "x"),
    # numbered masks of one image, but no numbered images
    "x_mask_2": ("mask", "x"),
    "img_2_mask_1": ("mask", "img_2"),
    "x_mask_1234": ("", "x_mask_1234"),
    "x_img_2": ("", "x_img_2"),
    # names that say nothing but the role
    "mask": ("mask", ""),
    "_mask": ("mask", ""),
    "image": ("image", ""),
    "rgb image": ("image", ""),
    # names that say nothing
    "7": ("", "7"),
    "": ("", ""),
    "_": ("", "_"),
    "a_b_gt_c": ("", "a_b_gt_c"),
    "x_human": ("", "x_human"),
    "x_set": ("", "x_set"),
    "7_1stHO": ("", "7_1stHO"),
}


@pytest.mark.parametrize(("stem", "meaning"), FILES.items())
def test_the_first_or_last_word_of_a_file_says_its_role(stem: str, meaning: tuple[str, str]):
    assert file_role(stem) == meaning


SECOND = {
    "labels_color": True,
    "colormask": True,
    "instanceIds": True,
    "instanceids": True,
    "SegmentationObject": True,
    "semantic_rgb": True,
    "_FOV_": True,
    "masks_human": True,
    "SegmentationClass": False,
    "masks": False,
    "division": False,
    "": False,
}


@pytest.mark.parametrize(("name", "second"), SECOND.items())
def test_masks_for_people_and_of_objects_come_second(name: str, second: bool):
    assert is_second(name) == second
