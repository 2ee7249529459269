"""Against tifffile's own writer, where it is installed; what needs no tifffile is tested in any case."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from segtrain.data.files.images import header, read_image, read_picture
from segtrain.data.files.masks import read_mask

RNG = np.random.default_rng(0)
MISSING = importlib.util.find_spec("tifffile") is None
needs_tifffile = pytest.mark.skipif(MISSING, reason="the extra tiff is not installed")


def pages(path: Path, *pictures: Image.Image) -> Path:
    pictures[0].save(path, save_all=True, append_images=pictures[1:])
    return path


def grey(size: tuple[int, int] = (5, 7)) -> Image.Image:
    return Image.fromarray(RNG.integers(0, 256, size, np.uint8))


def test_one_page_of_grey_or_colours_is_left_to_pillow(tmp_path: Path):
    picture = grey()
    assert read_image(pages(tmp_path / "x.tif", picture), channels=1)[0].tolist() == np.asarray(picture).tolist()
    assert header(pages(tmp_path / "y.tif", picture.convert("RGBA"))).channels == 3


def test_a_second_page_of_another_size_is_no_channel(tmp_path: Path):
    assert header(pages(tmp_path / "x.tif", grey(), grey((2, 3)))).channels == 1


def test_a_mask_of_several_pages_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match=r"x\.tif: 2 pages: a mask has one page"):
        read_mask(pages(tmp_path / "x.tif", grey(), grey()))


def test_a_limit_on_pixels_holds(tmp_path: Path):
    with pytest.raises(ValueError, match=r"x\.tif: 35 pixels, more than data\.max_pixels=30"):
        header(pages(tmp_path / "x.tif", grey(), grey()), 30)


@pytest.mark.skipif(not MISSING, reason="the extra tiff is installed")
def test_without_the_extra_it_is_named(tmp_path: Path):
    with pytest.raises(
        ValueError, match=r"x\.tif: 3 pages of 8 bits: reading these needs tifffile: pip install 'segtrain\[tiff\]'"
    ):
        header(pages(tmp_path / "x.tif", grey(), grey(), grey()))


@needs_tifffile
def test_pages_are_channels(tmp_path: Path):
    pictures = [grey() for _ in range(4)]
    path = pages(tmp_path / "x.tif", *pictures)
    assert header(path)[:4] == (5, 7, 4, 8)
    assert read_image(path, channels=4).tolist() == [np.asarray(picture).tolist() for picture in pictures]


@needs_tifffile
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [2, 4, 5, 12])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"tile": (16, 16)}, {"bigtiff": True}])
def test_any_number_of_channels(tmp_path: Path, kind: type, channels: int, planar: str, options: dict):
    import tifffile

    values = RNG.integers(0, np.iinfo(kind).max + 1, (channels, 21, 37)).astype(kind)
    stored = values if planar == "separate" else values.transpose(1, 2, 0)
    extra = [0] * (channels - 1)
    tifffile.imwrite(
        tmp_path / "x.tif", stored, photometric="minisblack", planarconfig=planar, extrasamples=extra, **options
    )
    assert header(tmp_path / "x.tif")[:4] == (21, 37, channels, 8 * values.itemsize)
    assert np.array_equal(read_image(tmp_path / "x.tif", channels=channels, bits=8 * values.itemsize), values)


@needs_tifffile
def test_alpha_is_no_channel_and_an_unspecified_one_is(tmp_path: Path):
    import tifffile

    values = RNG.integers(0, 256, (9, 8, 5), np.uint8)
    tifffile.imwrite(tmp_path / "x.tif", values, photometric="rgb", planarconfig="contig", extrasamples=[0, 2])
    assert header(tmp_path / "x.tif").channels == 4
    assert np.array_equal(read_image(tmp_path / "x.tif", channels=4), values[..., :4].transpose(2, 0, 1))


@needs_tifffile
def test_a_damaged_one_is_named(tmp_path: Path):
    import tifffile

    tifffile.imwrite(
        tmp_path / "x.tif", RNG.integers(0, 256, (64, 64, 5), np.uint8), photometric="minisblack", planarconfig="contig"
    )
    content = (tmp_path / "x.tif").read_bytes()
    for length in (len(content) - 5000, len(content) // 2):
        (tmp_path / "x.tif").write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"x\.tif: (damaged|not an image)"):
            read_image(tmp_path / "x.tif", channels=5)


@needs_tifffile
@pytest.mark.parametrize("name", ["int8", "int16", "int32", "uint32", "float16", "float32", "float64"])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("options", [{}, {"compression": "lzw", "predictor": True}])
def test_numbers_with_a_sign_or_fractions_are_read_exactly(tmp_path: Path, name: str, channels: int, options: dict):
    values = RNG.integers(0 if name == "uint32" else -100, 100, (21, 37, channels)).astype(name)
    write_bands(tmp_path / "x.tif", values, **options)
    head = header(tmp_path / "x.tif")
    kind = {"i": "signed", "u": "unsigned", "f": "float"}[values.dtype.kind]
    assert (head.stored, head.depth) == ((kind, 8 * values.itemsize, channels), 32)
    image = read_image(tmp_path / "x.tif", channels=channels, bits=32)
    assert image.dtype == torch.float32
    assert np.array_equal(image.permute(1, 2, 0), values)


def write_bands(path: Path, values: np.ndarray, nodata: str | None = None, **options: object) -> None:
    import tifffile

    channels = values.shape[2]
    if channels == 3:
        options["photometric"] = "rgb"
    else:
        options |= {"photometric": "minisblack", "extrasamples": [0] * (channels - 1)}
    if nodata is not None:
        options["extratags"] = [(42113, "s", 0, nodata, True)]
    stored = values[..., 0] if channels == 1 else values
    tifffile.imwrite(path, stored, planarconfig="contig" if channels > 1 else None, **options)


@needs_tifffile
def test_nan_and_infinity_are_no_data(tmp_path: Path):
    values = np.full((4, 5, 3), 2.0, np.float32)
    values[0, 0, 1], values[1, 1], values[2, 2, 0] = np.nan, np.inf, -np.inf
    write_bands(tmp_path / "x.tif", values)
    picture = read_picture(tmp_path / "x.tif", channels=3, bits=32)
    assert picture.valid is not None
    assert np.argwhere(~picture.valid.numpy()).tolist() == [[0, 0], [1, 1], [2, 2]]
    assert picture.pixels.unique().tolist() == [2.0]  # filled with the mean of the others


@needs_tifffile
@pytest.mark.parametrize(
    ("name", "nodata", "marked"),
    [
        ("uint8", "0", [[1, 1]]),  # an ordinary value: all channels have to hold it
        ("uint16", "0", [[1, 1]]),
        ("int16", "0", [[0, 0], [1, 1]]),
        ("float32", "0.0", [[0, 0], [1, 1]]),
        ("uint8", "-9999", None),  # which no pixel can be
        ("uint8", "none", None),
    ],
)
def test_the_number_that_gdal_notes_is_no_data(tmp_path: Path, name: str, nodata: str, marked: list | None):
    values = np.full((4, 5, 3), 7, name)
    values[0, 0, 1], values[1, 1] = 0, 0
    write_bands(tmp_path / "x.tif", values, nodata)
    picture = read_picture(tmp_path / "x.tif", channels=3, bits=header(tmp_path / "x.tif").depth)
    found = None if picture.valid is None else np.argwhere(~picture.valid.numpy()).tolist()
    assert found == marked
    if marked is not None:
        assert picture.pixels[:, 1, 1].tolist() == [7, 7, 7]


@needs_tifffile
def test_complex_numbers_are_refused_by_their_name(tmp_path: Path):
    import tifffile

    tifffile.imwrite(tmp_path / "x.tif", np.ones((4, 4), np.complex64))
    with pytest.raises(ValueError, match=r"x\.tif: numbers of 64 bits, complex: images have 8, 16 or 32 bits"):
        header(tmp_path / "x.tif")


@needs_tifffile
def test_a_tile_that_is_larger_than_its_image_counts_whole(tmp_path: Path):
    import tifffile

    path = tmp_path / "x.tif"
    tifffile.imwrite(
        path, np.zeros((5, 7, 5), np.uint8), photometric="minisblack", tile=(4096, 4096), compression="zlib"
    )
    with pytest.raises(ValueError, match=r"x\.tif: 16777216 pixels, more than data\.max_pixels=1000"):
        read_image(path, 1000, channels=5)
