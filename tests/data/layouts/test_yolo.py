"""YOLO's polygons: which text file belongs to which image, and what is painted."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from segtrain.data import FolderData
from segtrain.data.files.yolo import polygons_in
from segtrain.data.layouts.choice import open_folder

LINE = "1 0.25 0.25 0.75 0.25 0.75 0.75 0.25 0.75\n"  # of an image of 8 x 4: columns 2 to 5, rows 1 and 2
YAML = "train: images/train\nval: images/val\nnames: [cat, dog]\n"
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes images of 8 x 4 by their paths, and texts."""

    def write(*images: str, **texts: str) -> Path:
        root = tmp_path / "root"
        for name in images:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 4), (len(name), hash(name) % 255, 9)).save(root / name)
        for name, text in texts.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        return root

    return write


def opened(root: Path, **settings: object) -> FolderData:
    return FolderData(root=str(root), classes=None, crop=[4, 4], batch_size=1, workers=0, **settings)  # type: ignore[arg-type]


def sizes(data: FolderData) -> dict[str, int]:
    return {split: len(source) for split, source in data.splits.items()}


def test_a_polygon_is_painted_with_its_class_and_the_rest_is_background(write: Write):
    data = opened(write("images/train/a.png", "images/val/b.png", **{"data.yaml": YAML, "labels/train/a.txt": LINE}))
    assert data.classes.names == ("background", "cat", "dog")
    assert data.source("train").read_mask(0).tolist() == [
        [0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 2, 2, 2, 2, 0, 0],
        [0, 0, 2, 2, 2, 2, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
    ]


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("Images", "Labels"),
        ("IMAGES", "LABELS"),
        ("x/Images/Train", "x/Labels/Train"),
        ("Images", "labels"),
        ("images/train", "Labels/train"),
    ],
)
def test_folders_may_have_capital_letters(write: Write, images: str, labels: str):
    texts = {"classes.txt": "cat\ndog\n"}
    names = [f"{images}/{number}.PNG" for number in range(4)]
    texts |= {f"{labels}/{number}.txt": LINE for number in range(3)}
    reading = open_folder(write(*names, **texts)).reading
    assert reading.layout == "yolo"
    assert len(reading.pairs) == 4
    assert reading.notes == [
        f"1 of 4 images have no polygons, such as {images}/3.PNG: all background, as YOLO takes them"
    ]


def test_many_polygons_are_those_of_pillow_drawn_larger(tmp_path: Path):
    """Pillow draws an outline too, so the pixels that one touches are left out."""
    rng = np.random.default_rng(0)
    for i in range(20):
        points = rng.uniform(0, 1, (5, 2))
        root = tmp_path / str(i)
        (root / "images").mkdir(parents=True)
        (root / "labels").mkdir()
        Image.new("RGB", (40, 30)).save(root / "images/a.png")
        (root / "labels/a.txt").write_text(" ".join(["0", *map(str, points.ravel())]))
        (root / "data.yaml").write_text("names: {0: thing}")
        ours = open_folder(root).reading.pairs[0].mask.read(10_000, None)
        big, edges = Image.new("1", (40 * 15, 30 * 15)), Image.new("1", (40 * 15, 30 * 15))
        corners = [(x * 40 * 15, y * 30 * 15) for x, y in points]
        ImageDraw.Draw(big).polygon(corners, fill=1)
        ImageDraw.Draw(edges).line([*corners, corners[0]], fill=1, width=5)
        theirs, near = (np.asarray(image)[7::15, 7::15] for image in (big, edges))
        assert (ours == theirs)[~near].all()


PLACES = {
    "as Ultralytics has them": (
        ["images/train/a.png", "images/train/b.png", "images/val/c.png"],
        ["labels/train/a.txt", "labels/val/c.txt"],
        "path: ../datasets/coco8-seg\ntrain: images/train\nval: images/val\ntest:\nnames:\n  0: cat\n  1: dog\n",
        {"train": 2, "val": 1},
    ),
    "as Roboflow has them": (
        ["train/images/a.png", "train/images/b.png", "valid/images/c.png"],
        ["train/labels/a.txt", "valid/labels/c.txt"],
        "train: ../train/images\nval: ../valid/images\ntest: ../test/images\nnc: 2\nnames: ['cat', 'dog']\n",
        {"train": 2, "val": 1},
    ),
    "with the paths of another computer": (
        ["train/images/a.png", "train/images/b.png", "valid/images/c.png"],
        ["train/labels/a.txt", "valid/labels/c.txt"],
        "train: /content/cats-1/train/images\nval: C:\\Users\\me\\cats-1\\valid\\images\nnames: [cat, dog]\n",
        {"train": 2, "val": 1},
    ),
    "with paths as seen from where the training was started": (
        ["train/images/a.png", "train/images/b.png", "valid/images/c.png"],
        ["train/labels/a.txt", "valid/labels/c.txt"],
        "train: datasets/cats/train/images\nval: datasets/cats/valid/images\nnames: [cat, dog]\n",
        {"train": 2, "val": 1},
    ),
    "with several folders for a split": (
        ["images/day/a.png", "images/night/b.png", "images/val/c.png"],
        ["labels/day/a.txt", "labels/val/c.txt"],
        "train: [images/day, images/night]\nval: images/val\nnames: [cat, dog]\n",
        {"train": 2, "val": 1},
    ),
    "with folders of splits alone": (
        ["images/train/a.png", "images/train/b.png", "images/val/c.png"],
        ["labels/train/a.txt", "labels/val/c.txt"],
        "names: [cat, dog]\n",
        {"train": 2, "val": 1},
    ),
    "in one folder a split": (
        ["train/a.png", "train/b.png", "val/c.png"],
        ["train/a.txt", "val/c.txt"],
        "train: train\nval: val\nnames: [cat, dog]\n",
        {"train": 2, "val": 1},
    ),
    "below a folder of their own": (
        ["cats/images/train/a.png", "cats/images/train/b.png", "cats/images/val/c.png"],
        ["cats/labels/train/a.txt", "cats/labels/val/c.txt"],
        "path: cats\ntrain: images/train\nval: images/val\nnames: [cat, dog]\n",
        {"train": 2, "val": 1},
    ),
}


@pytest.mark.parametrize(("images", "labels", "yaml", "wanted"), PLACES.values(), ids=PLACES)
def test_images_are_found_in_the_splits_that_data_yaml_names(
    write: Write, images: list[str], labels: list[str], yaml: str, wanted: dict[str, int]
):
    data = opened(write(*images, **{"data.yaml": yaml, **dict.fromkeys(labels, LINE)}))
    assert sizes(data) == wanted
    assert data.classes.names == ("background", "cat", "dog")
    assert [int(data.source("train").read_mask(i).sum()) for i in range(2)] == [16, 0]
    assert int(data.source("val").read_mask(0).sum()) == 16


def test_splits_may_be_lists_of_images(write: Write):
    root = write(
        "images/a.png",
        "images/b.png",
        "images/c.png",
        **{
            "coco.yaml": "path: .\ntrain: train.txt\nval: val.txt\nnames: [cat, dog]\n",
            "train.txt": "./images/a.png\n",
            "val.txt": "./images/b.png\n",
            "labels/a.txt": LINE,
            "labels/b.txt": LINE,
        },
    )
    folder = open_folder(root)
    assert {split: [pair.name for pair in pairs] for split, pairs in folder.reading.splits.items()} == {
        "train": ["a"],
        "val": ["b"],
    }
    assert folder.not_used() == ["images/c.png"]
    (root / "val.txt").write_text("./images/b.png\n./images/gone.png\n")
    with pytest.raises(ValueError, match=r"val.txt, line 2: an image that is not there"):
        open_folder(root, "yolo")


def test_label_studio_names_its_classes_in_a_list(write: Write):
    root = write("images/a.png", "images/b.png", **{"classes.txt": "cat\ndog\n", "labels/a.txt": LINE})
    data = opened(root)
    assert data.classes.names == ("background", "cat", "dog")
    assert data.folder.reading.splits.keys() == {""}


def test_numbers_that_are_left_out_keep_their_place(write: Write):
    root = write("images/a.png", **{"data.yaml": "names: {0: cat, 2: dog}", "labels/a.txt": "2" + LINE[1:]})
    data = opened(root)
    assert data.classes.names == ("background", "cat", "class 1", "dog")
    assert int(data.folder.reading.pairs[0].mask.read(100, None).max()) == 3


def test_a_name_for_the_background_or_one_that_stands_twice(write: Write):
    root = write("images/a.png", **{"data.yaml": "names: [background, cat, cat]", "labels/a.txt": LINE})
    data = opened(root)
    assert data.classes.names == ("no object", "background", "cat")
    assert dict(data.classes.values) == {0: 0, 1: 1, 2: 2, 3: 2}


def test_how_many_images_have_no_polygons_is_said(write: Write):
    root = write("images/a.png", "images/b.png", "images/c.png", **{"d.yaml": YAML, "labels/a.txt": LINE})
    (root / "labels/b.txt").touch()
    note = "2 of 3 images have no polygons, such as images/b.png: all background, as YOLO takes them"
    assert open_folder(root).reading.notes == [note]


def test_a_test_without_any_labels_is_left_out_and_a_training_without_any_is_an_error(write: Write):
    yaml = YAML + "test: images/test\n"
    texts = {"data.yaml": yaml, "labels/train/a.txt": LINE, "labels/val/b.txt": LINE}
    root = write("images/train/a.png", "images/val/b.png", "images/test/c.png", **texts)
    assert [path.name for path in open_folder(root).reading.unlabelled] == ["c.png"]
    (root / "labels/train/a.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"images/train/a.png has no mask"):
        sizes(opened(root))


def test_a_folder_that_data_yaml_names_and_that_is_not_there_is_an_error(write: Write):
    root = write("images/train/a.png", **{"data.yaml": YAML, "labels/train/a.txt": LINE})
    with pytest.raises(FileNotFoundError, match=r"images/val is in a list, but not there"):
        sizes(opened(root))


def test_one_folder_for_training_and_validation_is_refused(write: Write):
    yaml = "train: images\nval: images\nnames: [cat, dog]"
    root = write("images/a.png", **{"data.yaml": yaml, "labels/a.txt": LINE})
    with pytest.raises(ValueError, match="stands in train and in val: leave it in one of them"):
        sizes(opened(root))


def test_masks_that_lie_there_come_first(write: Write):
    root = write("images/train/a.png", "images/val/b.png", **{"data.yaml": YAML, "labels/train/a.txt": LINE})
    for name in ("train/a", "val/b"):
        (root / "masks" / name).parent.mkdir(parents=True)
        Image.new("L", (8, 4)).save(root / f"masks/{name}.png")
    assert open_folder(root).reading.layout == "home"
    assert [reading.layout for reading in open_folder(root).readings] == ["home"]
    assert open_folder(root, "yolo").reading.layout == "yolo"


@pytest.mark.parametrize("text", ["0 0.5 0.5 0.2 0.2\n", ""])
def test_boxes_alone_are_no_masks(write: Write, text: str):
    root = write("images/train/a.png", "images/val/b.png", **{"data.yaml": YAML, "labels/train/a.txt": text})
    with pytest.raises(FileNotFoundError, match="no image has a mask"):
        open_folder(root)


def test_splits_csv_may_name_text_files_and_those_that_need_not_be_there(write: Write):
    root = write("images/a.png", "images/b.png", **{"data.yaml": YAML, "labels/a.txt": LINE})
    (root / "splits.csv").write_text(
        "image,mask,split\nimages/a.png,labels/a.txt,train\nimages/b.png,labels/b.txt,val\n"
    )
    data = opened(root)
    assert data.folder.reading.layout == "splits_csv"
    assert sizes(data) == {"train": 1, "val": 1}
    assert int(data.source("train").read_mask(0).sum()) == 16
    assert int(data.source("val").read_mask(0).sum()) == 0
    (root / "splits.csv").write_text(
        "image,mask,split\nimages/a.png,labels/a.txt,train\nimages/b.png,other/b.txt,val\n"
    )
    with pytest.raises(FileNotFoundError, match=r"other/b.txt: there is no such file"):
        sizes(opened(root))


BAD = {
    "a box among polygons": ("0 0.5 0.5 0.2 0.2", r"line 2: a box \(5 numbers\), which is no mask"),
    "two points": ("0 .1 .1", "line 2: 3 numbers: expected a polygon"),
    "a confidence at the end": ("0 .1 .1 .2 .1 .2 .2 .93", "line 2: 8 numbers: expected a polygon"),
    "words": ("cat .1 .1 .2 .1 .2 .2", "line 2: no numbers: expected a polygon"),
    "a class beyond the names": (
        "2 .1 .1 .2 .1 .2 .2",
        "line 2: class 2: the 2 names .* are those of 0 to 1",
    ),
    "half a class": ("0.5 .1 .1 .2 .1 .2 .2", "line 2: class 0.5"),
    "a class below": ("-1 .1 .1 .2 .1 .2 .2", "line 2: class -1"),
    "no number": ("0 nan .1 .2 .1 .2 .2", "line 2: the coordinate nan: expected fractions"),
    "infinity": ("0 inf .1 .2 .1 .2 .2", "line 2: the coordinate inf"),
    "pixels": ("0 12 .1 .2 .1 .2 .2", "line 2: the coordinate 12: expected fractions of the image's width and height"),
    "far outside": ("0 -3 .1 .2 .1 .2 .2", "line 2: the coordinate -3"),
}


@pytest.mark.parametrize(("line", "problem"), BAD.values(), ids=BAD)
def test_a_line_that_is_no_polygon_is_named(write: Write, line: str, problem: str):
    texts = {"data.yaml": YAML, "labels/train/a.txt": f"{LINE}{line}\n"}
    root = write("images/train/a.png", "images/val/b.png", **texts)
    with pytest.raises(ValueError, match=rf"labels/train/a\.txt: {problem}"):
        opened(root).source("train").read_mask(0)


def test_a_point_a_little_outside_is_cut_off_and_blank_lines_are_none():
    ((value, ring),) = polygons_in("\n 0 -0.01 0 1.02 0 1.02 1\r\n\n", 1)
    assert (value, ring.tolist()) == (1, [[-0.01, 0], [1.02, 0], [1.02, 1]])


def test_a_turned_photo_is_labelled_as_it_is_shown(write: Write):
    root = write("images/train/a.png", "images/val/b.png", **{"data.yaml": YAML, "labels/train/a.txt": LINE})
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", (8, 4)).save(root / "images/train/a.png", exif=exif)  # shown as 4 x 8
    mask = opened(root).source("train").read_mask(0)
    assert mask.nonzero().min(0).values.tolist() == [2, 1]
    assert mask.nonzero().max(0).values.tolist() == [5, 2]
