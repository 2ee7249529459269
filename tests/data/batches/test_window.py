from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from segtrain.data.batches.sampler import SAMPLE, generator
from segtrain.data.batches.window import Window, smooth

IMAGE = torch.tensor([[[1, 2, 3], [4, 5, 6]]], dtype=torch.uint8)


@pytest.mark.parametrize(
    ("crop", "expected", "orientation"),
    [
        ((2, 3), [[1, 2, 3], [4, 5, 6]], {}),
        ((2, 3), [[3, 2, 1], [6, 5, 4]], {"flip": True}),
        ((2, 3), [[4, 5, 6], [1, 2, 3]], {"flip_vertical": True}),
        ((2, 3), [[6, 5, 4], [3, 2, 1]], {"flip": True, "flip_vertical": True}),
        ((2, 3), [[6, 5, 4], [3, 2, 1]], {"turn": 2}),
        ((3, 2), [[3, 6], [2, 5], [1, 4]], {"turn": 1}),
        ((3, 2), [[4, 1], [5, 2], [6, 3]], {"turn": 3}),
        ((3, 2), [[6, 3], [5, 2], [4, 1]], {"turn": 1, "flip": True}),
    ],
)
@pytest.mark.parametrize("kind", [torch.uint8, torch.uint16, torch.float32])
def test_a_crop_is_turned_and_then_flipped_with_its_mask(
    crop: tuple[int, int], expected: list[list[int]], orientation: dict[str, bool | int], kind: torch.dtype
):
    window = Window((0, 0), (2, 3), **{"flip": False} | orientation)
    image, mask = window.cut(IMAGE.to(kind), IMAGE[0], crop=crop, void=255)
    assert image.dtype == kind
    assert image.is_contiguous()
    assert image[0].tolist() == expected
    assert mask.tolist() == expected


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("flip_vertical", [False, True])
def test_a_crop_is_a_mirror_image_where_going_round_it_goes_the_other_way(turn: int, flip: bool, flip_vertical: bool):
    window = Window((0, 0), (2, 2), flip, flip_vertical, turn)
    corners = torch.tensor([[0, 1], [3, 2]])  # clockwise
    crop = window.oriented(corners)
    clockwise = [int(crop[place]) for place in ((0, 0), (0, 1), (1, 1), (1, 0))]
    steps = {(after - before) % 4 for before, after in pairwise(clockwise)}
    assert steps == ({3} if window.mirrored else {1})


@settings(max_examples=200, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 40), st.integers(1, 40)),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    deep=st.booleans(),
    last=st.booleans(),
    seed=st.integers(0, 99),
)
def test_an_image_is_made_larger_and_smaller_as_pillow_does(
    shape: tuple[int, int, int], size: tuple[int, int], deep: bool, last: bool, seed: int
):
    values = generator(seed, SAMPLE, 0).integers(0, 65536 if deep else 256, shape)
    image = torch.from_numpy(values.astype(np.uint16 if deep else np.uint8))
    image = image.permute(1, 2, 0).contiguous().permute(2, 0, 1) if last else image  # as decoders give it
    found = smooth(image, list(size))
    for channel, before in zip(found, values, strict=True):
        expected = Image.fromarray(before.astype(np.float32)).resize(size[::-1], Image.Resampling.BILINEAR)
        assert np.abs(channel.numpy() - np.asarray(expected)).max() <= 1.1


def test_fractions_are_not_rounded_when_they_are_resized():
    image = torch.tensor([[[0.25, 0.75]]])
    assert smooth(image, [1, 1]).flatten().tolist() == pytest.approx([0.5])


@pytest.mark.parametrize(("kind", "fill"), [(torch.uint8, 128), (torch.uint16, 32768), (torch.float32, 0.5)])
def test_beyond_the_image_lies_what_is_low_in_the_data(kind: torch.dtype, fill: float):
    window = Window((-1, -1), (4, 4), flip=False)
    image, mask = torch.ones(1, 2, 2).to(kind), torch.zeros(2, 2, dtype=torch.uint8)
    image, mask = window.cut(image, mask, crop=(4, 4), void=255, low=(0.5,))
    assert image.dtype == kind
    assert image[0][mask == 255].float().unique().tolist() == [fill]
