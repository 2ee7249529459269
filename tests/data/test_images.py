from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segtrain.data import images
from segtrain.data.images import displayed_size, open_image, read_image, read_mask

RNG = np.random.default_rng(0)


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "LA"])
def test_every_mode_reads_as_three_channels(tmp_path: Path, mode: str):
    picture = Image.fromarray(RNG.integers(0, 256, (5, 7, 3), np.uint8)).convert(mode)
    image = read_image(saved(tmp_path / "x.png", picture))
    assert image.shape == (3, 5, 7)
    assert image.permute(1, 2, 0).numpy().tolist() == np.asarray(picture.convert("RGB")).tolist()


def test_sixteen_bit_grey_is_scaled_and_not_clipped(tmp_path: Path):
    picture = Image.fromarray(np.array([[0, 256, 65535]], np.uint16))
    assert read_image(saved(tmp_path / "x.png", picture))[0].tolist() == [[0, 1, 255]]


def test_exif_orientation_is_applied(tmp_path: Path):
    picture = Image.fromarray(RNG.integers(0, 256, (4, 6, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees
    path = saved(tmp_path / "x.png", picture, exif=exif)
    assert read_image(path).shape == (3, 6, 4)
    assert displayed_size(path) == (6, 4)
    assert read_image(path).permute(1, 2, 0).numpy().tolist() == np.rot90(np.asarray(picture), -1).tolist()


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palette_masks_are_their_indices_at_any_depth(tmp_path: Path, bits: int):
    indices = RNG.integers(0, 2**bits, (5, 9), np.uint8)
    picture = Image.fromarray(indices).convert("P")
    picture.putdata(indices.ravel().tolist())
    picture.putpalette(RNG.integers(0, 256, 3 * 2**bits, np.uint8).tobytes())
    assert read_mask(saved(tmp_path / "x.png", picture, bits=bits)).tolist() == indices.tolist()


def test_sixteen_bit_masks_keep_their_numbers(tmp_path: Path):
    values = np.array([[0, 300, 65535]], np.uint16)
    assert read_mask(saved(tmp_path / "x.png", Image.fromarray(values))).tolist() == values.tolist()


def test_colour_masks_lose_their_alpha_only(tmp_path: Path):
    colors = RNG.integers(0, 256, (3, 3, 3), np.uint8)
    opaque = np.dstack([colors, np.full((3, 3), 255, np.uint8)])
    assert read_mask(saved(tmp_path / "x.png", Image.fromarray(opaque))).tolist() == colors.tolist()


def test_a_text_file_is_no_image(tmp_path: Path):
    (tmp_path / "x.png").write_text("not a picture")
    with pytest.raises(ValueError, match=r"x.png: not an image that can be read"):
        open_image(tmp_path / "x.png")


@pytest.mark.parametrize("kept", [0, 20, 60, -8])
def test_a_truncated_file_is_named(tmp_path: Path, kept: int):
    path = saved(tmp_path / "x.png", Image.fromarray(RNG.integers(0, 256, (40, 40, 3), np.uint8)))
    path.write_bytes(path.read_bytes()[:kept] if kept != -8 else path.read_bytes()[:-600])
    with pytest.raises(ValueError, match=r"x\.png: (not an image|damaged)"):
        read_image(path)


def test_the_pixel_limit_is_checked_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = saved(tmp_path / "x.png", Image.new("L", (100, 100)))
    monkeypatch.setattr(images, "MAX_PIXELS", 9_999)
    with pytest.raises(ValueError, match=r"100 x 100 pixels, more than 9999"):
        open_image(path)
