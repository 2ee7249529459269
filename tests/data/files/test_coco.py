"""Masks from polygons and run lengths: by hand, against Pillow, and with files that lie."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from segtrain.data import FolderData
from segtrain.data.files import polygons
from segtrain.data.files.coco import decode, shape_of, unpacked
from segtrain.data.files.polygons import Drawn, PaintedMask, fill
from segtrain.data.layouts.choice import open_folder

SQUARE = [1.0, 1.0, 4.0, 1.0, 4.0, 3.0, 1.0, 3.0]  # of 3 x 2 pixels


def filled(points: Sequence[tuple[float, float]], height: int, width: int) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    fill(mask, np.array(points, np.float32), 1)
    return mask


def test_a_pixel_is_inside_if_its_centre_is():
    assert filled([(1, 1), (4, 1), (4, 3), (1, 3)], 4, 6).tolist() == [
        [0, 0, 0, 0, 0, 0],
        [0, 1, 1, 1, 0, 0],
        [0, 1, 1, 1, 0, 0],
        [0, 0, 0, 0, 0, 0],
    ]
    assert filled([(0, 0), (4, 0), (0, 4)], 4, 4).tolist() == [[1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]


def test_neighbours_that_share_an_edge_share_no_pixel_and_leave_none():
    left = filled([(0, 0), (3.3, 0), (5.7, 8), (0, 8)], 8, 10)
    right = filled([(3.3, 0), (10, 0), (10, 8), (5.7, 8)], 8, 10)
    assert (left + right == 1).all()


def test_what_lies_outside_the_image_is_cut_off():
    assert filled([(-50, -50), (2, -50), (2, 50), (-50, 50)], 3, 4).tolist() == [[1, 1, 0, 0]] * 3
    assert filled([(90, 0), (95, 0), (95, 3)], 3, 4).sum() == 0


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(-3, 20), st.integers(-3, 20)), min_size=3, max_size=8))
def test_polygons_are_those_of_pillow_but_for_its_outline(points: list[tuple[int, int]]):
    """Pillow draws at 15 times the size, where its outline, half a pixel wide, does not reach the centres."""
    scale, side = 15, 16
    big = Image.new("1", (side * scale, side * scale))
    ImageDraw.Draw(big).polygon([(x * scale, y * scale) for x, y in points], fill=1)
    theirs = np.asarray(big)[scale // 2 :: scale, scale // 2 :: scale]
    ours = filled(points, side, side) > 0
    near = np.zeros((side, side), bool)
    edges = Image.new("1", (side * scale, side * scale))
    ImageDraw.Draw(edges).line([(x * scale, y * scale) for x, y in [*points, points[0]]], fill=1, width=5)
    near = np.asarray(edges)[scale // 2 :: scale, scale // 2 :: scale]
    assert (ours == theirs)[~near].all()


def test_run_lengths_go_down_the_columns_and_begin_outside():
    mask = decode({"size": [2, 3], "counts": [1, 2, 3]}, (2, 3))
    assert mask.tolist() == [[False, True, False], [True, False, False]]


def packed(counts: list[int]) -> str:
    """As COCO writes run lengths: a number in groups of 5 bits, lowest first; from the third on as differences."""
    text = ""
    for i, count in enumerate(counts):
        number, more = count - (counts[i - 2] if i > 2 else 0), True
        while more:
            group, number = number & 31, number >> 5
            more = number != (-1 if group & 16 else 0)
            text += chr(48 + group + 32 * more)
    return text


def test_packed_run_lengths_by_hand():
    """6, 1, 40, 4, 5: the 40 takes two characters (8 and "more", then 1); 4 - 1 = 3; 5 - 40 = -35 takes two."""
    assert packed([6, 1, 40, 4, 5]) == "61X13mN"
    assert list(unpacked("61X13mN")) == [6, 1, 40, 4, 5]


@given(st.lists(st.integers(0, 10**6), max_size=30))
def test_packed_run_lengths_come_back(counts: list[int]):
    assert list(unpacked(packed(counts))) == counts


@pytest.mark.parametrize(
    ("shape", "problem"),
    [
        ({"size": [2, 3], "counts": [1, 2, 4]}, "run lengths of 7 pixels, expected 6"),
        ({"size": [2, 3], "counts": [-1, 7]}, "no list of whole numbers"),
        ({"size": [2, 3], "counts": [10**30]}, "no list of whole numbers"),
        ({"size": [2, 3], "counts": [1.5, 4.5]}, "no list of whole numbers"),
        ({"size": [3, 2], "counts": [6]}, r"of an image of \[3, 2\], expected \[2, 3\]"),
        ({"size": [2, 3], "counts": "é"}, "not COCO's"),
        ({"size": [2, 3], "counts": "o" * 99}, "not COCO's"),
        ({"size": [2, 3], "counts": "6X"}, "cut off"),
        ({"counts": [6]}, "of an image of None"),
    ],
)
def test_run_lengths_that_cannot_be_are_refused(shape: dict[str, Any], problem: str):
    with pytest.raises(ValueError, match=problem):
        decode(shape, (2, 3))


# --- files ------------------------------------------------------------------------------------------------------------

Write = Callable[..., Path]


@pytest.fixture
def annotated(tmp_path: Path) -> Write:
    """Writes images of 6 x 4 in train2017 and val2017 with their annotations/instances_*.json."""

    def write(
        annotations: list[dict[str, Any]] | None = None, images: dict[str, Any] | None = None, **changes: Any
    ) -> Path:
        for split in ("train", "val"):
            (tmp_path / f"{split}2017").mkdir(exist_ok=True)
            (tmp_path / "annotations").mkdir(exist_ok=True)
            for i in (1, 2):
                Image.new("RGB", (6, 4)).save(tmp_path / f"{split}2017/{i}.png")
            objects = [{"image_id": 1, "category_id": 7, "segmentation": [SQUARE]}]
            entries = [{"id": i, "file_name": f"{i}.png", "height": 4, "width": 6} | (images or {}) for i in (1, 2)]
            names = [{"id": 9, "name": "dog"}, {"id": 7, "name": "cat"}]
            content = {"images": entries, "annotations": objects if annotations is None else annotations}
            content |= {"categories": names} | changes
            (tmp_path / f"annotations/instances_{split}2017.json").write_text(json.dumps(content))
        return tmp_path

    return write


def opened(root: Path, **changes: Any) -> FolderData:
    return FolderData(root=str(root), classes=None, crop=[4, 4], batch_size=1, workers=0, **changes)


def test_coco_is_read_with_its_splits_names_and_images_without_objects(annotated: Write):
    data = opened(annotated())
    assert {split: len(source) for split, source in data.splits.items()} == {"train": 2, "val": 2}
    assert data.classes.names == ("background", "cat", "dog")  # in the order of their ids
    assert data.source("train").read_mask(0).tolist() == [[0] * 6, [0, 1, 1, 1, 0, 0], [0, 1, 1, 1, 0, 0], [0] * 6]
    assert data.source("train").read_mask(1).sum() == 0


def test_a_small_object_stays_visible_on_a_large_one_in_any_order(annotated: Write):
    small = {"image_id": 1, "category_id": 7, "segmentation": [SQUARE]}
    large = {"image_id": 1, "category_id": 9, "segmentation": {"size": [4, 6], "counts": [0, 24]}}
    for both in ([small, large], [large, small]):
        mask = opened(annotated(both)).source("train").read_mask(0)
        assert mask.unique(return_counts=True)[1].tolist() == [6, 18]


def test_in_the_order_of_the_file_the_last_object_is_on_top(annotated: Write):
    large = {"image_id": 1, "category_id": 9, "segmentation": {"size": [4, 6], "counts": packed([0, 24])}}
    root = annotated([{"image_id": 1, "category_id": 7, "segmentation": [SQUARE]}, large])
    assert (opened(root, order="file").source("train").read_mask(0) == 2).all()
    assert (opened(root, order="area").source("train").read_mask(0) == 1).sum() == 6


def test_an_export_with_a_json_file_beside_its_images_is_read(annotated: Write):
    root = annotated()
    for split, name in (("train", "train"), ("val", "valid")):
        (root / f"{split}2017").rename(root / name)
        (root / f"annotations/instances_{split}2017.json").rename(root / name / "_annotations.coco.json")
    assert {split: len(source) for split, source in opened(root).splits.items()} == {"train": 2, "val": 2}


def test_categories_of_one_name_are_one_class(annotated: Write):
    names = [{"id": 0, "name": "cat"}, {"id": 7, "name": "cat"}, {"id": 9, "name": "background"}]
    assert opened(annotated(categories=names)).classes.names == ("no object", "cat", "background")


def test_a_description_may_name_the_json_file_as_the_mask(annotated: Write):
    root = annotated()
    rows = [f"{s}2017/{i}.png,annotations/instances_{s}2017.json,{s}" for s in ("train", "val") for i in (1, 2)]
    (root / "splits.csv").write_text("\n".join(["image,mask,split", *rows]))
    data = opened(root)
    assert data.folder.reading.layout == "splits_csv"
    assert data.source("val").read_mask(0).sum() == 6


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "a claimed size": ({"images": {"height": 10**6, "width": 10**6}}, "is 1000000 x 1000000 pixels, but its image"),
    "a box among polygons": (
        {"annotations": [{"image_id": i, "category_id": 7, "segmentation": [[SQUARE], []][i % 2]} for i in (1, 2)]},
        "without polygon",
    ),
    "two points": (
        {"annotations": [{"image_id": 1, "category_id": 7, "segmentation": [[1, 1, 2, 2]]}]},
        "a polygon of 2 points",
    ),
    "two categories of one id": (
        {"categories": [{"id": 7, "name": "cat"}, {"id": "7", "name": "dog"}]},
        "the categories 'dog' and 'cat' have one id, '7'",
    ),
    "two images of one id": ({"images": {"id": 1}}, "two images have the id '1'"),
    "annotations of other images": (
        {"annotations": [{"image_id": 9, "category_id": 7, "segmentation": [SQUARE]}]},
        "no annotation belongs to an image: no image has the id of the first, '9'",
    ),
    "an image that is listed twice": ({"images": {"file_name": "1.png"}}, "1.png is listed twice: keep one entry"),
    "words as a polygon": (
        {"annotations": [{"image_id": 1, "category_id": 7, "segmentation": [["a"]]}]},
        "without poly",
    ),
    "odd coordinates": (
        {"annotations": [{"image_id": 1, "category_id": 7, "segmentation": [[1, 2, 3]]}]},
        "without poly",
    ),
    "infinity": (
        {"annotations": [{"image_id": 1, "category_id": 7, "segmentation": [[float("inf"), 1, 2, 3, 4, 5]]}]},
        "coordinates that are no numbers",
    ),
    "a category that is not listed": (
        {"annotations": [{"image_id": 1, "category_id": 8, "segmentation": [SQUARE]}]},
        "category '8', which is not",
    ),
    "damaged run lengths": (
        {"annotations": [{"image_id": 1, "category_id": 7, "segmentation": {"size": [4, 6], "counts": "6X"}}]},
        r"instances_train2017\.json: 1\.png: run lengths in a text that is cut off",
    ),
    "no list": ({"categories": {}}, "expected a list 'categories'"),
    "a name for terminals": ({"categories": [{"id": 7, "name": "\x1b[2J"}]}, "printable characters"),
}


@pytest.mark.parametrize(("changes", "problem"), BAD.values(), ids=BAD)
def test_what_cannot_be_is_refused_in_one_line(annotated: Write, changes: dict[str, Any], problem: str):
    annotations = changes.pop("annotations", None)
    root = annotated(annotations, **changes)
    with pytest.raises(ValueError, match=problem):
        opened(root).source("train").read_mask(0)


def test_boxes_alone_are_no_masks(annotated: Write):
    root = annotated([{"image_id": 1, "category_id": 7, "bbox": [1, 1, 3, 2], "segmentation": []}])
    with pytest.raises(FileNotFoundError, match="COCO boxes, which are no masks"):
        open_folder(root)


@pytest.mark.parametrize("number", ["1", 1.0])
def test_an_id_may_be_written_as_text_or_as_a_fraction(annotated: Write, number: object):
    root = annotated([{"image_id": number, "category_id": "7", "segmentation": [SQUARE]}])
    assert opened(root).source("train").read_mask(0).sum() == 6


def test_the_project_that_roboflow_lists_among_its_categories_is_no_class(annotated: Write):
    names = [
        {"id": 0, "name": "my-pets", "supercategory": "none"},
        {"id": 1, "name": "cat", "supercategory": "my-pets"},
        {"id": 2, "name": "dog", "supercategory": "my-pets"},
    ]
    data = opened(annotated([{"image_id": 1, "category_id": 2, "segmentation": [SQUARE]}], categories=names))
    assert data.classes.names == ("background", "cat", "dog")
    assert data.source("train").read_mask(0).unique(return_counts=True)[1].tolist() == [18, 6]
    assert int(data.source("train").read_mask(0).max()) == 2
    data = opened(annotated([{"image_id": 1, "category_id": 0, "segmentation": [SQUARE]}], categories=names))
    assert data.classes.names == ("background", "my-pets", "cat", "dog")  # it has an object


@pytest.mark.parametrize(("first", "others"), [("none", "none"), ("none", "animal"), (None, "animal"), ("", "animal")])
def test_a_project_need_not_be_the_kind_of_others(annotated: Write, first: str | None, others: str):
    names = [
        {"id": 0, "name": "my-pets", "supercategory": first},
        {"id": 1, "name": "cat", "supercategory": others},
        {"id": 2, "name": "dog", "supercategory": others},
    ]
    data = opened(annotated([{"image_id": 1, "category_id": 2, "segmentation": [SQUARE]}], categories=names))
    assert data.classes.names == ("background", "cat", "dog")
    assert int(data.source("train").read_mask(0).max()) == 2
    for entry in names:
        entry.pop("supercategory")  # of Label Studio's, which begin with 0 too, the first is as good as the others
    data = opened(annotated([{"image_id": 1, "category_id": 2, "segmentation": [SQUARE]}], categories=names))
    assert data.classes.names == ("background", "my-pets", "cat", "dog")


def test_a_category_without_objects_is_a_class_unless_it_is_the_kind_of_others(annotated: Write):
    names = [{"id": 7, "name": "cat", "supercategory": "cat"}, {"id": 9, "name": "dog", "supercategory": "animal"}]
    assert opened(annotated(categories=names)).classes.names == ("background", "cat", "dog")


ELSEWHERE = {
    "a mark in front": "images/0123abcd-{}.png",
    "an upload": "../../label-studio/data/media/upload/3/0123abcd-{}.png",
    "backslashes": "..\\..\\label-studio\\data\\media\\upload\\3\\{}.png",
    "an absolute path": "/home/someone/photos/{}.png",
    "a drive": "C:\\Users\\Some One\\{}.png",
    "an address": "https://example.com/photos/{}.png",
    "an address of a local file": "/data/local-files/?d=photos/{}.png",
    "a bucket": "s3://bucket/photos/{}.png",
    "escapes": "photos/%7B{}%7D.png",
}


@pytest.mark.parametrize("name", ELSEWHERE.values(), ids=ELSEWHERE)
def test_file_names_of_another_computer_are_found_by_their_ends(annotated: Write, name: str):
    root = annotated()
    for path in (root / "annotations").iterdir():
        content = json.loads(path.read_text())
        for entry in content["images"]:
            entry["file_name"] = name.format(entry["id"])
        path.write_text(json.dumps(content))
    if "%" in name:
        for path in root.glob("*2017/*.png"):
            path.rename(path.with_stem(f"{{{path.stem}}}"))
    data = opened(root)
    assert {split: len(source) for split, source in data.splits.items()} == {"train": 2, "val": 2}
    assert data.source("train").read_mask(0).sum() == 6
    (note,) = data.folder.reading.notes
    assert note.startswith("4 images lie elsewhere than their file_name says, such as ")


def test_a_mark_in_front_of_the_image_or_of_its_entry_may_be_lacking(annotated: Write):
    root = annotated()
    for path in root.glob("*2017/*.png"):
        path.rename(path.with_stem(f"0123abcd-{path.stem}"))
    data = opened(root)
    assert {split: len(source) for split, source in data.splits.items()} == {"train": 2, "val": 2}


def test_one_image_is_not_taken_for_two(annotated: Write):
    root = annotated(images={"file_name": "1.png"})
    path = root / "annotations/instances_train2017.json"
    content = json.loads(path.read_text())
    content["images"][1]["file_name"] = "night/1.png"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"1\.png is listed twice"):
        open_folder(root)


def test_annotations_of_images_that_are_not_listed_are_counted(annotated: Write):
    objects = [{"image_id": i, "category_id": 7, "segmentation": [SQUARE]} for i in (1, 8, 9)]
    assert open_folder(annotated(objects)).reading.notes == [
        "4 annotations belong to no image that is listed, and are not used"
    ]


def test_a_turned_photo_that_was_annotated_as_it_is_stored_is_named(annotated: Write):
    root = annotated()
    exif = Image.Exif()
    exif[274] = 8
    Image.new("RGB", (6, 4)).save(root / "train2017/1.png", exif=exif)
    with pytest.raises(ValueError, match=r"6 x 4 pixels, but its image .* is 4 x 6: its EXIF orientation \(8\)"):
        opened(root).source("train")


def test_images_outside_the_root_are_not_found(annotated: Write):
    root = annotated(images={"file_name": "../../secret.png"})
    Image.new("RGB", (6, 4)).save(root.parent / "secret.png")
    with pytest.raises(FileNotFoundError, match=r"no image has a mask|no images found"):
        open_folder(root)


def test_a_damaged_json_file_is_named(annotated: Write):
    root = annotated()
    path = root / "annotations/instances_val2017.json"
    path.write_text(path.read_text()[:-9])
    with pytest.raises(ValueError, match=r"instances_val2017\.json: damaged JSON"):
        open_folder(root)
    path.write_text('{"images": "annotations segmentation", "annotations": {"segmentation":' + "[" * 100_000)
    with pytest.raises(ValueError, match=r"instances_val2017\.json: damaged JSON"):
        open_folder(root)


def test_a_polygon_that_crosses_too_many_rows_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(polygons, "MAX_CROSSINGS", 100)
    with pytest.raises(ValueError, match="cross 104 rows, more than 100"):
        filled([(0, 0), (1, 13)] * 4, 13, 4)


def test_the_largest_value_decides_the_type(tmp_path: Path):
    Image.new("RGB", (6, 4)).save(tmp_path / "1.png")
    mask = PaintedMask(tmp_path / "a.json", tmp_path / "1.png", None, [Drawn(300, shape_of([SQUARE]))], "area")
    painted = mask.read(100, None)
    assert (painted.dtype, painted.max()) == (np.uint16, 300)
