"""The files below a folder, and the way from a name in a list to one of them."""

import os
from collections.abc import Callable
from pathlib import Path
from unicodedata import normalize

import pytest

from segtrain.data.layouts import tree as module
from segtrain.data.layouts.tree import Tree, as_stored, leads_up, no_folder, texts, walk
from segtrain.errors import UserError

Grow = Callable[..., Tree]


def test_files_and_folders_are_listed_in_order(grow: Grow):
    tree = grow("b/2.png", "a.txt", "b/c/1.JPG", "b/10.png")
    assert tree.files == ["a.txt", "b/10.png", "b/2.png", "b/c/1.JPG"]
    assert tree.folders == ["", "b", "b/c"]
    assert tree.pictures == ["b/10.png", "b/2.png", "b/c/1.JPG"]
    assert tree.known == {"a.txt", "b/10.png", "b/2.png", "b/c/1.JPG"}


def test_what_is_hidden_or_left_behind_is_passed_over(grow: Grow):
    tree = grow(".a.png", ".git/b.png", "__MACOSX/c.png", "@eaDir/d.png", "x/.e.png", "x/f.png")
    assert (tree.files, tree.folders) == (["x/f.png"], ["", "x"])


def test_a_folder_named_like_a_picture_is_a_folder(grow: Grow):
    tree = grow("a.png/b.png")
    assert (tree.pictures, tree.folders) == (["a.png/b.png"], ["", "a.png"])


def test_the_pictures_below_a_folder_are_no_others(grow: Grow):
    tree = grow("a/1.png", "a/b/2.png", "a/x.txt", "a-b/3.png", "a0/4.png", "aa/5.png", "6.png")
    assert tree.below("a") == ["a/1.png", "a/b/2.png"]
    assert tree.below("a/b") == ["a/b/2.png"]
    assert tree.below("no") == []
    assert tree.below("") == tree.pictures


def test_children_are_the_names_in_a_folder(grow: Grow):
    tree = grow("a/b/1.png", "a/c/2.png", "d/3.png")
    assert dict(tree.children) == {"": ["a", "d"], "a": ["b", "c"]}


def test_suffixes_are_found_in_any_case(grow: Grow):
    tree = grow("a.TXT", "b.txt", "c/train.txt", "d.png")
    assert tree.with_suffix(".txt") == ["a.TXT", "b.txt", "c/train.txt"]
    assert tree.with_suffix("c/Train.txt") == ["c/train.txt"]


def test_a_path_is_told_as_a_text(grow: Grow, monkeypatch: pytest.MonkeyPatch):
    tree = grow("a/1.png", "a/o\u0308.png")
    paths = ["a/1.png", "a/\u00f6.png", "a", "not/there.png", "/elsewhere/2.png"]
    assert list(texts(tree, paths)) == [str(tree.path(path)) for path in paths]
    monkeypatch.chdir(tree.root)
    assert list(texts(Tree(Path()), ["a/1.png"])) == [str(Path("a/1.png"))]


def test_files_are_listed_by_their_ends_and_pictures_by_their_folder(grow: Grow):
    tree = grow("b/1.JPG", "a/1.png", "a/b/2.png", "a/list.txt", "train.TXT", "a.png/x")
    assert tree.with_suffix(".txt") == ["a/list.txt", "train.TXT"]
    assert tree.with_suffix("a/list.txt") == ["a/list.txt"]
    assert tree.pictures == ["a/1.png", "a/b/2.png", "b/1.JPG"]
    assert tree.by_folder == {"a": ["a/1.png"], "a/b": ["a/b/2.png"], "b": ["b/1.JPG"]}


def test_folders_that_differ_in_the_split_are_called_by_it(grow: Grow):
    tree = grow("x/uavid_train/seq/1.png", "x/uavid_val/seq/1.png", "uavid_test/1.png")
    assert tree.parts("x/uavid_train/seq/1.png") == ("x", "train", "seq")
    assert tree.parts("x/uavid_val/") == ("x", "val")
    assert tree.parts("uavid_test/1.png") == ("uavid_test",)
    assert tree.parts("1.png") == ()
    assert tree.parts("not/here/1.png") == ("not", "here")


def test_a_list_names_a_folder_from_where_it_lies_or_from_the_root(grow: Grow):
    tree = grow("a/masks/1.png", "masks/2.png", "other/3.png")
    assert tree.find_folder("masks", "a") == "a/masks"
    assert tree.find_folder(" other/ ", "a") == "other"
    assert tree.find_folder("../masks", "other") == "masks"
    assert tree.find_folder("none", "a") is None
    assert tree.find_folder("../..", "a") is None
    assert tree.find_folder("  ", "a") is None


FOUND = {
    "1.png": "a/1.png",  # beside the list, before the root
    " 1.png ": "a/1.png",
    "./1.png": "a/1.png",
    "a/1.png": "a/1.png",
    "../2.png": "2.png",
    "2.png": "2.png",
    "a\\1.png": "a/1.png",
    "b/../2.png": "2.png",
    "1.PNG": None,
    "a": None,
    "": None,
    "3.png": None,
    "2.png\x1b[2J": None,
    # absolute paths of another computer: the longest end that is there
    "/home/someone/data/a/1.png": "a/1.png",
    "C:/data/a/1.png": "a/1.png",
    "C:\\data\\2.png": "2.png",
    "/home/someone/1.png": "1.png",
    "/home/someone/a/3.png": None,
    "home/someone/a/1.png": "a/1.png",
}


@pytest.mark.parametrize(("entry", "path"), FOUND.items())
def test_an_entry_names_a_file(grow: Grow, entry: str, path: str | None):
    assert grow("1.png", "2.png", "a/1.png").find(entry, "a") == path


def test_what_lies_outside_is_found_on_request_alone(grow: Grow, tmp_path: Path):
    (tmp_path / "secret.png").touch()
    entries = "../secret.png", str(tmp_path / "secret.png"), "a/../../secret.png"
    inside = grow("a/1.png")
    assert [inside.find(entry) for entry in entries] == [None, None, None]
    outside = grow(outside=True)
    assert [outside.find(entry) for entry in entries] == [str(tmp_path / "secret.png")] * 3
    assert outside.find("../../secret.png", "a") == str(tmp_path / "secret.png")
    assert outside.find("1.png", "a") == "a/1.png"
    assert outside.find("../nothing.png") is None
    assert outside.find("..") is None


@pytest.mark.parametrize(("entry", "path"), FOUND.items())
def test_where_lists_may_name_files_outside_they_name_those_inside_as_well(grow: Grow, entry: str, path: str | None):
    """A list that was written on another computer names files by absolute paths, and is understood either way."""
    assert grow("1.png", "2.png", "a/1.png", outside=True).find(entry, "a") == path


def test_links_are_followed_but_not_up(grow: Grow, tmp_path: Path):
    far = tmp_path / "far"
    far.mkdir()
    (far / "1.png").touch()
    root = grow("a/b/2.png").root
    (root / "link").symlink_to(far)
    (root / "a/up").symlink_to(root)
    (root / "a/itself").symlink_to(root / "a")
    (root / "a/b.png").symlink_to(far / "1.png")
    (root / "a/side").symlink_to(root / "link")
    assert Tree(root).files == ["a/b.png", "a/b/2.png", "a/side/1.png", "link/1.png"]
    assert leads_up(root / "a/up")
    assert leads_up(root / "a/itself")
    assert not leads_up(root / "link")


def test_a_link_is_followed_three_folders_deep(grow: Grow, tmp_path: Path):
    far = tmp_path / "far"
    far.mkdir()
    (far / "1.png").touch()
    root = grow("a/b/c/2.png").root
    (root / "a/b/link").symlink_to(far)
    (root / "a/b/c/link").symlink_to(far)
    assert Tree(root).files == ["a/b/c/2.png", "a/b/link/1.png"]


def test_a_link_to_nothing_is_a_file_that_cannot_be_read(grow: Grow):
    root = grow().root
    (root / "a.png").symlink_to(root / "gone.png")
    assert Tree(root).files == ["a.png"]


def test_a_walk_says_which_are_folders(grow: Grow):
    root = grow("a/1.png").root
    assert list(walk(root, "", "", 0)) == [("a", "a", True), ("a/1.png", "a/1.png", False)]
    assert list(walk(root, "a", "a", 1)) == [("a/1.png", "a/1.png", False)]


GREEN = {form: normalize(form, "gr\u00fcn") for form in ("NFC", "NFD")}


@pytest.mark.parametrize("form", GREEN)
def test_names_are_composed_and_lead_to_the_files_as_they_are_stored(grow: Grow, form: str):
    stored = f"{GREEN[form]}/{GREEN[form]}.png"
    tree = grow(stored, f"{GREEN[form]}/a.txt")
    name = f"{GREEN['NFC']}/{GREEN['NFC']}.png"
    assert (tree.files, tree.folders) == ([f"{GREEN['NFC']}/a.txt", name], ["", GREEN["NFC"]])
    assert tree.path(name) == tree.root / stored
    assert tree.path(name).exists()
    assert tree.path(GREEN["NFC"]).is_dir()
    assert as_stored(tree, name, GREEN["NFC"]) == GREEN[form]
    assert all(tree.find(f"{GREEN[f]}/{GREEN[f]}.png") == name for f in GREEN)
    assert all(tree.find(f"{GREEN[f]}.png", GREEN["NFC"]) == name for f in GREEN)
    assert all(tree.find_folder(GREEN[f]) == GREEN["NFC"] for f in GREEN)


def test_two_forms_of_a_name_in_one_folder_stay_two_files(grow: Grow):
    names = [f"{GREEN[form]}.png" for form in GREEN]
    tree = grow(*names, "\u00e9.png")
    assert tree.known == {*names, "\u00e9.png"}
    assert [tree.find(name) for name in names] == names
    assert [tree.path(name) for name in names] == [tree.root / name for name in names]


def test_more_files_than_any_data_set_has_are_refused(grow: Grow, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MAX_FILES", 2)
    assert len(grow("1.png", "2.png").files) == 2
    with pytest.raises(UserError, match="more than 2 files: name the folder of the images alone"):
        grow("3.png")


@pytest.mark.parametrize("name", ["a\x1b[2J.png", "a\n.png", os.fsdecode(b"\xff.png")])
def test_a_picture_that_a_terminal_would_obey_is_refused(grow: Grow, name: str):
    with pytest.raises(UserError, match="the name holds control or invalid characters: rename it"):
        grow(name)


def test_what_is_no_picture_may_be_called_anything(grow: Grow):
    assert grow("a\n.txt").files == ["a\n.txt"]


NO_FOLDERS = {
    "camvi": r"there is no such folder \(seen from .*\); did you mean .*/camvid\?$",
    "else": r"there is no such folder \(seen from .*\)$",
    "none/below": r"there is no such folder \(seen from .*\)$",
    "camvid.zip": "this is a file: unpack it, and name the folder$",
    "camvid.TAR": "this is a file: unpack it, and name the folder$",
    "one.png": "this is a file: name the folder$",
}


@pytest.mark.parametrize(("name", "reason"), NO_FOLDERS.items())
def test_a_missing_folder_is_explained(tmp_path: Path, name: str, reason: str):
    (tmp_path / "camvid").mkdir()
    for file in ("camvid.zip", "camvid.TAR", "one.png", "els"):
        (tmp_path / file).touch()  # no folders, so they are not meant
    with pytest.raises(FileNotFoundError, match=reason) as error:
        Tree(tmp_path / name)
    assert str(error.value) == f"data.root={tmp_path / name}: {no_folder(tmp_path / name)}"
