import os
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import unescape

import numpy as np
import pytest

from segtrain.report.probabilities import Shares, in_npy, in_npz, in_tiff

RNG = np.random.default_rng(0)
NUMBERS = RNG.integers(0, 256, (7, 11, 3), np.uint8)


def write(file: Shares) -> None:
    """In parts of whole rows, and in others."""
    for area in np.s_[2:4, :], np.s_[4:7, 5:11], np.s_[0:2, 0:11], np.s_[4:7, 0:5]:
        file.write(area, NUMBERS[area])


def test_an_array_is_written_in_parts(tmp_path: Path):
    write(in_npy(tmp_path / "a.npy", NUMBERS.shape))
    assert np.array_equal(np.load(tmp_path / "a.npy"), NUMBERS)


def test_a_packed_array_is_written_in_parts_and_names_its_classes(tmp_path: Path):
    path = tmp_path / "a.npz"
    with in_npz(path, NUMBERS.shape, ["a", "b, c", "Straße"]) as shares:
        write(shares)
    with np.load(path) as packed:
        assert np.array_equal(packed["probabilities"], NUMBERS)
        assert packed["classes"].tolist() == ["a", "b, c", "Straße"]
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_left_of_a_packed_array_that_fails(tmp_path: Path):
    with pytest.raises(KeyboardInterrupt), in_npz(tmp_path / "a.npz", NUMBERS.shape, ["a", "b", "c"]):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_tiff_is_written_in_parts_and_names_its_bands(tmp_path: Path):
    tifffile = pytest.importorskip("tifffile")
    write(in_tiff(tmp_path / "a.tif", NUMBERS.shape, ["a", "b & c", "Straße"], None))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert np.array_equal(file.pages[0].asarray(), NUMBERS)
        text = file.pages[0].tags[42112].value
    items = ElementTree.fromstring(text)
    assert [(item.get("sample"), item.get("role")) for item in items] == [(str(i), "description") for i in range(3)]
    assert [unescape(item.text or "") for item in items] == ["a", "b & c", "Straße"]  # once more, as GDAL does


def test_a_tiff_of_more_than_4_gb_is_a_bigtiff(tmp_path: Path):
    tifffile = pytest.importorskip("tifffile")
    file = in_tiff(tmp_path / "a.tif", (1 << 16, 1 << 13, 10), ["x"] * 10, None)
    file.write(np.s_[-1:, -2:], np.full((1, 2, 10), 7, np.uint8))
    assert os.stat(tmp_path / "a.tif").st_blocks * 512 < 1 << 26  # what was not written takes no room
    with tifffile.TiffFile(tmp_path / "a.tif") as found:
        assert found.is_bigtiff
        assert tifffile.memmap(tmp_path / "a.tif", mode="r")[-1, -3:, 0].tolist() == [0, 7, 7]
