"""The mask of an image in several files, one for each class."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segtrain.data.files.by_class import ClassMask, Painted, marked_pixels
from segtrain.errors import UserError

MOST = 10_000  # pixels


def save(path: Path, pixels: np.ndarray | Image.Image) -> Path:
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(path)
    return path


def region(rows: int, columns: int, white: int = 255) -> np.ndarray:
    """(4, 6), marked in the upper left corner."""
    mask = np.zeros((4, 6), np.uint8)
    mask[:rows, :columns] = white
    return mask


def painted(folder: Path, *masks: np.ndarray) -> Painted:
    """Classes 1, 2, ... in the order of these masks."""
    files = tuple((save(folder / f"x_{i}.png", mask), i) for i, mask in enumerate(masks, 1))
    return ClassMask(folder / "x_*.png", files).painted(MOST)


def test_each_class_is_where_its_file_is_not_0(tmp_path: Path):
    left, right = region(4, 2), region(4, 6) - region(4, 4)
    values, overlap = painted(tmp_path, left, right // 255)  # 0 and 255 beside 0 and 1
    assert values.tolist() == 4 * [[1, 1, 0, 0, 2, 2]]
    assert (values.dtype, overlap) == (np.uint8, 0)


@pytest.mark.parametrize("turned", [False, True])
def test_the_smaller_area_of_an_image_is_on_top(tmp_path: Path, turned: bool):
    large, small = region(3, 5), region(2, 2)
    order = (small, large) if turned else (large, small)
    values, overlap = painted(tmp_path, *order)
    top, below = (1, 2) if turned else (2, 1)
    assert values.tolist() == [*(2 * [[top, top, below, below, below, 0]]), [below] * 5 + [0], [0] * 6]
    assert overlap == 4


def test_of_three_classes_the_smallest_is_on_top_whatever_the_order(tmp_path: Path):
    values, overlap = painted(tmp_path, region(2, 2), region(4, 6), region(3, 3))
    assert values.tolist() == [[1, 1, 3, 2, 2, 2], [1, 1, 3, 2, 2, 2], [3, 3, 3, 2, 2, 2], [2] * 6]
    assert overlap == 9


def test_a_class_may_have_several_files_whose_areas_count_together(tmp_path: Path):
    one, two = save(tmp_path / "x_car_1.png", region(4, 3)), save(tmp_path / "x_car_2.png", region(1, 6))
    other = save(tmp_path / "x_road.png", region(4, 2) + region(4, 6) - region(4, 4))
    mask = ClassMask(tmp_path / "x_*.png", ((one, 1), (other, 2), (two, 1)))
    assert mask.read(MOST, None).tolist() == [[1] * 6, *(3 * [[1, 1, 1, 0, 2, 2]])]  # 15 pixels over 16
    assert (mask.by_value(), mask.size(MOST)) == ({1: [one, two], 2: [other]}, (4, 6))


def test_the_file_of_the_background_paints_nothing(tmp_path: Path):
    car, back = save(tmp_path / "x_car.png", region(2, 2)), save(tmp_path / "x_background.png", region(4, 6))
    painted = ClassMask(tmp_path / "x_*.png", ((back, 0), (car, 1))).painted(MOST)
    assert (painted.values.sum(), painted.overlap) == (4, 0)
    alone = ClassMask(tmp_path / "x_*.png", ((back, 0),))
    assert not alone.read(MOST, "values").any()


def test_values_above_255_take_16_bits(tmp_path: Path):
    mask = ClassMask(tmp_path / "x_*.png", ((save(tmp_path / "x_a.png", region(1, 1)), 300),))
    values = mask.read(MOST, None)
    assert (values.dtype, values[0, 0]) == (np.uint16, 300)


def palette(mask: np.ndarray) -> Image.Image:
    image = Image.fromarray(mask * np.uint8(3))
    image.putpalette([0, 0, 0] * 3 + [200, 0, 0])
    return image


STORED: dict[str, Callable[[np.ndarray], np.ndarray | Image.Image]] = {
    "0 and 1": lambda mask: mask,
    "0 and 255": lambda mask: mask * 255,
    "1 bit": lambda mask: Image.fromarray(mask * 255).convert("1"),
    "a palette": palette,
    "black and red": lambda mask: np.stack([mask * 200, mask * 0, mask * 0], -1),
    "16 bits": lambda mask: mask * np.uint16(40_000),
    "with alpha": lambda mask: Image.fromarray(mask * 255).convert("RGBA"),
}


@pytest.mark.parametrize("stored", STORED.values(), ids=STORED)
def test_what_is_not_0_is_marked_however_it_is_stored(tmp_path: Path, stored: Callable[[np.ndarray], np.ndarray]):
    mask = region(2, 3, 1)
    assert (marked_pixels(save(tmp_path / "x.png", stored(mask)), MOST) == mask).all()


def test_jpeg_and_soft_edges_are_cut_in_the_middle(tmp_path: Path):
    mask = np.zeros((64, 64), np.uint8)
    mask[10:40, 16:50] = 255
    save(tmp_path / "x.jpg", mask)
    soft = Image.fromarray(mask).resize((32, 32), Image.Resampling.BICUBIC).resize((64, 64), Image.Resampling.BICUBIC)
    save(tmp_path / "soft.png", soft)
    for name in ("x.jpg", "soft.png"):
        assert ((marked_pixels(tmp_path / name, MOST) > 0) != (mask > 0)).mean() < 0.02


@pytest.mark.parametrize("empty", [0, 255])
def test_a_mask_of_one_value_marks_nothing_or_all(tmp_path: Path, empty: int):
    assert (marked_pixels(save(tmp_path / "x.png", np.full((3, 3), empty, np.uint8)), MOST) == bool(empty)).all()


COLOURS = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0]], np.uint8)
SEVERAL: dict[str, tuple[np.ndarray, str]] = {
    "values": (region(2, 2, 1) + region(3, 3, 1), "it holds 0, 1, 2: a mask of one class holds 0 and one other value"),
    "no 0": (region(2, 2, 1) + 1, "it holds 1, 2"),
    "a void beside 1": (np.where(region(1, 6) > 0, 255, region(2, 2, 1)).astype(np.uint8), "it holds 0, 1, 255"),
    "colours": (COLOURS[region(2, 2, 1) + region(3, 3, 1)], "it holds #000000, #00FF00, #FF0000"),
    "many": (np.arange(24, dtype=np.uint8).reshape(4, 6), r"it holds 0, 1, 2, 3, 4 and 19 more"),
}


@pytest.mark.parametrize(("mask", "said"), SEVERAL.values(), ids=SEVERAL)
def test_a_file_of_several_values_is_no_mask_of_one_class(tmp_path: Path, mask: np.ndarray, said: str):
    with pytest.raises(UserError, match=rf"x_1\.png: {said}"):
        painted(tmp_path, mask)


def test_photos_and_levels_between_are_no_masks(tmp_path: Path):
    rng = np.random.default_rng(0)
    photo = np.asarray(Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8)).resize((64, 64)))
    steps = np.repeat(np.arange(8, dtype=np.uint8) * 36, 8)[None].repeat(64, 0)
    for pixels in (photo, steps):
        with pytest.raises(UserError, match="a mask of one class"):
            marked_pixels(save(tmp_path / "x.png", pixels), MOST)


def test_files_of_other_sizes_are_named(tmp_path: Path):
    with pytest.raises(UserError, match=r"x_2\.png: 5 x 3 pixels, but x_1\.png is 6 x 4"):
        painted(tmp_path, region(1, 1), np.zeros((3, 5), np.uint8))


def test_no_file_is_decoded_beyond_the_limit(tmp_path: Path):
    small, large = save(tmp_path / "a.png", region(1, 1)), save(tmp_path / "b.png", np.zeros((30, 40), np.uint8))
    for files in ((small, large), (large, small)):
        mask = ClassMask(tmp_path / "*.png", tuple((file, i) for i, file in enumerate(files, 1)))
        with pytest.raises(UserError, match=r"b\.png: 1200 pixels, more than data\.max_pixels=100"):
            mask.read(100, None)
