"""What is said of folders in which no image has a mask."""

import time
from pathlib import Path

import pytest

from segtrain.data.layouts.choice import open_folder
from segtrain.data.layouts.no_masks import beginning, no_masks_text

from .conftest import Grow

SAID = {
    "yolo polygons": ("l/1.txt", "0 .1 .1 .2 .1 .2 .2\n", "such as l/1.txt: YOLO polygons, without the data.yaml"),
    "yolo boxes": ("l/1.txt", "0 0.5 0.5 0.1 0.1\r\n3 .2 .2 .1 .1", "YOLO boxes, which are no masks"),
    "labelme": ("l/1.json", '{"shapes": [], "imagePath": "a.jpg"}', "LabelMe's polygons"),
    "VIA": ("via.json", '{"_via_settings": {}, "_via_img_metadata": {}}', "VIA's own JSON is not read: export COCO"),
    "supervisely": ("ann/1.jpg.json", '{"objects": [{"classTitle": "car"}]}', "Supervisely's JSON"),
    "label studio": ("p.json", '[{"annotations": [{"completed_by": 1}]}]', "Label Studio's own JSON"),
    "COCO boxes": ("a.json", '{"images": [], "annotations": [{"bbox": [1,2,3,4], "segmentation": []}]}', "COCO boxes"),
    "COCO": (
        "a.json",
        '{"images": [{"file_name": "far/1.jpg"}], "annotations": [{"segmentation": [[1,2]]}]}',
        "COCO annotations of images such as 'far/1.jpg', which lie in no folder here",
    ),
    "VOC": ("Annotations/1.xml", "<annotation><object><bndbox/></object></annotation>", "VOC's XML holds boxes"),
    "CVAT": ("annotations.xml", '<annotations><image><polygon points=""/></image></annotations>', "CVAT's XML"),
    "volumes": ("masks/1.nii.gz", "", "1 .nii.gz such as masks/1.nii.gz: volumes are not read"),
    "JPEG 2000": ("T32_B04.JP2", "", "1 .jp2 such as T32_B04.JP2: JPEG 2000 is not read: convert it to TIFF"),
    "an outline on a map": ("a.geojson", "{}", "gdal_rasterize"),
}


@pytest.mark.parametrize(("path", "text", "said"), SAID.values(), ids=SAID)
@pytest.mark.parametrize("with_images", [True, False])
def test_annotations_are_named_with_the_way_on(grow: Grow, path: str, text: str, said: str, with_images: bool):
    tree = grow(*(["images/train/1.jpg"] if with_images else []), "README.md", **{path: text})
    message = no_masks_text(tree)
    assert said in message
    assert ("no image has a mask: 1 picture" if with_images else "no images found, but ") in message
    assert "\n" not in message


def test_one_name_of_each_side_is_shown_where_the_names_do_not_match(grow: Grow):
    tree = grow("train/images/61148fa0-a.jpg", "train/masks/task-100-by-1.png", "val/masks/task-2.png")
    message = no_masks_text(tree)
    assert "1 image (1 in train/images) such as train/images/61148fa0-a.jpg" in message
    assert "2 masks (1 in train/masks, 1 in val/masks) such as train/masks/task-100-by-1.png" in message
    assert "whose names do not match" in message
    assert "splits.csv with the header image,mask,split" in message


def test_several_masks_for_an_image_in_its_folder_are_said(grow: Grow):
    tree = grow("im0/img.png", "im0/mask_1.png", "im1/img.png", "im1/mask_1.png", "im1/mask_2.png")
    with pytest.raises(FileNotFoundError, match=r"im1 holds several for one image, which .* into im1/masks and"):
        open_folder(tree.root)


def test_notes_and_licences_are_counted_and_no_more(grow: Grow):
    message = no_masks_text(grow("a/1.png", "LICENSE", **{"notes.txt": "taken in 2020\n", "meta.json": "{}"}))
    assert "; 1 files, 1 .json, 1 .txt; expected" in message.replace("1 .txt, 1 .json", "1 .json, 1 .txt")


def test_no_pattern_takes_longer_than_a_pass(grow: Grow):
    """A megabyte of what each pattern begins with."""
    length = 1 << 19
    texts = {
        "1.txt": "\n" * length + "0 " * length,
        "2.txt": "0 .1" * (length // 4) + "x",
        "1.json": '"segmentation":' + "[" * length + " " * length,
        "2.json": '"images""annotations""file_name"' + " " * length,
        "1.xml": "<polygon" * (length // 8),
        "1.csv": "bbox_xmin" * (length // 8),
    }
    start = time.monotonic()
    no_masks_text(grow("1.png", **texts))
    assert time.monotonic() - start < 5


def test_what_is_no_file_is_not_read(tmp_path: Path):
    (tmp_path / "a.txt").symlink_to("/dev/zero")
    assert beginning(tmp_path / "a.txt") == b""
    assert beginning(tmp_path / "nothing") == b""
