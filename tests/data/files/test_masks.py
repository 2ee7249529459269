"""TIFF masks of numbers that Pillow does not read, written by tifffile."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from segtrain.data.files.masks import MaskFile, mask_size, read_mask
from segtrain.data.files.pair import Pair
from segtrain.data.survey.measure import examine_mask

VALUES = np.arange(35).reshape(5, 7)
WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "compressed": {"compression": "zlib"},
    "BigTIFF": {"bigtiff": True},
    "big-endian": {"byteorder": ">"},
    "tiles": {"tile": (16, 16)},
}


@pytest.mark.parametrize("how", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("kind", ["u1", "i2", "i4", "u4", "u8", "i8", "f2", "f4", "f8"])
def test_whole_numbers_of_any_type_are_read(tmp_path: Path, kind: str, how: dict[str, Any]):
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, VALUES.astype(kind), **how)
    assert read_mask(path).tolist() == VALUES.tolist()
    assert mask_size(path, 300) == (5, 7)
    facts = examine_mask(Pair("x", path, MaskFile(path)), 300)
    assert (facts.problem, facts.height, facts.width, facts.channels) == ("", 5, 7, 1)
    assert facts.counts == dict.fromkeys(range(35), 1)


def test_numbers_that_are_no_classes_are_refused(tmp_path: Path):
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, VALUES + 0.5)
    with pytest.raises(ValueError, match=r"x\.tif: numbers with fractions"):
        read_mask(path)
    tifffile.imwrite(path, VALUES - 1)
    assert "numbers from -1 to 33" in examine_mask(Pair("x", path, MaskFile(path)), 300).problem
    tifffile.imwrite(path, VALUES + 2**40)
    assert "a mask holds whole numbers from 0 to 65535" in examine_mask(Pair("x", path, MaskFile(path)), 300).problem


def test_too_many_pixels_and_large_tiles_are_not_decoded(tmp_path: Path):
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, VALUES)
    with pytest.raises(ValueError, match=r"x\.tif: 35 pixels, more than data\.max_pixels=34"):
        read_mask(path, 34)
    tifffile.imwrite(path, VALUES, tile=(4096, 4096), compression="zlib")
    with pytest.raises(ValueError, match="16777216 pixels, more than"):
        read_mask(path, 1000)


def test_a_damaged_file_is_named(tmp_path: Path):
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, VALUES, compression="zlib")
    content = path.read_bytes()
    for cut in (len(content) - 20, len(content) // 2, 100):
        path.write_bytes(content[:cut])
        with pytest.raises(ValueError, match=r"x\.tif: "):
            read_mask(path)
