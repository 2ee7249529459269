import colorsys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segtrain.data import Augment
from segtrain.data.batches.augment import fitting_crop
from segtrain.data.batches.sampler import SAMPLE, generator
from segtrain.data.batches.window import unturned
from segtrain.data.files.pictures import Span
from segtrain.errors import UserError

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
    share=st.floats(0, 1),
    inside=st.booleans(),
    shrink=st.booleans(),
    key=st.integers(0, 10**12),
)
def test_image_and_mask_stay_aligned_at_any_size_and_draw(
    size: tuple[int, int], crop: tuple[int, int], scale: list[float], share: float, inside: bool, shrink: bool, key: int
):
    image, where = places(*size)
    orientations = {"flip": share, "flip_vertical": share, "turns": share}
    augment = Augment(**STILL | {"scale": scale, "inside": inside} | orientations)
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
        known = mask != -1
        assert known.any()
        assert set(mask[known].tolist()) <= set(range(size[axis]))
        # At the image's edge the filter that makes it smaller is cut off, by up to half its width: a pixel of the crop.
        allowed = 0.51 + 0.5 * max(1, window.size[axis] / unturned(crop, window.turn)[axis])
        assert ((cropped[0].float() / 256 - mask).abs()[known] <= allowed).all()
        assert (cropped[0].float()[~known] == 0).all()


@settings(max_examples=300, deadline=None)
@given(
    size=st.tuples(SIDES, SIDES),
    crop=st.tuples(st.integers(1, 50), st.integers(1, 50)),
    scale=st.tuples(st.floats(0.05, 8), st.floats(0.05, 8)).map(sorted),
    turns=st.sampled_from([0.0, 1.0]),
    key=st.integers(0, 10**12),
)
def test_a_crop_lies_inside_the_image_where_a_scale_allows_it(
    size: tuple[int, int], crop: tuple[int, int], scale: list[float], turns: float, key: int
):
    augment = Augment(**STILL | {"scale": scale, "inside": True, "turns": turns})
    window = augment.window(size, crop=crop, rng=generator(0, SAMPLE, key))
    sides = unturned(crop, window.turn)
    if all(side <= scale[1] * length for side, length in zip(sides, size, strict=True)):
        lengths = zip(window.corner, window.size, size, strict=True)
        assert all(first >= 0 and first + side <= length for first, side, length in lengths)
        assert all(side >= int(out / scale[1]) for side, out in zip(window.size, sides, strict=True))
    else:  # the image as large as it may be, and the rest void
        assert window.size == tuple(max(1, round(side / scale[1])) for side in sides)


@pytest.mark.parametrize(
    ("crop", "scale", "allowed"),
    [
        ((36, 48), (0.5, 2.0), (1.0, 2.0)),  # a crop as large as the image
        ((18, 48), (0.5, 2.0), (1.0, 2.0)),  # as wide
        ((27, 36), (0.5, 2.0), (0.75, 2.0)),
        ((18, 24), (0.5, 2.0), (0.5, 2.0)),
        ((72, 96), (0.5, 2.0), (2.0, 2.0)),  # fits at the largest scale alone
        ((90, 120), (0.5, 2.0), (2.0, 2.0)),  # fits at none
        ((90, 120), (0.5, 0.8), (0.8, 0.8)),
    ],
)
def test_the_scales_at_which_a_crop_lies_inside_an_image_of_36_x_48(
    crop: tuple[int, int], scale: tuple[float, float], allowed: tuple[float, float]
):
    for key in range(20):
        inside, narrow = Augment(**STILL | {"scale": scale}, inside=True), Augment(**STILL | {"scale": allowed})
        windows = [a.window((36, 48), crop=crop, rng=generator(0, SAMPLE, key)) for a in (inside, narrow)]
        assert windows[0] == windows[1]


@pytest.mark.parametrize(
    "off", [{}, {"flip_vertical": 0, "turns": 0, "temperature": 0, "blur": 0, "noise": 0, "paste": 0, "cutmix": 0}]
)
def test_what_is_off_draws_nothing(off: dict[str, float]):
    rng, expected = generator(0, SAMPLE, 0), generator(0, SAMPLE, 0)
    augment = Augment(**STILL, **off)
    augment.window((9, 9), crop=(4, 4), rng=rng)
    augment.color(3, rng)
    augment.camera(torch.zeros(3, 4, 4), rng)
    expected.uniform()  # scale
    expected.integers(0, 6, 2)  # row and column
    expected.uniform(size=5)  # flip, brightness, contrast, saturation, hue
    assert rng.bit_generator.state == expected.bit_generator.state


def test_three_quarters_of_turns_are_four_directions_each_as_likely():
    augment = Augment(**STILL, turns=0.75)
    turns = [augment.window((9, 9), crop=(4, 4), rng=generator(0, SAMPLE, key)).turn for key in range(2000)]
    assert np.bincount(turns) == pytest.approx([500] * 4, abs=70)


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


def test_warm_light_is_red_and_white_keeps_its_luma():
    luma = np.array([0.299, 0.587, 0.114])
    augment = Augment(**STILL, temperature=0.5)
    for key in range(20):
        white = augment.color(3, generator(0, SAMPLE, key)).numpy() @ np.ones(4)
        assert luma @ white == pytest.approx(1, abs=1e-6)
        assert white[0] + white[2] == pytest.approx(2 * white[1], abs=1e-6)
        assert abs(white[0] / white[1] - 1) <= 0.5
    assert augment.color(1, generator(0, SAMPLE, 0)).tolist() == [[1, 0]]


def test_contrast_and_brightness_work_on_any_number_of_channels():
    augment = Augment(**STILL | {"brightness": 0.2, "contrast": 0.3})
    matrix = augment.color(5, generator(0, SAMPLE, 0))
    assert matrix.shape == (5, 6)
    assert matrix[:, :5].count_nonzero() == 5


def test_an_impossible_scale_is_refused():
    with pytest.raises(ValueError, match=r"augment.scale=\[2.0, 0.5\]"):
        Augment(**STILL | {"scale": [2.0, 0.5]})


@pytest.mark.parametrize("name", ["flip_vertical", "turns", "temperature", "noise", "paste", "cutmix"])
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_an_impossible_share_is_refused(name: str, value: float):
    with pytest.raises(UserError, match=f"augment.{name}={value}: expected 0 to 1"):
        Augment(**STILL, **{name: value})


@pytest.mark.parametrize("blur", [-1.0, float("inf"), float("nan")])
def test_an_impossible_blur_is_refused(blur: float):
    with pytest.raises(UserError, match=f"augment.blur={blur}: expected pixels, 0 or more"):
        Augment(**STILL, blur=blur)


@pytest.mark.parametrize(
    ("sizes", "on_gpu", "on_cpu"),
    [
        ([(360, 480)] * 5, [352, 480], [256, 256]),
        ([(256, 256)] * 9 + [(1024, 1024)], [256, 256], [256, 256]),
        ([(2000, 3000)] * 5, [384, 384], [256, 256]),
        ([(300, 2000)] * 5, [288, 384], [256, 256]),
        ([(100, 70)] * 5, [96, 64], [96, 64]),
        ([(60, 44)] * 5, [56, 40], [56, 40]),
        ([(5, 7)], [5, 7], [5, 7]),
        ([], [384, 384], [256, 256]),
    ],
)
def test_a_crop_that_nearly_all_images_fill(
    monkeypatch: pytest.MonkeyPatch, sizes: list[tuple[int, int]], on_gpu: list[int], on_cpu: list[int]
):
    for is_available, crop in ((True, on_gpu), (False, on_cpu)):
        monkeypatch.setattr("torch.cuda.is_available", lambda is_available=is_available: is_available)
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
