import colorsys
import sys
import time
import tracemalloc

import pytest
import torch

from segtrain.data import ShapesData
from segtrain.data.batches import cache
from segtrain.data.shapes import CLASSES, VOID, ShapesSource


def shapes(**changes: object) -> ShapesData:
    settings = {"size": [64, 80], "train": 30, "val": 5, "test": 5, "variant": 0, "crop": [64, 64], "batch_size": 4}
    return ShapesData(**settings | {"workers": 0} | changes)


def test_an_image_is_a_function_of_variant_split_and_index():
    once, again, other = shapes(), shapes(), shapes(variant=1)
    first = once.source("train").read(3)
    assert all(torch.equal(a, b) for a, b in zip(first, again.source("train").read(3), strict=True))
    for image, mask in (other.source("train").read(3), once.source("val").read(3), once.source("train").read(4)):
        assert not torch.equal(first[0], image)
        assert not torch.equal(first[1], mask)


def test_images_and_masks_have_the_size_asked_for():
    image, mask = shapes().source("test").read(0)
    assert image.shape == (3, 64, 80)
    assert image.dtype == torch.uint8
    assert mask.shape == (64, 80)


def test_every_class_and_void_occur():
    data = shapes()
    masks = torch.stack([data.source("train").read(i)[1] for i in range(30)])
    assert masks.unique().tolist() == [*range(len(CLASSES["classes"])), VOID]


def test_each_kind_has_its_typical_hue_and_some_shapes_are_not_typical():
    data, right, kinds = shapes(train=150), 0, 0
    for i in range(150):
        image, mask = data.source("train").read(i)
        for kind in range(1, 6):
            if (mask == kind).sum() > 30:
                color = image[:, mask == kind].float().mean(1) / 255
                hue = colorsys.rgb_to_hsv(*color.tolist())[0]
                right += round(5 * hue) % 5 == kind - 1
                kinds += 1
    assert 0.9 < right / kinds < 1


def test_shapes_of_tiny_images_are_drawn_too():
    image, mask = shapes(size=[8, 8], crop=[8, 8]).source("train").read(0)
    assert image.shape == (3, 8, 8)
    assert mask.shape == (8, 8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": 0}, r"data\.train=0: expected 1 to 1000000 images"),
        ({"train": 10**12}, r"data\.train=1000000000000: expected 1 to 1000000 images"),
        ({"val": -1}, r"data\.val=-1: expected 1 to"),
        ({"test": 10**7}, r"data\.test=10000000: expected 1 to"),
        ({"size": [10**6, 10**6]}, r"data\.size=\[1000000, 1000000\]: up to 16777216 pixels are drawn"),
        ({"size": [0, 8]}, r"data\.size=\[0, 8\]: expected height and width"),
        ({"size": [8] * 10**6}, r"data\.size=\[8, 8, 8\]: expected height and width"),
        ({"variant": -1}, r"data\.variant=-1: expected 0 or more"),
    ],
)
def test_absurd_numbers_are_refused_before_they_take_memory(changes: dict, message: str):
    tracemalloc.start()
    try:
        started = time.monotonic()
        with pytest.raises(ValueError, match=message):
            shapes(**changes)
        assert time.monotonic() - started < 1
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("room", [0, 1 << 40])
def test_what_is_drawn_again_and_again_is_kept_where_it_takes_little_memory(monkeypatch: pytest.MonkeyPatch, room: int):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(cache, "memory", lambda: room)
    data = shapes(size=[9, 7], train=3, val=2, test=2)
    assert [source.cache is not None for source in data.splits.values()] == [room > 0, room > 0, False]
    drawn = ShapesSource(0, 3, [9, 7], 0)
    for _ in range(2):
        for ours, other in zip(data.source("train").read(2), drawn.read(2), strict=True):
            assert torch.equal(ours, other)
