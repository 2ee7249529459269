import colorsys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from segtrain.data import Augment
from segtrain.data.batches.augment import fitting_crop
from segtrain.data.batches.window import smooth
from segtrain.data.batches.sampler import SAMPLE, generator
from segtrain.data.files.pictures import Span

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


SIDES = st.integers(1, 90)


def places(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """An image and a mask that both say in each pixel where it is: the row in one channel, the column in the other."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return (256 * torch.stack([rows, columns])).to(torch.uint16), torch.stack([rows, columns]).to(torch.int16)


@settings(max_examples=300, deadline=None)
@given(
    size=st.tuples(SIDES, SIDES),
    crop=st.tuples(st.integers(1, 50), st.integers(1, 50)),
    scale=st.tuples(st.floats(0.05, 8), st.floats(0.05, 8)).map(sorted),
    flip=st.floats(0, 1),
    shrink=st.booleans(),
    key=st.integers(0, 10**12),
)
def test_image_and_mask_stay_aligned_at_any_size_and_draw(
    size: tuple[int, int], crop: tuple[int, int], scale: list[float], flip: float, shrink: bool, key: int
):
    image, where = places(*size)
    augment = Augment(**STILL | {"scale": scale, "flip": flip})
    window = augment.window(size, crop=crop, rng=generator(0, SAMPLE, key))
    if shrink:
        window = window.snapped(crop, size)
        blocks = [side // window.shrink * window.shrink for side in size]
        image = torch.nn.functional.avg_pool2d(image.float()[:, : blocks[0], : blocks[1]], window.shrink)
        image = image.round().to(torch.uint16)
    for axis in (0, 1):
        cropped, mask = window.cut(image[axis : axis + 1], where[axis], crop=crop, void=-1)
        assert cropped.shape == (1, *crop)
        assert mask.shape == crop
        inside = mask != -1
        assert inside.any()
        assert set(mask[inside].tolist()) <= set(range(size[axis]))
        # At the image's edge the filter that makes it smaller is cut off, by up to half its width: a pixel of the crop.
        allowed = 0.51 + 0.5 * max(1, window.size[axis] / crop[axis])
        assert ((cropped[0].float() / 256 - mask).abs()[inside] <= allowed).all()
        assert (cropped[0].float()[~inside] == 0).all()


@settings(max_examples=200, deadline=None)
@given(
    size=st.tuples(SIDES, SIDES),
    crop=st.tuples(st.integers(1, 50), st.integers(1, 50)),
    scale=st.tuples(st.floats(0.05, 8), st.floats(0.05, 8)).map(sorted),
    kind=st.sampled_from([torch.uint8, torch.int16]),
    key=st.integers(0, 10**12),
)
def test_no_mask_value_is_invented(
    size: tuple[int, int], crop: tuple[int, int], scale: list[float], kind: torch.dtype, key: int
):
    values = torch.tensor([0, 3, 200, VOID] if kind == torch.uint8 else [0, 3, 300, 999])
    mask = values[torch.from_numpy(generator(1, SAMPLE, key).integers(0, 4, size))].to(kind)
    image = torch.zeros(1, *size, dtype=torch.uint8)
    cropped = drawn(Augment(**STILL | {"scale": scale, "flip": 0.5}), image, mask, crop, key)[1]
    assert cropped.dtype == kind
    assert set(cropped.unique().tolist()) <= {*mask.unique().tolist(), VOID}


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


def test_a_window_is_shrunk_as_far_as_its_scale_allows_and_no_farther():
    def shrink(factor: float, size: tuple[int, int] = (400, 400)) -> int:
        augment = Augment(**STILL | {"scale": [factor, factor]})
        return augment.window(size, crop=(32, 32), rng=generator(0, SAMPLE, 0)).snapped((32, 32), size).shrink

    assert [shrink(factor) for factor in (2, 1, 0.51, 0.5, 0.26, 0.25, 0.1, 0.01)] == [1, 1, 1, 2, 2, 4, 8, 8]
    assert shrink(0.1, (15, 400)) == 4


def test_a_share_of_the_crops_lies_around_the_rare_class():
    mask = torch.zeros(200, 300, dtype=torch.uint8)
    mask[150, 20] = mask[3, 290] = 1
    rarity = np.array([1 / 59998, 1 / 2])
    for rare, least, most in ((0.0, 0, 20), (0.5, 80, 120), (1.0, 190, 200)):
        augment, found = Augment(**STILL | {"scale": [0.8, 1.25]}, rare=rare), 0
        for key in range(200):
            rng = generator(0, SAMPLE, key)
            window = augment.window(mask.shape, crop=(16, 16), rng=rng, mask=lambda: mask, rarity=rarity)
            assert all(0 <= c <= side - w for c, w, side in zip(window.corner, window.size, mask.shape, strict=True))
            (top, left), (height, width) = window.corner, window.size
            found += bool((mask[top : top + height, left : left + width] == 1).any())
        assert least <= found <= most


def test_crops_around_rare_classes_leave_the_other_draws_as_they_are():
    size, mask, rarity = (64, 64), torch.ones(64, 64, dtype=torch.uint8), np.array([0.0, 1.0])
    for key in range(20):
        plain, rare = (Augment(**STILL | {"scale": [0.5, 2], "flip": 0.5}, rare=share) for share in (0.0, 1.0))
        windows = [
            a.window(size, crop=(8, 8), rng=generator(0, SAMPLE, key), mask=lambda: mask, rarity=rarity)
            for a in (plain, rare)
        ]
        assert windows[0].size == windows[1].size
        assert windows[0].flip == windows[1].flip


def test_a_mask_that_is_all_void_has_no_rare_class():
    mask = torch.full((30, 30), VOID, dtype=torch.uint8)
    augment = Augment(**STILL, rare=1.0)
    window = augment.window((30, 30), crop=(8, 8), rng=generator(0, SAMPLE, 0), mask=lambda: mask, rarity=np.ones(2))
    assert window == Augment(**STILL).window((30, 30), crop=(8, 8), rng=generator(0, SAMPLE, 0))


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


@pytest.mark.parametrize(
    ("sizes", "crop"),
    [
        ([(360, 480)] * 5, [360, 480]),
        ([(256, 256)] * 9 + [(1024, 1024)], [256, 256]),
        ([(2000, 3000)] * 5, [384, 384]),
        ([(300, 2000)] * 5, [296, 384]),
        ([(5, 7)], [5, 7]),
        ([], [384, 384]),
    ],
)
def test_a_crop_that_nearly_all_images_fill(sizes: list[tuple[int, int]], crop: list[int]):
    assert fitting_crop(sizes) == crop


def test_colours_of_a_narrow_range_move_within_it_as_photographs_do_within_theirs():
    augment = Augment(**STILL | {"brightness": 0.25, "contrast": 0.25, "saturation": 0.25, "hue": 0.1})
    span = Span((0.5, 0.51, 0.5), (0.502, 0.513, 0.505))
    narrow = augment.color(3, generator(0, SAMPLE, 3), span).double()
    usual = augment.color(3, generator(0, SAMPLE, 3)).double()
    share = torch.tensor([0.2, 0.9, 0.4], dtype=torch.float64)
    low, width = torch.tensor(span.low, dtype=torch.float64), torch.from_numpy(span.width)
    moved = narrow[:, :3] @ (low + width * share) + narrow[:, 3]
    assert ((moved - low) / width).tolist() == pytest.approx((usual[:, :3] @ share + usual[:, 3]).tolist(), abs=1e-4)


@pytest.mark.parametrize(("kind", "fill"), [(torch.uint8, 128), (torch.uint16, 32768), (torch.float32, 0.5)])
def test_beyond_the_image_lies_what_is_low_in_the_data(kind: torch.dtype, fill: float):
    window = Augment(**STILL).window((2, 2), crop=(4, 4), rng=generator(0, SAMPLE, 0))
    image, mask = torch.ones(1, 2, 2).to(kind), torch.zeros(2, 2, dtype=torch.uint8)
    image, mask = window.cut(image, mask, crop=(4, 4), void=255, low=(0.5,))
    assert image.dtype == kind
    assert image[0][mask == 255].float().unique().tolist() == [fill]


def test_fractions_are_not_rounded_when_they_are_resized():
    image = torch.tensor([[[0.25, 0.75]]])
    assert smooth(image, [1, 1]).flatten().tolist() == pytest.approx([0.5])
