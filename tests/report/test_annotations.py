import io
import json
from typing import Any

import numpy as np
import pytest

from segtrain.data.files.coco import decode
from segtrain.report.annotations import Annotations, annotations, geojson, run_lengths
from segtrain.report.outlines import area, regions
from tests.report.test_page import table_of

CLASSES = table_of(["background", "cell", "<b>"])
MASK = np.array([[0, 1, 1, 1, 2], [0, 1, 0, 1, 2], [0, 1, 1, 1, 0]])


def written(mask: np.ndarray) -> dict[str, Any]:
    file = io.StringIO()
    result = Annotations(file, CLASSES)
    result.add("empty.png", (2, 3), [])
    result.add("a.png", (mask.shape[0], mask.shape[1]), [region for region in regions(mask) if region.value])
    result.end()
    return json.loads(file.getvalue())


def test_all_images_are_in_one_file_with_classes_as_categories():
    content = written(MASK)
    assert content["categories"] == [{"id": 1, "name": "cell"}, {"id": 2, "name": "<b>"}]
    assert content["images"][1] == {"id": 2, "file_name": "a.png", "height": 3, "width": 5}
    cell, other = content["annotations"]
    assert (cell["id"], cell["image_id"], cell["category_id"], cell["iscrowd"]) == (1, 2, 1, 0)
    assert (cell["area"], cell["bbox"]) == (8, [1, 0, 3, 3])
    assert cell["segmentation"] == {"size": [3, 5], "counts": [3, 4, 1, 4, 3]}
    (ring,) = other["segmentation"]
    assert sorted(zip(ring[::2], ring[1::2], strict=True)) == [(4, 0), (4, 2), (5, 0), (5, 2)]


def test_a_file_without_images_is_one_too(tmp_path):
    with annotations(tmp_path / "coco.json", CLASSES):
        pass
    assert json.loads((tmp_path / "coco.json").read_text())["annotations"] == []


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (9, 7), (30, 40)])
def test_run_lengths_are_read_back_as_the_region(size: tuple[int, int]):
    mask = np.random.default_rng(size[0]).integers(0, 2, size)
    again = np.full(size, 99)
    for region in regions(mask):
        counts = run_lengths(region.rings, size)
        assert min(counts[1:]) > 0
        inside = decode({"size": list(size), "counts": counts}, size)
        again[inside] = region.value
    assert (again == mask).all()


def test_polygons_on_a_map_go_around_as_the_standard_says():
    found = [region for region in regions(MASK) if region.value]
    text = geojson(found, CLASSES, lambda points: points * [10.0, -10.0] + [500.0, 900.0], 32632)
    content = json.loads(text)
    assert content["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::32632"
    cell = content["features"][0]
    assert cell["properties"] == {"class": "cell", "class_id": 1, "pixels": 8}
    outer, hole = (np.array(ring) for ring in cell["geometry"]["coordinates"])
    assert (outer[0] == outer[-1]).all()
    assert (area(outer[:-1] - outer[0]), area(hole[:-1] - hole[0])) == (900, -100)
    assert (outer.min(0).tolist(), outer.max(0).tolist()) == ([510, 870], [540, 900])
    assert "crs" not in json.loads(geojson([], CLASSES, lambda points: points, None))
