"""LabelMe's JSON files: which image each belongs to, and what is painted."""

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from segtrain.data import FolderData
from segtrain.data.files import labelme
from segtrain.data.layouts.choice import open_folder

Annotate = Callable[..., Path]
Shape = dict[str, Any]


def shape(label: str, points: list[Any], kind: str | None = "polygon", **more: Any) -> Shape:
    return {"label": label, "points": points, "group_id": None, "shape_type": kind, "flags": {}, **more}


SQUARE = [[1, 1], [4, 1], [4, 3], [1, 3]]  # columns 1 to 3, rows 1 and 2


@pytest.fixture
def annotate(tmp_path: Path) -> Annotate:
    """Writes an image of 8 x 6 and its JSON file beside it, or elsewhere."""

    def write(image: str, *shapes: Shape, file: str | None = None, **changes: Any) -> Path:
        path, target = tmp_path / image, tmp_path / (file or image.rpartition(".")[0] + ".json")
        for parent in (path.parent, target.parent):
            parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 6), (len(image), sum(image.encode()) % 256, 3)).save(path)
        content = {"version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": path.name, "imageData": "AAAA"}
        content |= {"imageHeight": 6, "imageWidth": 8} | changes
        target.write_text(json.dumps(content))
        return tmp_path

    return write


def opened(root: Path, **settings: Any) -> FolderData:
    return FolderData(root=str(root), classes=None, crop=[4, 4], batch_size=1, workers=0, **settings)


def mask(root: Path, name: str = "a") -> np.ndarray:
    """The mask of an image, as class indices."""
    data = opened(root)
    pair = next(pair for pair in data.folder.reading.pairs if pair.name == name)
    return data.classes.encode(pair.mask.read(10_000, None))


def test_a_polygon_is_painted_and_the_classes_are_the_labels_of_all_files_in_order(annotate: Annotate):
    annotate("a.png", shape("zebra", SQUARE))
    root = annotate("b.png", shape("ant", SQUARE), shape("_background_", [[1, 1], [2, 1], [2, 3], [1, 3]]))
    assert opened(root).classes.names == ("background", "ant", "zebra")
    assert mask(root).tolist() == [[0] * 8, [0, 2, 2, 2, 0, 0, 0, 0], [0, 2, 2, 2, 0, 0, 0, 0], *[[0] * 8] * 3]
    assert mask(root, "b").tolist() == [[0] * 8, [0, 0, 1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0, 0, 0], *[[0] * 8] * 3]


def test_a_later_object_lies_on_top_however_large_it_is(annotate: Annotate):
    whole = shape("whole", [[0, 0], [8, 0], [8, 6], [0, 6]])
    assert np.unique(mask(annotate("a.png", shape("part", SQUARE), whole))).tolist() == [2]
    assert np.unique(mask(annotate("a.png", whole, shape("part", SQUARE)))).tolist() == [1, 2]


def test_what_is_to_be_ignored_is_void(annotate: Annotate):
    root = annotate("a.png", shape("ant", SQUARE), shape("__ignore__", [[1, 1], [2, 1], [2, 3], [1, 3]]))
    data = opened(root)
    assert data.classes.names == ("background", "ant")
    assert np.unique(mask(root), return_counts=True)[1].tolist() == [42, 4, 2]
    assert data.classes.void in mask(root)


SHAPES = {
    "no type": (shape("x", SQUARE, None), 6),
    "a rectangle": (shape("x", [[4, 3], [1, 1]], "rectangle"), 6),
    "a rectangle with four corners": (shape("x", SQUARE, "rectangle"), 6),
    "a turned rectangle": (shape("x", SQUARE, "rotation"), 6),
    "a circle": (shape("x", [[4, 3], [4, 1.3]], "circle"), 12),  # 4 + 8 centres nearer than 1.7
    "a line": (shape("x", [[-20, 3], [20, 3]], "line"), 48),  # 10 pixels wide
    "lines": (shape("x", [[-20, -3], [4, -3], [20, -3]], "linestrip"), 16),  # down to row 2
    "a point": (shape("x", [[-4, 3]], "point"), 4),  # of radius 5
}


@pytest.mark.parametrize(("drawn", "pixels"), SHAPES.values(), ids=SHAPES)
def test_each_type_of_shape_has_its_pixels(annotate: Annotate, drawn: Shape, pixels: int):
    assert int((mask(annotate("a.png", drawn)) == 1).sum()) == pixels


@pytest.mark.parametrize(("kind", "points"), [("circle", [[40, 40], [60, 50]]), ("line", [[10, 12], [60, 50]])])
def test_circles_and_lines_are_those_of_labelme_but_for_their_edges(kind: str, points: list[list[float]]):
    """As labelme/utils/shape.py draws them with Pillow."""
    drawn, image = np.zeros((80, 80), np.uint8), Image.new("L", (80, 80))
    labelme.shape_of(shape("x", points, kind)).paint(drawn, 1)
    (x0, y0), (x1, y1) = points
    if kind == "circle":
        radius = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
        ImageDraw.Draw(image).ellipse((x0 - radius, y0 - radius, x0 + radius, y0 + radius), fill=1)
    else:
        ImageDraw.Draw(image).line((x0, y0, x1, y1), fill=1, width=10)
    theirs = np.asarray(image)
    assert (drawn & theirs).sum() / (drawn | theirs).sum() > 0.85


def png(pixels: list[list[int]]) -> str:
    Image.fromarray(np.array(pixels, np.uint8) * 255).save(file := io.BytesIO(), "PNG")
    return base64.b64encode(file.getvalue()).decode()


def test_a_mask_is_put_in_its_place_and_cut_off_at_the_edges(annotate: Annotate):
    drawn = shape("x", [[6, 4], [8, 5]], "mask", mask=png([[1, 0, 1], [1, 1, 1]]))
    assert mask(annotate("a.png", drawn))[4:].tolist() == [[0, 0, 0, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 0, 1, 1]]
    drawn = shape("x", [[-1, -1], [1, 0]], "mask", mask=png([[1, 1, 1], [0, 1, 1]]))
    assert np.argwhere(mask(annotate("a.png", drawn))).tolist() == [[0, 0], [0, 1]]


def test_files_in_a_folder_of_their_own_and_splits(annotate: Annotate):
    for split, name in (("train", "a"), ("train", "b"), ("val", "a")):
        picture, file = f"images/{split}/{name}.jpg", f"labels/{split}/{name}.json"
        root = annotate(picture, shape("x", SQUARE), file=file, imagePath=f"..\\..\\images\\{split}\\{name}.jpg")
    reading = open_folder(root).reading
    assert reading.layout == "labelme"
    assert {split: [pair.name for pair in pairs] for split, pairs in reading.splits.items()} == {
        "train": ["a", "b"],
        "val": ["a"],
    }


def test_an_image_that_was_moved_or_converted_is_found_by_the_name_of_its_file(annotate: Annotate):
    root = annotate("images/a.png", shape("x", SQUARE), file="json/a.json", imagePath="D:\\photos\\a.bmp")
    assert [pair.image.name for pair in open_folder(root).reading.pairs] == ["a.png"]


def test_two_names_for_one_file_are_refused(annotate: Annotate):
    annotate("images/a.png", shape("x", SQUARE), file="json/a.json")
    root = annotate("images/b.png", shape("x", SQUARE), file="json/b.json", imagePath="a.png")
    with pytest.raises(ValueError, match=r"b\.json: `imagePath` in it names images/a\.png, its own name images/b\.png"):
        open_folder(root)


def test_two_files_for_one_image_are_refused(annotate: Annotate):
    annotate("a.png", shape("x", SQUARE))
    root = annotate("a.png", shape("x", SQUARE), file="old/a.json", imagePath="../a.png")
    with pytest.raises(ValueError, match=r"are both for a\.png: keep one of them"):
        open_folder(root)


def test_an_image_without_file_and_a_file_without_image_are_errors(annotate: Annotate):
    root = annotate("a.png", shape("x", SQUARE))
    Image.new("RGB", (8, 6)).save(root / "b.png")
    reading = open_folder(root).reading
    assert [path.name for path in reading.images] == ["b.png"]
    (root / "b.png").unlink()
    annotate("c.png", shape("x", SQUARE))
    (root / "c.png").unlink()
    assert [path.name for path in open_folder(root).reading.masks] == ["c.json"]


def test_splits_csv_may_name_the_files(annotate: Annotate):
    annotate("a.png", shape("x", SQUARE))
    root = annotate("b.png", shape("y", SQUARE))
    (root / "splits.csv").write_text("image,mask,split\na.png,a.json,train\nb.png,b.json,val\n")
    data = opened(root)
    assert data.folder.reading.layout == "splits_csv"
    assert {split: int(source.read_mask(0).sum()) for split, source in data.splits.items()} == {"train": 6, "val": 12}


def test_masks_that_lie_there_come_first(annotate: Annotate):
    for split in ("train", "val"):
        root = annotate(f"images/{split}/a.png", shape("x", SQUARE), imagePath="other.png")
        (root / "masks" / split).mkdir(parents=True)
        Image.new("L", (8, 6)).save(root / f"masks/{split}/a.png")
    assert open_folder(root).reading.layout == "home"


BAD = {
    "two corners": ([shape("x", [[1, 1], [2, 2]])], {}, "a polygon of 2 points"),
    "words": ([shape("x", ["a", "b"])], {}, "a 'polygon' without points that are numbers"),
    "three dimensions": ([shape("x", [[1, 2, 3], [4, 5, 6], [7, 8, 8]])], {}, "a 'polygon' without points|of 2 points"),
    "no number": ([shape("x", [[1, float("nan")], [2, 2], [3, 1]])], {}, "without points that are numbers"),
    "infinity": ([shape("x", [[1, 1], [float("inf"), 2], [3, 1]], "circle")], {}, "a 'circle' without points"),
    "far away": ([shape("x", [[1, 1], [1e30, 2], [3, 1]])], {}, "coordinates that are no numbers up to"),
    "a huge number": ([shape("x", [[1, 1], [10**400, 2], [3, 1]])], {}, "without points that are numbers"),
    "an unknown type": ([shape("x", SQUARE, "cuboid")], {}, "a shape of the type 'cuboid' with 4 points"),
    "a mask of other size": (
        [shape("x", [[0, 0]], "mask", mask=png([[1] * 99]))],
        {},
        r"a mask that is no PNG of this image: .*99 pixels",
    ),
    "a mask that is no PNG": ([shape("x", [[0, 0]], "mask", mask="AAAA")], {}, "a mask that is no PNG"),
    "a mask that is no text": ([shape("x", [[0, 0]], "mask", mask=7)], {}, "not written as base64"),
    "another size": ([shape("x", SQUARE)], {"imageHeight": 60, "imageWidth": 80}, "80 x 60 pixels, but its image"),
    "shapes that are text": ("abc", {}, "expected a list 'shapes' of mappings"),
    "a name for terminals": ([shape("\x1b[2J", SQUARE)], {}, "printable characters"),
}


@pytest.mark.parametrize(("shapes", "changes", "problem"), BAD.values(), ids=BAD)
def test_what_cannot_be_is_refused_in_one_line(annotate: Annotate, shapes: Any, changes: dict[str, Any], problem: str):
    annotate("train/b.png", shape("x", SQUARE))
    annotate("val/c.png", shape("x", SQUARE))
    root = annotate("train/a.png", **{"shapes": shapes, **changes})
    with pytest.raises(ValueError, match=problem) as refusal:
        opened(root).source("train").read_mask(0)
    assert "\n" not in str(refusal.value)


def test_a_turned_photo_that_was_labelled_as_it_is_stored_is_named(annotate: Annotate):
    annotate("val/b.png", shape("x", SQUARE))
    root = annotate("train/a.png", shape("x", SQUARE))
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", (8, 6)).save(root / "train/a.png", exif=exif)
    with pytest.raises(ValueError, match=r"its EXIF orientation \(6\) turns it, the mask was made for the pixels"):
        opened(root).source("train")
    with pytest.raises(ValueError, match=r"its EXIF orientation \(6\) turns it"):
        open_folder(root).reading.splits["train"][0].mask.read(1000, None)
