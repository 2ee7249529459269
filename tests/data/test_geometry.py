import colorsys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segtrain.data import Augment
from segtrain.data.sampler import SAMPLE, generator

STILL = {"scale": [1.0, 1.0], "flip": 0.0, "brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}
VOID = 255


def aligned(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A mask of 16 x 16 blocks of classes 0..3, and an image that is 60 times its mask."""
    rows, columns = torch.meshgrid(torch.arange(height) // 16, torch.arange(width) // 16, indexing="ij")
    mask = ((rows + 2 * columns) % 4).to(torch.uint8)
    return (60 * mask + 20).repeat(3, 1, 1), mask


def drawn(augment: Augment, image: torch.Tensor, mask: torch.Tensor, crop: tuple[int, int], key: int = 0):
    return augment.geometry(image, mask, crop=crop, void=VOID, rng=generator(0, SAMPLE, key))


def test_a_crop_of_the_images_size_at_scale_one_is_the_image():
    image, mask = aligned(32, 48)
    cropped, cropped_mask = drawn(Augment(**STILL), image, mask, (32, 48))
    assert torch.equal(cropped, image)
    assert torch.equal(cropped_mask, mask)


def test_a_flip_turns_image_and_mask():
    image, mask = aligned(32, 48)
    cropped, cropped_mask = drawn(Augment(**STILL | {"flip": 1.0}), image, mask, (32, 48))
    assert torch.equal(cropped, image.flip(-1))
    assert torch.equal(cropped_mask, mask.flip(-1))


def test_a_crop_larger_than_the_image_is_filled_with_black_and_void():
    image, mask = aligned(10, 12)
    cropped, cropped_mask = drawn(Augment(**STILL), image, mask, (20, 30))
    inside = cropped_mask != VOID
    assert int(inside.sum()) == 10 * 12
    assert torch.equal(cropped_mask[inside], mask.flatten())
    assert torch.equal(cropped[0][inside], image[0].flatten())
    assert int(cropped[:, ~inside].sum()) == 0


@settings(max_examples=200, deadline=None)
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    crop=st.tuples(st.integers(1, 50), st.integers(1, 50)),
    low=st.floats(0.2, 1.0),
    key=st.integers(0, 10**12),
)
def test_no_mask_value_is_invented_and_image_and_mask_stay_aligned(
    height: int, width: int, crop: tuple[int, int], low: float, key: int
):
    image, mask = aligned(height, width)
    cropped, cropped_mask = drawn(Augment(**STILL | {"scale": [low, 2.5], "flip": 0.5}), image, mask, crop, key)
    assert cropped.shape == (3, *crop)
    assert cropped_mask.shape == crop
    assert set(cropped_mask.unique().tolist()) <= {*mask.unique().tolist(), VOID}
    inside = cropped_mask != VOID
    error = (cropped[0].int() - 60 * cropped_mask.int() - 20).abs()[inside]
    # Off by more than half a class only where two blocks meet: within a pixel or two of their edges.
    assert (error > 30).float().mean() < 0.5 if low > 0.5 and min(crop) > 16 and error.numel() else True


def test_a_large_image_stays_aligned_at_every_scale():
    image, mask = aligned(128, 160)
    augment = Augment(**STILL | {"scale": [0.5, 2.0], "flip": 0.5})
    for key in range(50):
        cropped, cropped_mask = drawn(augment, image, mask, (96, 96), key)
        inside = cropped_mask != VOID
        wrong = ((cropped[0].int() - 60 * cropped_mask.int() - 20).abs() > 30)[inside]
        assert wrong.float().mean() < 0.15  # the edges between blocks alone


def test_the_draw_is_a_function_of_the_key():
    image, mask = aligned(64, 64)
    augment = Augment(**STILL | {"scale": [0.5, 2.0], "flip": 0.5})
    once, again, other = (drawn(augment, image, mask, (32, 32), key)[0] for key in (3, 3, 4))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)


def test_without_changes_the_colour_matrix_is_the_identity():
    matrix = Augment(**STILL).color(3, generator(0, SAMPLE, 0))
    assert matrix.shape == (3, 4)
    torch.testing.assert_close(matrix, torch.eye(3, 4), atol=1e-6, rtol=0)


def test_greys_stay_grey_under_saturation_and_hue():
    augment = Augment(**STILL | {"saturation": 0.9, "hue": 0.5})
    for key in range(20):
        grey = augment.color(3, generator(0, SAMPLE, key)) @ torch.tensor([0.4, 0.4, 0.4, 1.0])
        torch.testing.assert_close(grey, torch.full((3,), 0.4), atol=1e-3, rtol=0)


def test_hue_turns_the_colour_circle_as_colorsys_does():
    matrix = Augment(**STILL | {"hue": 0.2}).color(3, generator(0, SAMPLE, 1)).numpy()
    red = matrix @ np.array([0.6, 0.4, 0.4, 1.0])
    expected = 2 * np.pi * generator_hue(0.2)
    before, after = (np.array(colorsys.rgb_to_yiq(*c)) for c in ((0.6, 0.4, 0.4), red))
    turn = np.arctan2(after[2], after[1]) - np.arctan2(before[2], before[1])
    assert turn == pytest.approx(expected, abs=0.02)
    assert after[0] == pytest.approx(before[0], abs=0.005)


def generator_hue(limit: float) -> float:
    """The fourth number that `Augment.color` draws."""
    rng = generator(0, SAMPLE, 1)
    return [rng.uniform(-1e-9, 1e-9), rng.uniform(), rng.uniform(), rng.uniform(-limit, limit)][-1]


def test_contrast_and_brightness_work_on_any_number_of_channels():
    augment = Augment(**STILL | {"brightness": 0.2, "contrast": 0.3})
    matrix = augment.color(5, generator(0, SAMPLE, 0))
    assert matrix.shape == (5, 6)
    assert matrix[:, :5].count_nonzero() == 5


def test_an_impossible_scale_is_refused():
    with pytest.raises(ValueError, match=r"augment.scale=\[2.0, 0.5\]"):
        Augment(**STILL | {"scale": [2.0, 0.5]})
