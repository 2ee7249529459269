"""Every layout on a tree of names alone; what the files hold is read later."""

import os
import tempfile
import time
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from segtrain.data.files.united import UnitedMask
from segtrain.data.layouts.choice import LAYOUTS, OpenFolder, open_folder
from segtrain.data.layouts.ranking import equals, rank
from segtrain.data.layouts.reading import Reading
from segtrain.data.layouts.tree import Tree


def not_used(root: Path, reading: Reading) -> list[str]:
    return OpenFolder(Tree(root), reading, [reading]).not_used()


def readings(root: Path, **options: Any) -> list[Reading]:
    """All readings of a folder, the best first; none where no layout finds pairs."""
    try:
        return open_folder(root, ties=True, **options).readings
    except FileNotFoundError:
        return []


def tree(root: Path, *names: str) -> Path:
    """Empty files; `{a,b}` in a name stands for one file with each, `1..3` for 1, 2 and 3."""
    for name in names:
        for path in expanded(name):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).touch()
    return root


def expanded(name: str) -> list[str]:
    before, brace, rest = name.partition("{")
    if not brace:
        return [name]
    inside, _, after = rest.partition("}")
    first, dots, last = inside.partition("..")
    choices = [str(i) for i in range(int(first), int(last) + 1)] if dots else inside.split(",")
    return [f"{before}{choice}{end}" for choice in choices for end in expanded(after)]


def best(root: Path) -> Reading:
    return readings(root)[0]


def numbers(reading: Reading) -> dict[str, int]:
    return {split: len(pairs) for split, pairs in reading.splits.items()}


def below(root: Path, reading: Reading) -> dict[str, tuple[str, str]]:
    """Name -> image and mask below the root."""
    return {
        pair.name: (pair.image.relative_to(root).as_posix(), pair.mask.path.relative_to(root).as_posix())
        for pair in reading.pairs
    }


SPLITS = "{train,val,test}"
SHAPES = {
    "home": ("home", [f"images/{SPLITS}/{{1..3}}.jpg", f"masks/{SPLITS}/{{1..3}}.png"]),
    "other words": ("home", [f"imgs/{SPLITS}/{{1..3}}.jpg", f"ground_truth/{SPLITS}/{{1..3}}.png"]),
    "ADE20K": (
        "home",
        ["images/{training,validation,testing}/{1..3}.jpg", "annotations/{training,validation,testing}/{1..3}.png"],
    ),
    "a folder above": ("home", [f"My Photos/images/{SPLITS}/{{1..3}}.jpg", f"My Photos/masks/{SPLITS}/{{1..3}}.png"]),
    "masks with a suffix": ("home", [f"images/{SPLITS}/{{1..3}}.jpg", f"masks/{SPLITS}/{{1..3}}_mask.png"]),
    "split first": ("by_split", [f"{SPLITS}/images/{{1..3}}.jpg", f"{SPLITS}/masks/{{1..3}}.png"]),
    "sets": ("by_split", ["{training,valid,test}_set/Image/{1..3}.jpg", "{training,valid,test}_set/Label/{1..3}.png"]),
    "SegNet": ("split_names", [f"{SPLITS}/{{1..3}}.png", f"{SPLITS}annot/{{1..3}}.png"]),
    "Massachusetts": ("split_names", [f"{SPLITS}/{{1..3}}.tiff", f"{SPLITS}_labels/{{1..3}}.tif"]),
    "x and y": ("split_names", [f"x_{SPLITS}/{{1..3}}.png", f"y_{SPLITS}/{{1..3}}.png"]),
    "CamVid of Kaggle": (
        "split_names",
        [f"CamVid/{SPLITS}/0001TP_{{1..3}}.png", f"CamVid/{SPLITS}_labels/0001TP_{{1..3}}_L.png"],
    ),
    "both named": ("split_names", [f"{SPLITS}_images/{{1..3}}.png", f"{SPLITS}_masks/{{1..3}}.png"]),
    "pairs in folders of splits": ("one_folder", [f"{SPLITS}/{{1..3}}_sat.jpg", f"{SPLITS}/{{1..3}}_mask.png"]),
    "mmsegmentation": ("home", [f"img_dir/{SPLITS}/{{1..3}}.jpg", f"ann_dir/{SPLITS}/{{1..3}}.png"]),
    "img and lab": ("split_names", [f"{SPLITS}_img/{{1..3}}.jpg", f"{SPLITS}_lab/{{1..3}}.png"]),
    "sat and map": ("by_split", [f"tiff/{SPLITS}/sat/{{1..3}}.tiff", f"tiff/{SPLITS}/map/{{1..3}}.tif"]),
    "UAVid": ("repeated", [f"uavid_{SPLITS}/seq1/Images/{{1..3}}.png", f"uavid_{SPLITS}/seq1/Labels/{{1..3}}.png"]),
    "DUTS": ("by_split", ["DUTS-{TR,VA,TE}/Image/{1..3}.jpg", "DUTS-{TR,VA,TE}/Mask/{1..3}.png"]),
    "ISIC 2016": (
        "split_names",
        [f"ISIC_Part1_{SPLITS}_Data/{{1..3}}.jpg", f"ISIC_Part1_{SPLITS}_GroundTruth/{{1..3}}_Segmentation.png"],
    ),
    "LIP": ("by_stem", [f"{SPLITS}_images/{{1..3}}.jpg", f"TrainVal_annotations/{SPLITS}_segmentations/{{1..3}}.png"]),
    "GlaS": ("one_folder", [f"{SPLITS}_{{1..3}}.bmp", f"{SPLITS}_{{1..3}}_anno.bmp"]),
    "IDD": (
        "home",
        [f"leftImg8bit/{SPLITS}/0/{{1..3}}_leftImg8bit.png", f"gtFine/{SPLITS}/0/{{1..3}}_gtFine_level3Ids.png"],
    ),
    "YCOR": ("one_folder", [f"{SPLITS}/iid{{1..3}}/{{rgb.jpg,labels.png}}"]),
    "a split in the middle": (
        "repeated",
        [f"city/{SPLITS}/day/images/{{1..3}}.jpg", f"city/{SPLITS}/day/masks/{{1..3}}.png"],
    ),
}


@pytest.mark.parametrize(("layout", "names"), SHAPES.values(), ids=SHAPES)
def test_a_layout_with_splits_is_found(tmp_path: Path, layout: str, names: list[str]):
    reading = best(tree(tmp_path, *names))
    assert (reading.layout, numbers(reading)) == (layout, {"train": 3, "val": 3, "test": 3})
    assert not reading.images
    assert not reading.masks
    assert all(len({pair.name for pair in pairs}) == 3 for pairs in reading.splits.values())


FLAT = {
    "images and masks": ("flat", ["images/{1..3}.jpg", "masks/{1..3}.png"]),
    "a semantic drone": ("flat", ["original_images/{1..3}.jpg", "label_images_semantic/{1..3}.png"]),
    "words in one": ("flat", ["JPEGImages/{1..3}.jpg", "SegmentationClass/{1..3}.png"]),
    "in and out": ("flat", ["input/{1..3}.jpg", "output/{1..3}.png"]),
    "two endings": ("flat", ["images/{1..3}_sat.jpg", "masks/{1..3}_mask.png"]),
    "ISIC": ("flat", ["ISIC_Data_Input/I_{1..3}.jpg", "ISIC_GroundTruth/I_{1..3}_segmentation.png"]),
    "DRIVE": ("flat", ["images/{21..23}_training.tif", "1st_manual/{21..23}_manual1.gif"]),
    "CHASE": ("flat", ["images/Image_{01,02,03}L.jpg", "labels/Image_{01,02,03}L_1stHO.png"]),
    "numbers alone": ("flat", ["images/t{001,002,003}.tif", "gt/man_seg{001,002,003}.tif"]),
    "tiles": ("repeated", ["A set/Tile {1..3}/images/x.jpg", "A set/Tile {1..3}/masks/x.png"]),
    "days": ("flat", ["images_day{1..3}/0.jpg", "masks_day{1..3}/0.png"]),
    "a folder of masks below": ("beside", ["{1..3}.jpg", "masks/{1..3}.png"]),
    "a folder of masks beside": ("beside", ["Berlin/{1..3}.jpg", "labels/{1..3}.png"]),
    "a word": ("one_folder", ["{1..3}.jpg", "{1..3}_mask.png"]),
    "a word in front": ("one_folder", ["{a,b,c}.png", "mask_{a,b,c}.png"]),
    "a letter": ("one_folder", ["day/0001TP_{1..3}.png", "day/0001TP_{1..3}_L.png"]),
    "a label in TIFF": ("one_folder", ["{1..3}.tif", "{1..3}_label.tif"]),
    "two words": ("one_folder", ["top_{1..3}_RGB.tif", "top_{1..3}_label.tif"]),
    "two formats": ("one_folder", ["{1..3}.jpg", "{1..3}.png"]),
    "several folders": ("one_folder", ["{x,y,z}/a.jpg", "{x,y,z}/a_gt.png"]),
    "RUGD": ("flat", ["frames-with-annotations/a/{1..3}.png", "annotations/a/{1..3}.png"]),
    "words of no list": ("flat", ["bilder/{1..3}.jpg", "masken/{1..3}.png"]),
    "an ending of no list": ("by_ending", ["Image_{1..3}L.jpg", "Image_{1..3}L_1stHO.png"]),
    "stems anywhere": ("by_stem", ["here/{1..3}.jpg", "there/{1..3}_mask.png"]),
}


@pytest.mark.parametrize(("layout", "names"), FLAT.values(), ids=FLAT)
def test_a_layout_without_splits_is_found(tmp_path: Path, layout: str, names: list[str]):
    reading = best(tree(tmp_path, *names))
    assert (reading.layout, numbers(reading)) == (layout, {"": 3})
    assert not reading.images
    assert not reading.masks
    assert len({pair.name for pair in reading.pairs}) == 3
    for name, (image, mask) in below(tmp_path, reading).items():
        digits = [c for c in name if c.isdigit()]
        assert all(digit in image for digit in digits), (name, image, mask)


def test_the_parent_is_part_of_the_name_where_folders_are_repeated(tmp_path: Path):
    tree(tmp_path, "Tile {1,2}/images/{a,b}.jpg", "Tile {1,2}/masks/{a,b}.png")
    assert below(tmp_path, best(tmp_path)) == {
        f"Tile {i}/{x}": (f"Tile {i}/images/{x}.jpg", f"Tile {i}/masks/{x}.png") for i in (1, 2) for x in "ab"
    }


def test_a_parent_without_masks_is_not_forgotten(tmp_path: Path):
    tree(tmp_path, "Tile {1..3}/images/a.jpg", "Tile {1,2}/masks/a.png")
    assert best(tmp_path).images == [tmp_path / "Tile 3/images/a.jpg"]


def test_of_several_folders_of_masks_each_is_a_reading_of_its_own(tmp_path: Path):
    tree(tmp_path, "images/{1..3}.jpg", "labels/{1..3}.png", "masks/{1..3}.png", "masks/4.png")
    found = {reading.layout: len(reading.masks) for reading in readings(tmp_path) if reading.layout[:4] == "flat"}
    assert found == {"flat:labels": 0, "flat:masks": 1}
    assert best(tmp_path).layout == "flat:labels"


CHOICES = {
    "KITTI": (["training/{image_2,semantic,semantic_rgb,instance}/{1..3}_10.png"], "by_split:semantic"),
    "Mapillary": (
        ["training/images/{1..3}.jpg", "training/v1.2/{labels,instances,panoptic}/{1..3}.png"],
        "by_stem:labels",
    ),
    "CVAT": (["JPEGImages/{1..3}.jpg", "Segmentation{Class,Object}/{1..3}.png"], "flat:SegmentationClass"),
    "a preview": (["{images,masks,masks_color,preview}/{1..3}.png"], "flat:masks"),
    "a drone": (
        ["original_images/{1..3}.jpg", "{label_images_semantic,RGB_image_masks}/{1..3}.png"],
        "flat:label_images_semantic",
    ),
    "BDD": (["images/10k/train/{1..3}.jpg", "labels/seg/{masks,colormaps}/train/{1..3}.png"], "by_stem:masks"),
    "people": (["img/{1..3}.png", "masks_{human,machine}/{1..3}.png"], "flat:masks_machine"),
    "labels and colours": (["{1..3}.jpg", "{1..3}_{labelIds,color}.png"], "one_folder:_labelIds"),
}


@pytest.mark.parametrize(("names", "layout"), CHOICES.values(), ids=CHOICES)
def test_masks_that_are_drawn_for_people_come_second(tmp_path: Path, names: list[str], layout: str):
    first, second, *_ = readings(tree(tmp_path, *names))
    assert (first.layout, len(first.pairs)) == (layout, 3)
    assert rank(first) < rank(second)


def test_what_nobody_can_tell_is_equally_good(tmp_path: Path):
    """In DRIVE, the masks in `mask` say where the camera saw something."""
    tree(tmp_path, "training/images/{21..23}_training.tif", "training/1st_manual/{21..23}_manual1.gif")
    first, second = readings(tree(tmp_path, "training/mask/{21..23}_training_mask.gif"))
    assert (first.layout, second.layout) == ("by_split:1st_manual", "by_split:mask")
    assert rank(first) == rank(second)


def test_masks_for_more_images_of_the_test_decide_nothing(tmp_path: Path):
    """DRIVE as it is published today: the test has fields of view, but no vessels."""
    tree(tmp_path, "training/images/{21..23}_training.tif", "training/1st_manual/{21..23}_manual1.gif")
    tree(tmp_path, "{training,test}/mask/{21..23}_mask.gif", "test/images/{21..23}_test.tif")
    assert {reading.layout for reading in equals(readings(tmp_path))} == {"by_split:1st_manual", "by_split:mask"}


def test_masks_of_two_versions_are_named_by_their_folders(tmp_path: Path):
    """Mapillary Vistas, whose labels come in two versions, each with objects beside them."""
    found = readings(tree(tmp_path, "train/images/{1..3}.jpg", "train/{v1.2,v2.0}/{labels,instances}/{1..3}.png"))
    assert [reading.layout for reading in equals(found)] == ["by_stem:v1.2/labels", "by_stem:v2.0/labels"]


def test_two_people_drew_the_masks(tmp_path: Path):
    found = readings(tree(tmp_path, "Image_{01,02,03}L.jpg", "Image_{01,02,03}L_{1stHO,2ndHO}.png"))
    assert [reading.layout for reading in equals(found)] == ["by_ending:_1stHO", "by_ending:_2ndHO"]


def test_names_that_equal_those_of_the_masks_are_preferred(tmp_path: Path):
    found = readings(tree(tmp_path, "top/top_area{1..3}.tif", "dsm/dsm_area{1..3}.tif", "gts/top_area{1..3}.tif"))
    assert found[0].layout == "beside:top"
    assert [reading.layout for reading in equals(found)] == ["beside:top"]


def test_defects_of_several_kinds_are_told_apart_by_their_folders(tmp_path: Path):
    tree(tmp_path, "bottle/test/{crack,rust,good}/{1..3}.png", "bottle/ground_truth/{crack,rust}/{1..3}_mask.png")
    pairs = below(tmp_path, best(tmp_path)).values()
    assert len(pairs) == 6
    assert all(("crack" in image) == ("crack" in mask) for image, mask in pairs)


@pytest.mark.parametrize(("listed", "layout"), [(4, "csv"), (1, "repeated")], ids=["most", "a few"])
def test_a_table_decides_if_it_lists_most_of_the_images(tmp_path: Path, listed: int, layout: str):
    """Such as one of two copies of all images."""
    tree(tmp_path, "{PNG,TIF}/{Original,Ground Truth}/{1..4}.png")
    rows = (f"PNG/Original/{i}.png,PNG/Ground Truth/{i}.png\n" for i in range(1, listed + 1))
    (tmp_path / "metadata.csv").write_text("image,mask\n" + "".join(rows))
    assert best(tmp_path).layout == layout


def test_a_mask_for_each_object_makes_one_mask(tmp_path: Path):
    for i in (1, 2, 3):
        tree(tmp_path, f"stage1_train/{i}/images/{i}.png", f"stage1_train/{i}/masks/{{a,b,c}}{i}.png")
    reading = best(tmp_path)
    assert (reading.layout, numbers(reading), not_used(tmp_path, reading)) == (
        "objects",
        {"": 3},
        [],
    )
    assert [mask.files for mask in (pair.mask for pair in reading.pairs) if isinstance(mask, UnitedMask)] == [
        tuple(tmp_path / f"stage1_train/{i}/masks/{x}{i}.png" for x in "abc") for i in (1, 2, 3)
    ]


def test_a_list_of_the_images_for_validation_alone_leaves_the_rest_for_training(tmp_path: Path):
    tree(tmp_path, "images/{1..5}.png", "labels/{1..5}_P.png")
    (tmp_path / "valid.txt").write_text("2.png\n4.png\n")
    assert numbers(best(tmp_path)) == {"train": 3, "val": 2}
    (tmp_path / "valid.txt").rename(tmp_path / "test.txt")
    assert numbers(best(tmp_path)) == {"test": 2, "trainval": 3}


FURTHER = {
    "other kinds of masks": ["gt/{1..3}_inst_label.png"],
    "masks for each class": ["gt/{cat,dog}/{1..3}_label.png"],
    "superpixels": ["images/{1..3}_superpixels.png"],
    "a second object": ["gt/1_label_1.png"],
}


@pytest.mark.parametrize("names", FURTHER.values(), ids=FURTHER)
def test_further_pictures_of_an_image_are_not_used_and_no_errors(tmp_path: Path, names: list[str]):
    reading = best(tree(tmp_path, "images/{1..3}.jpg", "gt/{1..3}_label.png", *names))
    assert (len(reading.pairs), reading.images, reading.masks) == (3, [], [])
    assert sorted(not_used(tmp_path, reading)) == sorted(path for name in names for path in expanded(name))


def test_a_number_is_no_ending(tmp_path: Path):
    reading = best(tree(tmp_path, "images/img_{1..3}.jpg", "masks/img_{1..3}.png", "images/img_1_{4..8}.jpg"))
    assert (len(reading.pairs), len(reading.images)) == (3, 5)


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_split_without_masks_is_left_out(tmp_path: Path, split: str):
    tree(tmp_path, "{train,val,test}/{1..3}_sat.jpg", "{train,val,test}/{1..3}_mask.png")
    for path in (tmp_path / split).glob("*_mask.png"):
        path.unlink()
    reading = best(tmp_path)
    assert (len(reading.pairs), len(reading.unlabelled), reading.images) == (6, 3, [])


@pytest.mark.parametrize("layout", ["{train,val,test}/images/{1..3}.jpg", "images/{train,val,test}/{1..3}.jpg"])
def test_a_test_split_without_masks_is_left_out_and_noted(tmp_path: Path, layout: str):
    reading = best(tree(tmp_path, layout, layout.replace(",test", "").replace("images", "masks")))
    assert numbers(reading) == {"train": 3, "val": 3}
    assert ([path.name for path in reading.unlabelled], reading.images) == (["1.jpg", "2.jpg", "3.jpg"], [])


def test_an_image_of_a_labelled_test_split_needs_its_mask(tmp_path: Path):
    reading = best(
        tree(tmp_path, "{train,val,test}/images/{1..3}.jpg", "{train,val}/masks/{1..3}.png", "test/masks/1.png")
    )
    assert ([path.name for path in reading.images], list(reading.unlabelled)) == (["2.jpg", "3.jpg"], [])


def test_what_is_left_over_is_named(tmp_path: Path):
    tree(tmp_path, "images/train/{1..5}.jpg", "masks/train/{1,2,3,6}.png", "images/{extra/7,8}.jpg", "masks/8.png")
    reading = best(tmp_path)
    assert numbers(reading) == {"train": 3}
    assert reading.images == [tmp_path / f"images/{name}.jpg" for name in ("8", "extra/7", "train/4", "train/5")]
    assert reading.masks == [tmp_path / "masks/8.png", tmp_path / "masks/train/6.png"]


RULES = {
    "a word": ("images/{}.jpg", "masks/{}_mask.png"),
    "a folder called 2GT": ("1images/{}.jpg", "2GT/{}_GT.jpg"),
    "an ending of no list": ("images/{}.jpg", "masks/{}_P.png"),
    "one folder": ("{}.jpg", "{}_mask.png"),
    "one folder, an ending of no list": ("{}.jpg", "{}_1stHO.png"),
    "one folder, one suffix": ("{}.png", "{}_1stHO.png"),
    "folders of any name": ("here/{}.jpg", "there/{}_1stHO.png"),
    "splits": ("train/images/{}.jpg", "train/masks/{}_mask.png"),
    "a beginning": ("images/sat-{}.jpg", "masks/{}.png"),
    "what differs": ("images/{}_training.tif", "1st_manual/{}_manual1.gif"),
}


@pytest.mark.parametrize(("image", "mask"), RULES.values(), ids=RULES)
@pytest.mark.parametrize("lacking", [1, 3])
def test_where_most_names_follow_a_rule_the_others_are_named(tmp_path: Path, image: str, mask: str, lacking: int):
    names = [f"{i:02d}" for i in range(10, 42)]
    tree(tmp_path, *map(image.format, names[lacking:]), *map(mask.format, names[:-lacking]))
    reading = best(tmp_path)
    assert len(reading.pairs) == 32 - 2 * lacking
    assert [path.relative_to(tmp_path).as_posix() for path in reading.images] == list(
        map(image.format, names[-lacking:])
    )
    assert [path.relative_to(tmp_path).as_posix() for path in reading.masks] == list(map(mask.format, names[:lacking]))


@pytest.mark.parametrize("place", ["images", "masks"])
def test_a_picture_that_follows_no_rule_is_named(tmp_path: Path, place: str):
    reading = best(tree(tmp_path, "images/{1..9}.jpg", "masks/{1..9}_mask.png", f"{place}/notes.png"))
    assert [*reading.images, *reading.masks] == [tmp_path / place / "notes.png"]


def test_pictures_in_a_folder_of_their_own_need_no_masks(tmp_path: Path):
    tree(tmp_path, "images/{1..9}.jpg", "masks/{1..9}_1stHO.png", "unlabelled/{20..29}.jpg")
    assert best(tmp_path).images == []
    tree(tmp_path / "b", "{1..9}.jpg", "{1..9}_1stHO.png", "unlabelled/{20..29}.jpg")
    assert best(tmp_path / "b").images == []


def test_a_folder_without_masks_or_image_among_those_of_objects_is_named(tmp_path: Path):
    tree(tmp_path, "train/{1..4}/images/x{1,2,3,4}.png")
    for i in (1, 2, 3, 4):
        for j in {1, 2, 3, 4} - {i}:
            (tmp_path / f"train/{i}/images/x{j}.png").unlink()
    tree(tmp_path, "train/{1,2,3,5}/masks/{a,b}.png", "test/9/images/x.png")
    reading = best(tmp_path)
    assert (reading.layout, len(reading.pairs)) == ("objects", 3)
    assert reading.images == [tmp_path / "train/4/images/x4.png"]
    assert reading.masks == [tmp_path / "train/5/masks/a.png"]


def test_two_images_of_one_name_are_no_pair(tmp_path: Path):
    tree(tmp_path, "images/{1.jpg,1.png,2.png}", "masks/{1..2}.png")
    reading = best(tmp_path)
    assert [pair.name for pair in reading.pairs] == ["2"]
    assert [path.name for path in (*reading.images, *reading.masks)] == ["1.jpg", "1.png", "1.png"]


def test_numbers_are_no_suffixes(tmp_path: Path):
    """frame_10 is not frame_1 with something added."""
    assert readings(tree(tmp_path, "frame_{1..30}.png")) == []


def test_hidden_files_and_those_of_a_mac_are_passed_over(tmp_path: Path):
    tree(
        tmp_path,
        "images/{1..3}.jpg",
        "masks/{1..3}.png",
        "images/.4.jpg",
        ".cache/images/5.jpg",
        "__MACOSX/images/6.jpg",
    )
    assert best(tmp_path).images == []


def test_pascal_voc_is_read_by_its_lists(tmp_path: Path):
    base = "VOCdevkit/VOC2012"
    tree(tmp_path, f"{base}/JPEGImages/2007_{{1..9}}.jpg", f"{base}/Segmentation{{Class,Object}}/2007_{{1..5}}.png")
    lists = {"train": "2007_1\n2007_2\n2007_3\n", "val": "2007_4\n2007_5\n", "trainval": "2007_1\n"}
    for split, text in lists.items():
        write(tmp_path / base / "ImageSets/Segmentation" / f"{split}.txt", text)
    reading = best(tmp_path)
    assert (reading.layout, numbers(reading)) == ("voc", {"train": 3, "val": 2})
    assert below(tmp_path, reading)["VOCdevkit/VOC2012/2007_4"] == (
        f"{base}/JPEGImages/2007_4.jpg",
        f"{base}/SegmentationClass/2007_4.png",
    )


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


CITY = ["leftImg8bit/{train,val}/aachen/a_{1,2}_leftImg8bit.png", "gtFine/{train,val}/aachen/a_{1,2}_gtFine_{KIND}.png"]


@pytest.mark.parametrize(("layout", "kind"), [("cityscapes", "labelIds"), ("cityscapes_train_ids", "labelTrainIds")])
def test_cityscapes_is_read_without_its_test_split(tmp_path: Path, layout: str, kind: str):
    kinds = f"color,instanceIds,{kind}"
    tree(tmp_path, *(name.replace("KIND", kinds) for name in CITY), "leftImg8bit/test/bonn/b_1_leftImg8bit.png")
    reading = best(tmp_path)
    assert (reading.layout, numbers(reading), reading.images) == (layout, {"train": 2, "val": 2}, [])
    assert all(pair.mask.name.endswith(f"_{kind}.png") for pair in reading.pairs)


LISTS = {
    "stems": "{}",
    "names": "{}.jpg",
    "paths of images": "images/{}.jpg",
    "paths of pairs": "images/{0}.jpg masks/{0}.png",
    "pairs with a tab": "images/{0}.jpg\tmasks/{0}.png",
    "paths from another computer": "/SegNet/x/images/{0}.jpg /SegNet/x/masks/{0}.png",
    "paths from Windows": "C:\\x\\images\\{0}.jpg",
    "stems with more behind": "{} 1 1 2",
}


@pytest.mark.parametrize("line", LISTS.values(), ids=LISTS)
@pytest.mark.parametrize("folder", [".", "lists"])
def test_lists_of_splits_are_read(tmp_path: Path, line: str, folder: str):
    tree(tmp_path, "images/{a b,c,d,e}.jpg", "masks/{a b,c,d,e}.png")
    names = ["a b", "c", "d", "e"] if line in ("{}", "{}.jpg", "images/{}.jpg") or "\t" in line else ["c", "d", "e"]
    write(tmp_path / folder / "train.txt", "\n".join(line.format(name) for name in names[:-1]) + "\n\n")
    write(tmp_path / folder / "val.txt", line.format("e"))
    reading = next(reading for reading in readings(tmp_path) if reading.layout == "listed")
    assert numbers(reading) == {"train": len(names) - 1, "val": 1}
    assert below(tmp_path, reading)["e"] == ("images/e.jpg", "masks/e.png")


def test_oxfords_pets_are_read_by_their_lists(tmp_path: Path):
    tree(tmp_path, "images/Abyssinian_{1..9}.jpg", "annotations/trimaps/Abyssinian_{1..8}.png")
    write(tmp_path / "annotations/trainval.txt", "".join(f"Abyssinian_{i} 1 1 1\n" for i in range(1, 6)))
    write(tmp_path / "annotations/test.txt", "".join(f"Abyssinian_{i} 1 1 1\n" for i in range(6, 9)))
    write(tmp_path / "annotations/list.txt", "#Image CLASS-ID\n")
    found = {reading.layout: numbers(reading) for reading in readings(tmp_path)}
    assert found["listed"] == {"test": 3, "trainval": 5}


TABLES = {
    "image, mask, split": "image,mask,split\nimages/{0}.jpg,masks/{0}.png,train\n",
    "no splits": "img_path;label_path\nimages/{0}.jpg;masks/{0}.png\n",
    "DeepGlobe": "image_id,split,sat_image_path,mask_path\n7,train,images/{0}.jpg,masks/{0}.png\n",
    "stems": "image,mask,subset\n{0},{0},training\n",
}


@pytest.mark.parametrize("text", TABLES.values(), ids=TABLES)
def test_tables_are_read(tmp_path: Path, text: str):
    tree(tmp_path, "images/{a b,c}.jpg", "masks/{a b,c}.png")
    write(tmp_path / "metadata.csv", text.format("a b"))
    reading = next(reading for reading in readings(tmp_path) if reading.layout == "csv")
    assert numbers(reading) == {"" if "sp" not in text and "sub" not in text else "train": 1}
    assert below(tmp_path, reading) == {"a b": ("images/a b.jpg", "masks/a b.png")}


def test_a_table_of_classes_is_no_table_of_images(tmp_path: Path):
    tree(tmp_path, "images/{a,b}.jpg", "masks/{a,b}.png")
    write(tmp_path / "class_dict.csv", "name,r,g,b\nroad,1,2,3\n")
    write(tmp_path / "labels.csv", "image,label\na.jpg,cat\n")
    assert [reading.layout for reading in readings(tmp_path)] == ["flat"]


@pytest.mark.parametrize("place", ["data/splits.csv", "data.segtrain/splits.csv"])
def test_splits_csv_wins_always(tmp_path: Path, place: str):
    root = tree(tmp_path / "data", "images/{a,b,c}.jpg", "masks/{a,b,c}.png")
    write(tmp_path / place, "image,mask,split\nimages/a.jpg,masks/b.png,val\nimages/c.jpg,masks/d.png,train\n")
    reading = best(root)
    assert (reading.layout, below(root, reading)) == ("splits_csv", {"a": ("images/a.jpg", "masks/b.png")})
    assert reading.images == [root / "images/c.jpg"]  # its mask is not there


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("image,mask,split\na,b\n", "line 2: 2 fields, but 3 columns"),
        ("image,mask,split\na,b,exam\n", "line 2: the split 'exam' is none of train, val, test"),
        ("file,split\na,train\n", "no column for the image: expected the header image,mask,split"),
        ("", "not a table of images and masks"),
    ],
)
def test_a_description_that_cannot_be_understood_is_an_error(tmp_path: Path, text: str, problem: str):
    write(tree(tmp_path, "images/a.jpg", "masks/a.png") / "splits.csv", text)
    with pytest.raises(ValueError, match=rf"splits\.csv.*{problem}"):
        readings(tmp_path)


SECRETS = ["../secret.png", "images/../../secret.png", "{root}/secret.png", "..\\secret.png", "./../secret.png"]


@pytest.mark.parametrize("entry", SECRETS)
def test_a_list_names_nothing_outside_the_root(tmp_path: Path, entry: str):
    root = tree(tmp_path / "data", "images/{a,b}.jpg", "masks/{a,b}.png")
    tree(tmp_path, "secret.png")
    line = entry.format(root=tmp_path)
    write(root / "splits.csv", f"image,mask,split\nimages/a.jpg,masks/a.png,train\nimages/b.jpg,{line},train\n")
    assert [pair.name for pair in best(root).pairs] == ["a"]
    assert len(readings(root, outside=True)[0].pairs) == 2


def test_a_list_that_never_ends_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    root = tree(tmp_path, "images/a.jpg", "masks/a.png")
    monkeypatch.setattr("segtrain.data.layouts.lists.MAX_BYTES", 1000)
    (root / "splits.csv").symlink_to("/dev/zero")
    assert best(root).layout == "flat"
    (root / "splits.csv").unlink()
    write(root / "splits.csv", "x" * 2000)
    with pytest.raises(ValueError, match=r"splits\.csv: not a list: more than 1000 bytes"):
        readings(root)


def test_links_that_lead_round_are_not_followed_for_ever(tmp_path: Path):
    tree(tmp_path, "images/a.jpg", "masks/a.png")
    (tmp_path / "images/again").symlink_to(tmp_path)
    (tmp_path / "masks/again").symlink_to(tmp_path / "masks")
    assert len(best(tmp_path).pairs) == 1


def test_a_link_is_followed_three_folders_deep(tmp_path: Path):
    tree(tmp_path, "far/{1..3}.jpg", "data/set/masks/train/{1..3}.png")
    (tmp_path / "data/set/images").mkdir()
    (tmp_path / "data/set/images/train").symlink_to(tmp_path / "far")
    assert numbers(best(tmp_path / "data")) == {"train": 3}


@pytest.mark.parametrize("folders", [("images/train", "masks/train"), ("train/images", "train/masks"), ("img", "gt")])
def test_nothing_further_is_tried_where_folders_pair_all_pictures(
    tmp_path: Path, folders: tuple[str, str], monkeypatch: pytest.MonkeyPatch
):
    names = [f"{folder}/{i}.png" for folder in folders for i in range(3)]
    tree(tmp_path, *names)
    for layout in ("repeated", "objects", "beside", "by_stem"):
        monkeypatch.setitem(LAYOUTS, layout, lambda tree: pytest.fail("it was tried"))
    found = open_folder(tmp_path)
    assert len(found.readings) == 1
    assert found.not_used() == []


@pytest.mark.slow
def test_ten_thousand_pairs_take_about_a_second(tmp_path: Path):
    for kind, suffix in (("images", "jpg"), ("masks", "png")):
        (tmp_path / kind / "train").mkdir(parents=True)
        for i in range(10_000):
            os.close(os.open(tmp_path / kind / "train" / f"frame_{i}.{suffix}", os.O_CREAT))
    start = time.process_time()
    assert len(best(tmp_path).pairs) == 10_000
    assert time.process_time() - start < 8  # about 1 on an idle machine


FOLDERS = st.sampled_from(
    ["", "images", "masks", "train", "val", "test", "Tile 1", "labels", "gt_color", "trainannot", "train_val"]
)
STEMS = st.sampled_from(
    ["a", "b", "a_mask", "mask_a", "a_L", "image_1", "1", "1_color", "x 1", "train", "", "_", "1_1"]
)
SUFFIXES = st.sampled_from([".jpg", ".png", ".PNG", ".tif", ".txt", ".csv", ".json"])


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(FOLDERS, FOLDERS, FOLDERS, STEMS, SUFFIXES), max_size=25))
@example(
    [
        ("", "masks", "images", "b", ".jpg"),
        ("", "masks", "labels", "a", ".jpg"),
        ("", "masks", "labels", "a", ".png"),
        ("", "labels", "images", "a", ".jpg"),
    ]
)
def test_no_tree_is_an_error_and_no_file_is_used_twice(names: list[tuple[str, ...]]):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for *folders, stem, suffix in names:
            path = root.joinpath(*folders) / f"{stem or 'n'}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        for reading in readings(root):
            used = [path for pair in reading.pairs for path in (pair.image, pair.mask.path)]
            left = [*reading.images, *reading.masks, *reading.unlabelled]
            assert len(used) + len(left) == len({*used, *left})
            for pairs in reading.splits.values():
                assert len({pair.name for pair in pairs}) == len(pairs)


def test_every_layout_says_what_it_looks_for():
    assert all(layout.__doc__ for layout in LAYOUTS.values())


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC"), ("NFD", "NFD")], ids="-".join)
@pytest.mark.parametrize("how", ["pairing", "splits.csv", "lists"])
def test_composed_and_decomposed_letters_are_the_same(tmp_path: Path, forms: tuple[str, str], how: str):
    words = ["Gr\u00fcn", "Stra\u00dfe \u00e9", "\u00dcbung", "\u00e8"]
    for word in words:
        tree(tmp_path, f"images/{normalize(forms[0], word)}.jpg", f"masks/{normalize(forms[1], word)}.png")
    if how == "splits.csv":
        rows = [f"images/{word}.jpg,masks/{word}.png,{'val' if word < 'H' else 'train'}\n" for word in words]
        write(tmp_path / "splits.csv", "image,mask,split\n" + "".join(rows))
    if how == "lists":
        write(tmp_path / "train.txt", "\n".join(normalize("NFD", word) for word in words[1:]))
        write(tmp_path / "val.txt", words[0])
    reading = best(tmp_path)
    assert numbers(reading) == ({"": 4} if how == "pairing" else {"train": 3, "val": 1})
    assert all(pair.image.exists() and pair.mask.path.exists() for pair in reading.pairs)
    assert {pair.name for pair in reading.pairs} == {normalize(forms[0], word) for word in words}
