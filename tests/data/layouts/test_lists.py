"""Lists of images and masks, and tables."""

from collections.abc import Callable
from pathlib import Path

import pytest

from segtrain.data.layouts import lists as module
from segtrain.data.layouts.lists import (
    by_name,
    column,
    csv_table,
    halves,
    lists_of_splits,
    named,
    numbered_lines,
    parse_table,
    picture,
    row_of_line,
    rows_of_list,
    split_in,
    text_of,
)
from segtrain.data.layouts.reading import Row
from segtrain.data.layouts.tree import Tree
from segtrain.data.layouts.words import Role
from segtrain.errors import UserError

Grow = Callable[..., Tree]
PAIRS = "images/1.jpg", "images/2.jpg", "masks/1.png", "masks/2.png"


# --- text -------------------------------------------------------------------------------------------------------------


def test_a_list_is_utf8_with_or_without_a_mark_at_its_start(tmp_path: Path):
    (tmp_path / "train.txt").write_bytes("\ufeffbäume\n".encode())
    assert text_of(tmp_path / "train.txt") == "bäume\n"
    (tmp_path / "train.txt").write_bytes("bäume\n".encode())
    assert text_of(tmp_path / "train.txt") == "bäume\n"
    (tmp_path / "train.txt").write_bytes("\ufeffbäume\n".encode("utf-16-le"))  # PowerShell
    assert text_of(tmp_path / "train.txt") == "bäume\n"


def test_what_is_no_text_is_refused(tmp_path: Path):
    (tmp_path / "train.txt").write_bytes("bäume".encode("latin-1"))
    with pytest.raises(UserError, match=r"train\.txt: not a list: it is no UTF-8 text"):
        text_of(tmp_path / "train.txt")
    with pytest.raises(UserError, match="expected a file, or a link to one"):
        text_of(tmp_path)
    with pytest.raises(UserError, match="expected a file, or a link to one"):
        text_of(tmp_path / "gone.txt")


def test_a_list_may_be_long_but_not_endless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MAX_BYTES", 4)
    (tmp_path / "train.txt").write_text("1234")
    assert text_of(tmp_path / "train.txt") == "1234"
    (tmp_path / "train.txt").write_text("12345")
    with pytest.raises(UserError, match="not a list: more than 4 bytes"):
        text_of(tmp_path / "train.txt")


# --- train.txt --------------------------------------------------------------------------------------------------------


def test_lists_that_are_named_after_a_split_are_found_in_their_folders(grow: Grow):
    tree = grow("train_list.txt", "lists/val.lst", "lists/test2017.txt", "notes.txt", "train_masks.txt", "val.csv")
    assert lists_of_splits(tree) == {
        "": {"train": "train_list.txt"},
        "lists": {"test": "lists/test2017.txt", "val": "lists/val.lst"},
    }


def test_of_two_lists_of_a_split_the_first_counts(grow: Grow):
    assert lists_of_splits(grow("train.txt", "train.lst", "training.txt")) == {"": {"train": "train.txt"}}


def test_blank_lines_are_none():
    assert list(numbered_lines("\n  a \r\n\t\nb c\n")) == [(2, "a"), (4, "b c")]


def test_what_stands_behind_a_hash_is_a_comment_unless_it_is_a_file(grow: Grow):
    tree = grow(*PAIRS, "#3.jpg")
    rows = rows_of_list(tree, "train.txt", "train", "# all of them\n1\n\n#3\n")
    assert [(row.image, row.where) for row in rows] == [
        ("images/1.jpg", "train.txt, line 2"),
        ("#3.jpg", "train.txt, line 4"),
    ]


HALVES = {
    "a.jpg b.png": [("a.jpg", "b.png")],
    "a.jpg,b.png": [("a.jpg", "b.png")],
    "a.jpg ; b.png": [("a.jpg", "b.png")],
    "a.jpg\tb.png": [("a.jpg", "b.png")],
    "my a.jpg my b.png": [("my a.jpg", "my b.png")],
    "a.jpg b.jpg c.png": [("a.jpg", "b.jpg c.png"), ("a.jpg b.jpg", "c.png")],
    "a.jpg 1 2": [],
    "a b.png": [],
    "a.jpg b.txt": [],
    "a.jpg": [],
    "": [],
}


@pytest.mark.parametrize(("line", "both"), HALVES.items())
def test_a_line_is_cut_between_two_names_of_pictures(line: str, both: list[tuple[str, str]]):
    assert list(halves(line)) == both


LINES = {
    # one name
    "1": ("images/1.jpg", "masks/1.png", "1"),
    "1.jpg": ("images/1.jpg", "masks/1.png", "1.jpg"),
    "1.tif": ("images/1.jpg", "masks/1.png", "1.tif"),  # of another format, but the only one of that name
    "images/1.jpg": ("images/1.jpg", "masks/1.png", "images/1.jpg"),
    "1 1 2 1": ("images/1.jpg", "masks/1.png", "1"),  # with more behind it, as in Oxford's pets
    "1,cat": ("images/1.jpg", "masks/1.png", "1"),
    "a b": ("images/a b.jpg", "masks/a b.png", "a b"),
    "a b.jpg": ("images/a b.jpg", "masks/a b.png", "a b.jpg"),
    # two names
    "images/1.jpg masks/2.png": ("images/1.jpg", "masks/2.png", "images/1.jpg"),
    "images/1.jpg\tmasks/2.png": ("images/1.jpg", "masks/2.png", "images/1.jpg"),
    "images/1.jpg, masks/2.png": ("images/1.jpg", "masks/2.png", "images/1.jpg"),
    "images/a b.jpg masks/a b.png": ("images/a b.jpg", "masks/a b.png", "images/a b.jpg"),
    "images/1.jpg masks/9.png": ("images/1.jpg", "", "images/1.jpg"),
    # another computer's
    "/SegNet/images/1.jpg /SegNet/masks/2.png": ("images/1.jpg", "masks/2.png", "/SegNet/images/1.jpg"),
    "C:\\data\\images\\1.jpg": ("images/1.jpg", "masks/1.png", "C:\\data\\images\\1.jpg"),
    # what is not there
    "9": ("", "", "9"),
    "images/9.jpg": ("", "", "images/9.jpg"),
}


@pytest.mark.parametrize(("line", "row"), LINES.items())
@pytest.mark.parametrize("folder", ["", "lists/"])
def test_a_line_names_an_image_and_its_mask(grow: Grow, line: str, row: tuple[str, str, str], folder: str):
    path = f"{folder}train.txt"
    tree = grow(*PAIRS, "images/a b.jpg", "masks/a b.png", **{path: f"{line}\n"})
    assert [row[:4] for row in rows_of_list(tree, path, "train", f"{line}\n")] == [(row[0], row[1], "train", row[2])]


def test_a_name_is_sought_beside_the_list_first(grow: Grow):
    tree = grow("1.jpg", "a/1.jpg", "a/1_mask.png", **{"a/val.txt": "1.jpg 1_mask.png"})
    (row,) = rows_of_list(tree, "a/val.txt", "val", "1.jpg 1_mask.png")
    assert row == Row("a/1.jpg", "a/1_mask.png", "val", "1.jpg", "a/val.txt, line 1", "1_mask.png")


def test_one_name_is_an_image_a_mask_or_nothing(grow: Grow):
    tree = grow(*PAIRS, "masks/3.png", "images/4.jpg")
    assert row_of_line(tree, "", "3", "val") == Row("", "masks/3.png", "val", "3")
    assert row_of_line(tree, "", "4", "val") == Row("images/4.jpg", "", "val", "4")
    assert row_of_line(tree, "", "5", "val") == Row("", "", "val", "5")


ENTRIES: dict[str, tuple[Role, str]] = {
    "images/1.jpg": ("image", "images/1.jpg"),
    " 1 ": ("image", "images/1.jpg"),
    "1.png": ("image", "images/1.jpg"),
    "1": ("mask", "masks/1.png"),
    "1.jpg": ("mask", "masks/1.png"),
    "images/1": ("image", "images/1.jpg"),
    "notes.json": ("mask", "notes.json"),
    "notes.txt": ("mask", ""),
    "images/9.jpg": ("image", ""),
    "other/1.jpg": ("image", ""),  # a path means this file, no other of its name
}


@pytest.mark.parametrize(("entry", "wanted"), ENTRIES.items())
def test_an_entry_is_a_path_or_a_name_without_suffix(grow: Grow, entry: str, wanted: tuple[Role, str]):
    role, path = wanted
    assert picture(grow(*PAIRS, "notes.json", "notes.txt"), "", entry, role) == path


NAMED: dict[str, tuple[Role, str]] = {
    "7": ("image", ""),  # in a and in b
    "a/7": ("image", "a/images/7.jpg"),
    "b/images/7": ("image", "b/images/7.jpg"),
    "b\\7": ("image", "b/images/7.jpg"),
    "c/7": ("image", ""),
    "images/7": ("image", ""),
    "8": ("mask", "a/masks/8_gt.png"),
    "8_gt": ("mask", "a/masks/8_gt.png"),
    "img_8": ("mask", "a/masks/8_gt.png"),
    "9": ("mask", ""),
}


@pytest.mark.parametrize(("name", "wanted"), NAMED.items())
def test_a_name_stands_for_the_one_picture_that_has_it(grow: Grow, name: str, wanted: tuple[Role, str]):
    tree = grow("a/images/7.jpg", "b/images/7.jpg", "a/masks/8_gt.png")
    assert named(tree, name, wanted[0]) == wanted[1]


def test_folders_and_words_say_which_pictures_are_masks(grow: Grow):
    tree = grow("a/1.png", "a/2_mask.png", "images/masks/3.png", "masks/images/4.png", "images/img_5.png")
    assert dict(by_name(tree)) == {
        ("image", "1"): ["a/1.png"],
        ("mask", "2"): ["a/2_mask.png"],
        ("mask", "2_mask"): ["a/2_mask.png"],
        ("mask", "3"): ["images/masks/3.png"],
        ("image", "4"): ["masks/images/4.png"],
        ("image", "5"): ["images/img_5.png"],
        ("image", "img_5"): ["images/img_5.png"],
    }


# --- tables -----------------------------------------------------------------------------------------------------------

FIRST = [("images/1.jpg", "masks/1.png", "train", "images/1.jpg")]
TABLES = {
    "commas": "image,mask,split\nimages/1.jpg,masks/1.png,train\n",
    "semicolons": "image;mask;split\nimages/1.jpg;masks/1.png;train\n",
    "tabs": "image\tmask\tsplit\nimages/1.jpg\tmasks/1.png\ttrain\n",
    "quotes": '"image","mask","split"\n"images/1.jpg","masks/1.png","train"\n',
    "another order": "split,mask,image\ntrain,masks/1.png,images/1.jpg\n",
    "other words": "Img_Path,label path, Subset \nimages/1.jpg,masks/1.png,Training\n",
    "blank lines": "image,mask,split\n\nimages/1.jpg,masks/1.png,train\n,,\n",
    "Windows": "image,mask,split\r\nimages\\1.jpg,masks\\1.png,train\r\n",
    "another computer": "image,mask,split\n/x/images/1.jpg,/x/masks/1.png,train\n",
}


@pytest.mark.parametrize("text", TABLES.values(), ids=TABLES)
def test_a_table_has_columns_for_images_masks_and_splits(grow: Grow, text: str):
    (row,) = parse_table(grow(*PAIRS), text, "table.csv")
    assert row[:3] == FIRST[0][:3]


def test_a_row_keeps_what_stands_for_the_image(grow: Grow):
    text = "image,mask\n 1 ,1\nimages/9.jpg,masks/1.png\n1,\n"
    assert parse_table(grow(*PAIRS), text, "table.csv") == [
        Row("images/1.jpg", "masks/1.png", "", "1", "table.csv, line 2", "1"),
        Row("", "masks/1.png", "", "images/9.jpg", "table.csv, line 3", "masks/1.png"),
        Row("images/1.jpg", "", "", "1", "table.csv, line 4", ""),
    ]


def test_paths_in_a_table_start_where_it_lies(grow: Grow):
    tree = grow("a/1.jpg", "a/1_gt.png", "1.jpg", "1_gt.png")
    (row,) = parse_table(tree, "image,mask\n1.jpg,1_gt.png\n", "a/table.csv")
    assert (row.image, row.mask) == ("a/1.jpg", "a/1_gt.png")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "t.csv: not a table of images and masks"),
        ('image,mask\n"a"b,c\n', "t.csv: not a table of images and masks: "),
        ("mask,split\na,train\n", "t.csv: no column for the image: expected the header image,mask,split"),
        ("image,split\na,train\n", "t.csv: no column for the mask"),
        ("image,mask\na\n", "t.csv, line 2: 1 fields, but 2 columns"),
        ("image,mask\n\na,b\na,b,c\n", "t.csv, line 4: 3 fields, but 2 columns"),
        ("image,mask,split\na,b,train\na,b,exam\n", "t.csv, line 3: the split 'exam' is none of train, val, test"),
    ],
)
def test_a_table_that_cannot_be_understood_is_an_error_that_names_its_line(grow: Grow, text: str, problem: str):
    with pytest.raises(UserError, match=problem):
        parse_table(grow(), text, "t.csv")
    assert csv_table(grow(**{"t.csv": text})) == []


def test_a_table_in_the_folder_is_read(grow: Grow):
    tree = grow(*PAIRS, **{"t.csv": "\ufeffimage,mask,split\nimages/1.jpg,masks/1.png,train\n"})
    assert [row[:4] for row in parse_table(tree, text_of(tree.root / "t.csv"), "t.csv")] == FIRST


def test_a_folder_stands_for_a_mask_on_request_alone(grow: Grow):
    tree, text = grow("images/1.jpg", "masks/1/a.png", "masks/1/b.png"), "image,mask\nimages/1.jpg,masks/1\n"
    assert [row.mask for row in parse_table(tree, text, "t.csv", united=True)] == ["masks/1"]
    assert [row.mask for row in parse_table(tree, text, "t.csv")] == [""]


def test_of_several_columns_for_a_role_the_first_with_files_counts(grow: Grow):
    header = ["image_id", "image_path", "label", "mask"]
    content = [["x"], ["7", "images/1.jpg", "cat", "masks/1.png"]]
    tree = grow(*PAIRS)
    assert column(tree, "image", header, content, "t.csv") == 1
    assert column(tree, "mask", header, content, "t.csv") == 3
    assert column(tree, "mask", header, [], "t.csv") == 2  # the first, if none has any


SPLITS = {"train": "train", " Val ": "val", "testing": "test", "DEV": "val", "trainval": "trainval", "": "", " ": ""}


@pytest.mark.parametrize(("field", "split"), SPLITS.items())
def test_a_field_names_a_split(field: str, split: str):
    assert split_in(field, "line 2") == split


def test_an_unknown_split_is_shown_but_not_all_of_it():
    with pytest.raises(UserError, match=f"line 2: the split '{'x' * 50}' is none of train, val, test"):
        split_in("x" * 60, "line 2")
