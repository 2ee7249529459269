from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segtrain.data.files.geotiff import place_of, world_file

KEYS = (1, 1, 0, 2, 1024, 0, 1, 1, 3072, 0, 1, 32632)
GEO = {  # tag: (tifffile's type, values)
    33550: ("d", (0.5, 0.5, 0.0)),
    33922: ("d", (0.0, 0.0, 0.0, 500000.0, 5400000.0, 0.0)),
    34735: ("H", KEYS),
    34736: ("d", (6378137.0, 298.257223563)),
    34737: ("s", "WGS 84 / UTM zone 32N|"),
}


def write(path: Path, image: np.ndarray, tags: dict[int, tuple[str, Any]], **options: Any) -> Path:
    tifffile = pytest.importorskip("tifffile")
    extra = [(tag, kind, len(values), values, True) for tag, (kind, values) in tags.items()]
    tifffile.imwrite(path, image, photometric="rgb", extratags=extra, metadata=None, **options)
    return path


@pytest.mark.parametrize(
    "options",
    [{}, {"bigtiff": True}, {"byteorder": ">"}, {"tile": (16, 16)}, {"compression": "zlib", "rowsperstrip": 8}],
    ids=["strips", "BigTIFF", "big-endian", "tiles", "compressed"],
)
def test_the_place_of_a_geotiff_comes_back_in_the_tags_of_a_mask(tmp_path: Path, options: dict[str, Any]):
    path = write(tmp_path / "a.tif", np.zeros((40, 30, 3), np.uint8), GEO, **options)
    place = place_of(path)
    assert place is not None
    mask = Image.fromarray(np.eye(40, 30, dtype=np.uint8))
    mask.save(tmp_path / "mask.tif", tiffinfo=place.for_mask(255), compression="tiff_adobe_deflate")
    with Image.open(tmp_path / "mask.tif") as written:
        assert {tag: written.tag_v2[tag] for tag in GEO} == {tag: values for tag, (_, values) in GEO.items()}
        assert 42113 not in written.tag_v2
        assert (np.asarray(written) == np.eye(40, 30)).all()


@pytest.mark.parametrize("matrix", [{34264: ("d", tuple(map(float, range(16))))}, {34735: ("H", KEYS)}])
def test_a_matrix_or_the_name_of_a_map_alone_is_a_place_too(tmp_path: Path, matrix: dict[int, Any]):
    place = place_of(write(tmp_path / "a.tif", np.zeros((4, 3, 3), np.uint8), matrix))
    assert place is not None
    assert {*place.for_mask(255)} == {*matrix}


def test_pixels_without_data_have_a_value_of_their_own_in_the_mask(tmp_path: Path):
    image = np.zeros((2, 2, 3), np.uint8)
    image[0, 0], image[0, 1] = (9, 9, 9), (9, 9, 8)
    place = place_of(write(tmp_path / "a.tif", image, {**GEO, 42113: ("s", "9")}))
    assert place is not None
    assert place.nodata == 9
    assert place.for_mask(255)[42113] == "255"


def test_other_files_have_no_place(tmp_path: Path):
    Image.new("RGB", (4, 3)).save(tmp_path / "plain.tif")
    Image.new("RGB", (4, 3)).save(tmp_path / "a.png")
    (tmp_path / "torn.tif").write_bytes((tmp_path / "plain.tif").read_bytes()[:20])
    turned = write(tmp_path / "turned.tif", np.zeros((4, 3, 3), np.uint8), {**GEO, 274: ("H", (6,))})
    for path in (tmp_path / "plain.tif", tmp_path / "a.png", tmp_path / "torn.tif", turned):
        assert place_of(path) is None


@pytest.mark.parametrize(
    ("image", "world"), [("a.tif", "a.tfw"), ("a.jpg", "a.jgw"), ("a.png", "a.wld"), ("b.JPG", "b.JGW")]
)
def test_the_world_file_of_an_image_is_found(tmp_path: Path, image: str, world: str):
    assert world_file(tmp_path / image) is None
    (tmp_path / world).write_text("0.5\n0\n0\n-0.5\n500000\n5400000\n")
    assert world_file(tmp_path / image) == tmp_path / world


MATRIX = (0.0, 2.0, 0.0, 100.0, -3.0, 0.0, 0.0, 200.0, *[0.0] * 8)
POINT = (1, 1, 0, 2, 1025, 0, 1, 2, 2048, 0, 1, 4326)


@pytest.mark.parametrize(
    ("tags", "matrix", "epsg"),
    [
        (GEO, [[0.5, 0, 500000], [0, -0.5, 5400000]], 32632),
        ({**GEO, 33922: ("d", (4.0, 2.0, 0.0, 10.0, 20.0, 0.0))}, [[0.5, 0, 8], [0, -0.5, 21]], 32632),
        ({**GEO, 34735: ("H", POINT)}, [[0.5, 0, 500000 - 0.25], [0, -0.5, 5400000 + 0.25]], 4326),
        ({34264: ("d", MATRIX)}, [[0, 2, 100], [-3, 0, 200]], None),
        ({34735: ("H", (1, 1, 0, 1, 3072, 0, 1, 32767))}, None, None),
        ({33922: ("d", tuple(map(float, range(12))))}, None, None),
        ({33550: ("d", (float("nan"), 1.0, 0.0)), 33922: GEO[33922]}, None, None),
        ({34735: ("H", (1, 1, 0)), 34264: ("d", (1.0, 2.0))}, None, None),
    ],
    ids=["size", "another point", "centres", "matrix", "own map", "points", "no number", "damaged"],
)
def test_pixels_have_coordinates_on_the_map(
    tmp_path: Path, tags: dict[int, Any], matrix: list[list[float]] | None, epsg: int | None
):
    place = place_of(write(tmp_path / "a.tif", np.zeros((4, 3, 3), np.uint8), tags))
    assert place is not None
    found = place.affine
    assert (None if found is None else found.tolist()) == matrix
    assert place.epsg == epsg
