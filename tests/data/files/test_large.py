"""An image that is decoded in parts against the same image read as a whole, in files that tifffile writes."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from segtrain.data.files import large
from segtrain.data.files.images import header, read_picture
from segtrain.errors import UserError

tifffile = pytest.importorskip("tifffile")
RNG = np.random.default_rng(0)
SIZE = 53, 77  # of no multiple of a tile
MOST = 1 << 20  # pixels
ENTIRE = slice(None)


def numbers(kind: Any, channels: int) -> np.ndarray:
    """(H, W, channels)"""
    if np.dtype(kind).kind == "f":
        return RNG.normal(0, 100, (*SIZE, channels)).astype(kind)
    return RNG.integers(0, np.iinfo(kind).max, (*SIZE, channels), kind)


def write(path: Path, pixels: np.ndarray, *, nodata: str = "", planar: str = "contig", **options: Any) -> Path:
    """Channels that are more than three have no colours; a single one is grey."""
    channels = pixels.shape[2]
    if channels == 1:
        pixels = pixels[..., 0]
    elif planar == "separate":
        pixels = pixels.transpose(2, 0, 1)
    if channels > 1:
        options = {"planarconfig": planar, **options}
    photometric = "rgb" if channels == 3 else "minisblack"
    extra = [0] * (channels - 1) if channels not in (1, 3) else None
    tags = [(42113, "s", 0, nodata, True)] if nodata else []
    tifffile.imwrite(
        path, pixels, photometric=photometric, extrasamples=extra, extratags=tags, metadata=None, **options
    )
    return path


def both(path: Path, channels: int, monkeypatch: pytest.MonkeyPatch) -> large.ImageInParts:
    """The image in parts, after it was compared with the whole."""
    monkeypatch.setattr(large, "AT_ONCE", 20_000)  # so that it is gone through in several bands
    bits = header(path).depth
    whole, parts = (
        read_picture(path, MOST, channels=channels, bits=bits),
        large.open_in_parts(path, MOST, channels=channels, bits=bits),
    )
    assert parts is not None
    assert parts.shape == (1, *whole.pixels.shape)
    for rows, columns in (
        (ENTIRE, ENTIRE),
        (slice(5, 40), ENTIRE),
        (slice(16, 33), slice(15, 65)),
        (slice(50, 99), slice(1)),
    ):
        expected = whole.pixels[None, :, rows, columns]
        assert parts[..., rows, columns].dtype == expected.dtype
        assert torch.equal(parts[..., rows, columns], expected)
    assert (parts.valid is None) == (whole.valid is None)
    assert whole.valid is None or torch.equal(parts.valid, whole.valid)
    assert np.array_equal(parts.preview, whole.preview[:3])
    assert np.array_equal(parts.thinned(4), whole.pixels[:3, ::4, ::4].numpy())
    assert parts.nbytes == whole.pixels.nbytes
    assert parts.to(torch.device("meta"))[..., ENTIRE, ENTIRE].device.type == "meta"
    assert np.array_equal(np.sort(parts.values()), np.sort(whole.values()))  # less pixels than are a sample
    return parts


LAYOUTS = {
    "one strip": {},
    "strips": {"rowsperstrip": 7, "compression": "zlib"},
    "rows": {"rowsperstrip": 1},
    "tiles": {"tile": (16, 32)},
    "LZW": {"tile": (32, 16), "compression": "lzw", "predictor": True},
    "zstd": {"tile": (16, 16), "compression": "zstd"},
    "big-endian": {"tile": (16, 16), "byteorder": ">"},
    "BigTIFF": {"tile": (16, 16), "bigtiff": True},
    "big-endian strip": {"byteorder": ">"},
}


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_parts_are_those_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: dict[str, Any], kind: type, channels: int
):
    both(write(tmp_path / "a.tif", numbers(kind, channels), **layout), channels, monkeypatch)


@pytest.mark.parametrize("layout", [{}, {"tile": (16, 16)}, {"rowsperstrip": 5, "compression": "zlib"}])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_channels_may_lie_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type, layout: dict[str, Any]):
    for channels in (3, 4):
        both(write(tmp_path / "a.tif", numbers(kind, channels), planar="separate", **layout), channels, monkeypatch)


def test_channels_may_be_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pixels = numbers(np.uint16, 4)
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for channel in range(4):
            file.write(pixels[..., channel], photometric="minisblack", tile=(16, 16), metadata=None)
    both(tmp_path / "a.tif", 4, monkeypatch)


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int16, np.uint32])
def test_numbers_with_a_sign_or_with_fractions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type):
    both(write(tmp_path / "a.tif", numbers(kind, 2), tile=(16, 16), compression="zlib"), 2, monkeypatch)


def test_pixels_without_data_are_filled_with_the_mean_of_all_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pixels = numbers(np.float32, 2)
    pixels[40:, 20:] = np.nan
    pixels[3, 4, 0] = -9999
    parts = both(write(tmp_path / "a.tif", pixels, nodata="-9999", tile=(16, 16)), 2, monkeypatch)
    assert int((~parts.valid).sum()) == 13 * 57 + 1
    pixels = numbers(np.uint8, 3)
    pixels[:, 60:] = 0
    parts = both(write(tmp_path / "b.tif", pixels, nodata="0", tile=(16, 16)), 3, monkeypatch)
    assert int((~parts.valid).sum()) >= 53 * 17


def test_grey_is_repeated_and_of_many_channels_the_first_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    both(write(tmp_path / "a.tif", numbers(np.uint8, 1), tile=(16, 16)), 3, monkeypatch)
    both(write(tmp_path / "b.tif", numbers(np.uint16, 5), tile=(16, 16)), 4, monkeypatch)


def test_alpha_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pixels = numbers(np.uint8, 4)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extrasamples=[2], tile=(16, 16), metadata=None)
    both(tmp_path / "a.tif", 3, monkeypatch)


@pytest.mark.parametrize("photometric", ["rgb", "minisblack"])
def test_tiles_may_be_jpegs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photometric: str):
    pixels = numbers(np.uint8, 3 if photometric == "rgb" else 1)
    both(write(tmp_path / "a.tif", pixels, tile=(16, 16), compression="jpeg"), pixels.shape[2], monkeypatch)


def test_tiles_that_are_not_in_the_file_hold_no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = write(tmp_path / "a.tif", np.full((*SIZE, 4), 9, np.uint8), nodata="7", tile=(32, 32))
    with tifffile.TiffFile(path, mode="r+") as file:
        for tag in (324, 325):  # offsets and sizes
            there = file.pages[0].tags[tag]
            there.overwrite((0, *there.value[1:]))
    parts = both(path, 4, monkeypatch)
    assert parts.valid is not None
    assert not parts.valid[:32, :32].any()
    assert parts.valid[:, 32:].all()


@pytest.mark.parametrize(
    "options",
    [{"photometric": "miniswhite"}, {"photometric": "minisblack", "extratags": [(274, "H", 1, 6, True)]}],
    ids=["white is 0", "turned"],
)
def test_what_pillow_converts_is_read_as_a_whole(tmp_path: Path, options: dict[str, Any]):
    tifffile.imwrite(tmp_path / "a.tif", numbers(np.uint8, 1)[..., 0], tile=(16, 16), metadata=None, **options)
    assert large.open_in_parts(tmp_path / "a.tif", MOST, channels=1, bits=8) is None


def test_a_compressed_strip_of_the_whole_image_has_no_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(large, "AT_ONCE", 1000)
    path = write(tmp_path / "a.tif", numbers(np.uint8, 3), compression="zlib", rowsperstrip=53)
    assert large.open_in_parts(path, MOST, channels=3, bits=8) is None


@pytest.mark.parametrize("layout", [{"tile": (16, 16), "compression": "zlib"}, {"tile": (16, 16)}, {}])
def test_a_damaged_part_is_an_error_in_one_line(tmp_path: Path, layout: dict[str, Any]):
    path = write(tmp_path / "a.tif", numbers(np.uint8, 3), **layout)
    content = bytearray(path.read_bytes())
    if "compression" in layout:
        with tifffile.TiffFile(path) as file:
            start = file.pages[0].dataoffsets[9]
        content[start + 8 : start + 200] = bytes(192)
    else:
        del content[-300:]
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.tif: damaged image: ") as error:
        large.open_in_parts(path, MOST, channels=3, bits=8)
    assert "\n" not in str(error.value)


def test_a_limit_on_pixels_holds(tmp_path: Path):
    path = write(tmp_path / "a.tif", numbers(np.uint8, 3), tile=(16, 16))
    with pytest.raises(UserError, match=r"a\.tif: 4081 pixels, more than data\.max_pixels=4000"):
        large.open_in_parts(path, 4000, channels=3, bits=8)


READ = """
import sys
import subprocess
import sys
from pathlib import Path
from segtrain.data.files.images import read_picture
from segtrain.data.files.large import open_in_parts

def peak():
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return 1024 * int(line.split()[1])

before, path, options = peak(), Path("a.tif"), {"channels": 3, "bits": 8}
if sys.argv[1] == "whole":
    read_picture(path, 1 << 40, **options)
else:
    image = open_in_parts(path, 1 << 40, **options)
    for top in range(0, image.size[0], 500):
        image[..., slice(top, top + 500), slice(None)]
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak of the memory is what Linux counts")
def test_an_image_in_parts_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    size, tile = (24_000, 6_000), np.arange(480_000, dtype=np.uint32).astype(np.uint8).reshape(400, 400, 3)
    tiles = (tile for _ in range(60 * 15))
    kind = {"shape": (*size, 3), "dtype": np.uint8, "tile": (400, 400), "photometric": "rgb", "compression": "zlib"}
    tifffile.imwrite(tmp_path / "a.tif", tiles, **kind)
    peaks = {}
    for how in ("parts", "whole"):
        command = [sys.executable, "-c", READ, how]
        done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True, timeout=300)
        peaks[how] = int(done.stdout)
    assert peaks["parts"] < 3 * size[0] * size[1] < peaks["whole"]
