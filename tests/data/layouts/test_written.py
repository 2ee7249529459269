"""Lists of splits that a person wrote: which texts are such lists, and what they decide."""

from collections.abc import Callable
from pathlib import Path

import pytest

from segtrain.data.layouts.choice import open_folder
from segtrain.data.layouts.reading import Reading
from segtrain.data.layouts.tree import Tree
from segtrain.data.layouts.written import split_kept, written
from segtrain.errors import UserError

Grow = Callable[..., Tree]
TEN = [f"{folder}/{i}.{suffix}" for i in range(10) for folder, suffix in (("images", "jpg"), ("masks", "png"))]


def taken(tree: Tree, layout: str | None = None) -> Reading:
    return open_folder(tree.root, layout, ties=True).reading


def stems(reading: Reading) -> dict[str, str]:
    return {split: " ".join(pair.image.stem for pair in pairs) for split, pairs in reading.splits.items()}


def below(tree: Tree, paths: object) -> list[str]:
    return [path.relative_to(tree.root).as_posix() for path in paths]  # pyright: ignore


# --- what lists leave out, and what is not there ----------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["", ".jpg", ".png"])
@pytest.mark.parametrize("name", ["{}.txt", "lists/{}.lst", "{}_list.txt", "splits/{}_images.txt"])
def test_images_that_the_lists_leave_out_are_not_used(grow: Grow, name: str, suffix: str):
    texts = {"train": "0 1 2 3 4", "val": "5 6"}
    lists = {name.format(split): text.replace(" ", f"{suffix}\n") + f"{suffix}\n" for split, text in texts.items()}
    tree = grow(*TEN, **lists)
    reading = taken(tree)
    assert stems(reading) == {"train": "0 1 2 3 4", "val": "5 6"}
    assert below(tree, [pair.image for pair in reading.unlisted]) == ["images/7.jpg", "images/8.jpg", "images/9.jpg"]
    assert open_folder(tree.root).not_used() == []  # all is said


@pytest.mark.parametrize("pair", [("image.png", "mask.png"), ("t1.jpg", "label.png"), ("img.png", "mask_1.png")])
@pytest.mark.parametrize(("above", "entry"), [("", "case{}"), ("", "case{}/"), ("data/", "case{}"), ("a/", "a/case{}")])
def test_a_line_may_name_the_folder_of_an_image_and_its_mask(grow: Grow, pair: tuple[str, str], above: str, entry: str):
    files = [f"{above}case{i}/{name}" for i in range(4) for name in pair]
    lists = {"train.txt": "\n".join(entry.format(i) for i in range(2)), "val.txt": entry.format(2) + "\n"}
    reading = taken(grow(*files, **lists))
    parents = {split: " ".join(pair.image.parent.name for pair in pairs) for split, pairs in reading.splits.items()}
    assert parents == {"train": "case0 case1", "val": "case2"}
    assert {(pair.image.name, pair.mask.path.name) for pair in reading.pairs} == {pair}
    assert not reading.missing


def test_a_line_without_its_file_is_named_with_its_list(grow: Grow):
    tree = grow(*TEN, **{"train.txt": "0\r\n\r\n1\r\nx2\r\n", "val.txt": "5\n"})
    reading = taken(tree)
    assert stems(reading) == {"train": "0 1", "val": "5"}
    assert dict(reading.missing) == {tree.root / "x2": "is in train.txt, line 4, but there is no such image"}
    assert reading.images == [tree.root / "x2"]


@pytest.mark.parametrize(
    ("texts", "first"),
    [
        ({"train.txt": "a0\na1\n", "val.txt": "a5\n"}, "train.txt, line 1: a0: none of its 3 images is there"),
        ({"train.txt": "pics/0.jpg\npics/1.jpg\n"}, "train.txt, line 1: pics/0.jpg: none of its 2 images is there"),
        ({"val.txt": "img/90.png\n"}, "val.txt, line 1: img/90.png: there is no such image"),
        ({"splits.csv": "image,mask,split\na.jpg,a.png,val\n"}, "splits.csv, line 2: a.jpg: there is no such image"),
    ],
)
def test_lists_of_which_nothing_is_there_are_an_error(grow: Grow, texts: dict[str, str], first: str):
    tree = grow(*TEN, **texts)
    with pytest.raises(UserError, match=f"^{first}: mend the list, or move it away$"):
        taken(tree)
    assert taken(tree, "flat").splits.keys() == {""}  # as it was typed


def test_a_mask_that_a_line_names_and_is_not_there_is_named(grow: Grow):
    lines = [f"images/{i}.jpg masks/{i}.png" for i in range(3)]
    tree = grow(
        *TEN, **{"train.txt": "\n".join(lines), "val.txt": "images/5.jpg masks/6.png\nimages/6.jpg masks/66.png"}
    )
    reading = taken(tree)
    assert stems(reading) == {"train": "0 1 2", "val": "5"}
    assert reading.splits["val"][0].mask.path == tree.root / "masks/6.png"
    assert list(reading.missing.values()) == ["has no mask: val.txt, line 2 names masks/66.png, which is not there"]


# --- against folders --------------------------------------------------------------------------------------------------


def test_lists_decide_against_the_names_of_folders_and_it_is_said(grow: Grow):
    names = [name for i in range(4) for name in (f"images/train/{i}.jpg", f"masks/train/{i}.png")]
    names += ["images/val/0.jpg", "masks/val/0.png"]
    tree = grow(
        *names, **{"train.txt": "images/train/0.jpg\nimages/train/1.jpg", "val.txt": "images/train/3.jpg\nval/0.jpg"}
    )
    reading = taken(tree)
    assert stems(reading) == {"train": "0 1", "val": "0 3"}
    assert [pair.name for pair in reading.splits["val"]] == ["0", "3"]
    assert reading.notes[-1] == (
        "an image lies in the folder of another split than the lists say (images/train/3.jpg is in val.txt, line 1): "
        "the lists decide"
    )
    assert stems(taken(tree, "home")) == {"train": "0 1 2 3", "val": "0"}  # a typed layout wins


def test_images_of_one_name_get_others_when_they_come_into_one_split(grow: Grow):
    names = [f"{side}/{split}/0.png" for side in ("images", "masks") for split in ("train", "val")]
    tree = grow(
        *names, "images/train/1.png", "masks/train/1.png", **{"train.txt": "train/0\nval/0", "val.txt": "train/1"}
    )
    assert [pair.name for pair in taken(tree).splits["train"]] == ["images/train/0", "images/val/0"]


KEPT = {
    ("", "train val"): None,
    ("", "val"): "train",
    ("", "test"): "trainval",
    ("train", "val"): "train",
    ("train", "train"): None,
    ("train", "trainval"): None,
    ("val", "trainval test"): None,
    ("test", "train val"): "test",
    ("trainval", "val"): "train",
    ("trainval", "train val"): None,
    ("trainval", "test"): "trainval",
}


@pytest.mark.parametrize(("given", "kept"), KEPT.items())
def test_a_split_without_a_list_stays_as_folders_say(given: tuple[str, str], kept: str | None):
    home, lists = given
    assert split_kept(home, set(lists.split())) == kept


def test_trees_side_by_side_have_their_own_lists(grow: Grow):
    names, texts = [], {}
    for animal in ("cat", "dog", "cow"):
        names += [f"{animal}/{name}" for name in TEN]
        texts |= {f"{animal}/train.txt": "0\n1\n2\n3\n", f"{animal}/val.txt": "4\n"}
    reading = taken(grow(*names, **texts))
    assert {split: len(pairs) for split, pairs in reading.splits.items()} == {"train": 12, "val": 3}
    assert len(reading.unlisted) == 15
    assert not reading.images


def test_voc_folders_side_by_side_are_read_together_but_not_those_of_two_years(grow: Grow):
    def voc(top: str, first: int) -> dict[str, str]:
        for i in range(first, first + 4):
            grow(f"{top}/JPEGImages/{i}.jpg", f"{top}/SegmentationClass/{i}.png")
        base = f"{top}/ImageSets/Segmentation"
        return {f"{base}/train.txt": f"{first}\n{first + 1}\n", f"{base}/val.txt": f"{first + 2}\n"}

    tree = grow(**voc("cat", 0), **voc("dog", 10))
    assert (taken(tree).layout, stems(taken(tree))) == ("voc", {"train": "0 1 10 11", "val": "2 12"})
    tree = grow(**voc("VOC2007", 20), **voc("VOC2012", 30))
    assert {"voc", "voc:1"} <= {reading.layout for reading in open_folder(tree.root, ties=True).readings}


def test_lists_of_other_tasks_beside_those_for_segmentation_do_not_count(grow: Grow):
    base = "VOC2012"
    names = [f"{base}/JPEGImages/{i}.jpg" for i in range(9)] + [f"{base}/SegmentationClass/{i}.png" for i in range(3)]
    sets = f"{base}/ImageSets"
    texts = {f"{sets}/Main/train.txt": "0\n3\n4\n", f"{sets}/Main/val.txt": "1\n5\n"}
    texts |= {f"{sets}/Segmentation/train.txt": "0\n1\n", f"{sets}/Segmentation/val.txt": "2\n"}
    reading = taken(grow(*names, **texts))
    assert (reading.layout, stems(reading), reading.images) == ("voc", {"train": "0 1", "val": "2"}, [])


@pytest.mark.parametrize(
    ("texts", "splits"),
    [
        ({"trainval.txt": "0\n1\n2", "val.txt": "2"}, {"train": "0 1", "val": "2"}),
        ({"trainval.txt": "0\n1\n2", "train.txt": "0\n1"}, {"train": "0 1", "val": "2"}),
        ({"trainval.txt": "0\n1\n2\n3", "train.txt": "0\n1", "val.txt": "2"}, {"train": "0 1", "val": "2"}),
        ({"train.txt": "0\n1"}, {"train": "0 1"}),
        ({"train.txt": "0\n1", "test.txt": "5"}, {"train": "0 1", "test": "5"}),
        ({"meta.csv": "filename,kind,split\n0.jpg,x,train\n1.jpg,x,valid\n"}, {"train": "0", "val": "1"}),
        ({"train.csv": "image,mask\n0,0\n1,1\n", "val.csv": "image,mask\n2,2\n"}, {"train": "0 1", "val": "2"}),
    ],
)
def test_lists_and_tables_say_the_splits(grow: Grow, texts: dict[str, str], splits: dict[str, str]):
    assert stems(taken(grow(*TEN, **texts))) == splits


def test_two_ways_to_split_the_same_images_are_asked_about(grow: Grow):
    folds = {
        f"fold{i}/{split}.txt": text for i in (1, 2) for split, text in (("train", f"0\n1\n{i + 3}"), ("val", "2"))
    }
    with pytest.raises(UserError, match=r"can be read in several ways, listed \(4 pairs\), listed:1 \(4 pairs\)"):
        open_folder(grow(*TEN, **folds).root)


# --- what is no list --------------------------------------------------------------------------------------------------

NO_LISTS = {
    "classes": {"classes.txt": "car\nroad\n", "labels.txt": "0\n1\n"},
    "packages": {"requirements.txt": "numpy==1\ntorch\n"},
    "a note": {"test.txt": "This folder is for tests.\nNothing to see here, go on.\n"},
    "a log of losses": {"train.txt": "0.91\n0.83\n", "val.txt": "0.95\n0.94\n"},
    "a table of losses": {"train.txt": "epoch loss\n1 0.5\n"},
    "boxes": {"labels/train.txt": "0 0.5 0.5 0.1 0.1\n1 0.2 0.5 0.1 0.1\n", "labels/0.txt": "0 0.5 0.5 0.1 0.1\n"},
    "empty": {"train.txt": "\n", "val.txt": ""},
    "one word": {"test.txt": "todo\n"},
    "all files": {"files.txt": "images/0.jpg\nimages/1.jpg\n"},
    "a table of classes": {"class_dict.csv": "name,r,g,b\nroad,1,2,3\n"},
    "a table of other splits": {"data.csv": "name,split\nroad,north\n"},
}


@pytest.mark.parametrize("texts", NO_LISTS.values(), ids=NO_LISTS)
def test_other_texts_decide_nothing(grow: Grow, texts: dict[str, str]):
    reading = taken(grow(*TEN, **texts))
    assert (reading.layout, reading.splits.keys(), reading.images) == ("flat", {""}, [])


def test_bytes_that_are_no_text_stop_nothing_but_a_list_in_another_encoding_is_refused(grow: Grow):
    tree = grow(*TEN)
    (tree.root / "test.txt").write_bytes("B\u00e4ume sind gr\u00fcn\n\xff\xfe".encode("latin-1"))
    (tree.root / "val.txt").write_bytes(bytes(range(256)))
    assert taken(tree).splits.keys() == {""}
    (tree.root / "train.txt").write_bytes("0\n1\nb\u00e4ume\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"train\.txt: not a list: it is no UTF-8 text"):
        written(Tree(tree.root))


def test_a_comment_and_a_mark_at_the_start_are_no_lines(grow: Grow):
    tree = grow(*TEN, **{"val.txt": "root/images/3.jpg\n"})
    Path(tree.root, "train.txt").write_bytes("\ufeff# mine\r\n./images/0.jpg\r\n\r\nimages\\1.jpg\r\n".encode())
    assert stems(taken(Tree(tree.root))) == {"train": "0 1", "val": "3"}
