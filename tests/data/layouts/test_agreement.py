"""Whether a few masks hold what the names of files promise."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segtrain.data.layouts.agreement import LOOKS, agreement, hold_classes, is_alike, likeness, some_images


def save(path: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def strip(start: int, end: int) -> np.ndarray:
    mask = np.zeros((4, 20), np.uint8)
    mask[:, start:end] = 255
    return mask


@pytest.mark.parametrize(
    ("both", "one", "other", "alike"),
    [
        (0, 10, 10, False),
        (9, 10, 10, True),
        (10, 10, 10, True),
        (6, 10, 10, False),  # 6 of 14
        (7, 10, 10, True),  # 7 of 13
        (10, 10, 20, False),  # one inside the other
        (9, 10, 18, False),  # 9 of 19
        (0, 0, 10, None),
    ],
)
def test_regions_are_alike_from_a_half_on_unless_one_is_a_part(both: int, one: int, other: int, alike: bool | None):
    assert (is_alike(both, one, other), is_alike(both, other, one)) == (alike, alike)


def test_likeness_is_that_of_all_images_together():
    a, b = strip(0, 10) > 0, strip(10, 20) > 0
    images = {"1": {"x": a, "y": a}, "2": {"x": b, "y": a, "z": None}, "3": {"x": b}}
    assert likeness(images) == [False]  # 40 of 120 pixels
    assert likeness({"1": images["1"]}) == [True]


def test_a_few_images_of_each_class_are_looked_at():
    files = {str(i): {"often": [Path()]} for i in range(20)} | {"x": {"often": [Path()], "once": [Path()]}}
    images = some_images(files)
    assert (images[0], len(images)) == ("x", LOOKS)


def test_masks_fit_where_each_holds_a_region_of_its_own(tmp_path: Path):
    one, other = save(tmp_path / "1.png", strip(0, 9)), save(tmp_path / "2.png", strip(8, 20))
    many = save(tmp_path / "3.png", np.arange(80, dtype=np.uint8).reshape(4, 20))
    assert agreement({"x": {"a": [one], "b": [other]}}) == ("fits", {"a", "b"})
    assert agreement({"x": {"a": [one], "b": [other], "c": [many]}}) == ("fits", {"a", "b"})
    assert agreement({"x": {"a": [one], "b": [one]}}) == ("unclear", {"a", "b"})
    assert agreement({"x": {"a": [one], "b": [many]}}) == ("differs", {"a"})
    assert agreement({"x": {"a": [tmp_path / "none.png"], "b": [one]}}) == ("differs", {"b"})
    assert agreement({"x": {"a": [one, other], "b": [other]}}) == ("fits", {"a", "b"})  # 12 columns within 20
    assert agreement({"x": {"a": [one], "b": [other], "c": [one]}}) == ("unclear", {"a", "b", "c"})


def test_more_than_two_values_are_classes(tmp_path: Path):
    two, three = (
        save(tmp_path / "2.png", strip(0, 9)),
        save(tmp_path / "3.png", strip(0, 9) // 255 + strip(3, 5) // 255),
    )
    assert hold_classes([two, three])
    assert not hold_classes([two, two, tmp_path / "none.png"])
