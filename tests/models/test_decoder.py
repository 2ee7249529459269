"""Transposed up-sampling against `F.interpolate`, and the decoder against its equation."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from segtrain.models import Decoder, Upsample

SCALES = [1, 2, 3, 4, 8, 16, 32]
CHANNELS, STRIDES = [4, 6, 8, 10, 12], [2, 4, 8, 16, 32]


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def interpolate(x: Tensor, scale: int) -> Tensor:
    return F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)


@pytest.mark.parametrize("scale", SCALES)
@torch.no_grad()
def test_inside_it_starts_as_bilinear_interpolation(scale):
    x = noise(2, 3, 4, 5)
    ours, theirs = Upsample(3, 3, scale)(x), interpolate(x, scale)
    assert ours.shape == theirs.shape == (2, 3, 4 * scale, 5 * scale)
    edge = scale // 2  # nearer to the border, a neighbour lies outside
    inside = (..., slice(edge, 4 * scale - edge), slice(edge, 5 * scale - edge))
    torch.testing.assert_close(ours[inside], theirs[inside])


@pytest.mark.parametrize("scale", SCALES)
@torch.no_grad()
def test_at_the_border_too_when_the_last_pixel_is_repeated(scale):
    x = noise(2, 3, 4, 5)
    ours = Upsample(3, 3, scale)(F.pad(x, (1, 1, 1, 1), mode="replicate"))
    torch.testing.assert_close(ours[..., scale:-scale, scale:-scale], interpolate(x, scale))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(("channels_in", "channels_out"), [(6, 2), (2, 6)])
@torch.no_grad()
def test_other_channels_start_as_a_1x1_mix_then_interpolation(scale, channels_in, channels_out):
    up, x = Upsample(channels_in, channels_out, scale), noise(2, channels_in, 4, 5)
    mix = up.weight.sum(dim=(2, 3)) / scale**2  # the values of a bilinear kernel sum up to that
    assert mix.unique().numel() == channels_in * channels_out
    ours = up(F.pad(x, (1, 1, 1, 1), mode="replicate"))[..., scale:-scale, scale:-scale]
    theirs = interpolate(F.conv2d(x, mix.T[:, :, None, None]), scale)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scale", range(1, 10))
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 7), (5, 2)])
def test_size_is_exactly_scale_times_the_input(scale, height, width):
    with torch.device("meta"):
        assert Upsample(2, 3, scale)(torch.empty(1, 2, height, width)).shape == (1, 3, height * scale, width * scale)


def test_a_kernel_by_hand():
    row = torch.tensor([0.25, 0.75, 0.75, 0.25])
    assert torch.equal(Upsample(1, 1, 2).weight[0, 0], torch.outer(row, row))
    torch.testing.assert_close(Upsample(1, 1, 3).weight[0, 0, 2] * 3, torch.tensor([1.0, 2, 3, 2, 1]))
    assert torch.equal(Upsample(2, 2, 1).weight[:, :, 0, 0], torch.eye(2))


def features(size: int = 64) -> list[Tensor]:
    return [noise(2, c, size // s, size // s) for c, s in zip(CHANNELS, STRIDES, strict=True)]


def decoder(**settings) -> Decoder:
    torch.manual_seed(0)
    return Decoder(channels=CHANNELS, strides=STRIDES, num_classes=3, **settings)


@pytest.mark.parametrize("skips", range(5))
@pytest.mark.parametrize("shaped", ["ladder", "u"])
def test_any_number_of_skips_gives_scores_at_the_inputs_size(skips, shaped):
    widths = None if shaped == "ladder" else [7] * skips
    assert decoder(skips=skips, widths=widths)(features()).shape == (2, 3, 64, 64)


@torch.no_grad()
def test_a_ladder_adds_the_scores_of_each_skip():
    ladder = decoder(skips=2)
    state = ladder.state_dict()
    scores = [
        F.conv2d(f, state[f"{name}.weight"], state[f"{name}.bias"])
        for name, f in zip(["top", "rungs.0.lateral", "rungs.1.lateral"], features()[::-1], strict=False)
    ]
    x = scores[0]
    for rung, skip in enumerate(scores[1:]):
        x = F.conv_transpose2d(x, state[f"rungs.{rung}.up.weight"], stride=2, padding=1) + skip
    by_hand = F.conv_transpose2d(x, state["up.weight"], stride=8, padding=4)
    torch.testing.assert_close(ladder(features()), by_hand)
    assert len(ladder.rungs) == 2
    assert set(state) == {
        *("top.weight", "top.bias", "up.weight"),
        *(f"rungs.{i}.{name}" for i in range(2) for name in ("up.weight", "lateral.weight", "lateral.bias")),
    }


@torch.no_grad()
def test_a_ladder_without_skips_is_interpolated_scores():
    ladder, inputs = decoder(skips=0), features(128)
    scores = F.conv2d(inputs[-1], ladder.top.weight, ladder.top.bias)
    inside = (..., slice(16, -16), slice(16, -16))
    torch.testing.assert_close(ladder(inputs)[inside], interpolate(scores, 32)[inside], rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_with_widths_each_rung_upsamples_adds_the_skip_and_refines():
    u = decoder(skips=2, widths=[7, 5]).eval()
    _, _, second, first, coarsest = features()
    x = u.rungs[0].refine(u.rungs[0].up(coarsest) + u.rungs[0].lateral(first))
    assert x.shape == (2, 7, 4, 4)
    x = u.rungs[1].refine(u.rungs[1].up(x) + u.rungs[1].lateral(second))
    assert x.shape == (2, 5, 8, 8)
    by_hand = F.conv_transpose2d(u.score(x), u.up.weight, stride=8, padding=4)
    assert torch.equal(u(features()), by_hand)


@torch.no_grad()
def test_features_of_equal_stride_are_added_without_upsampling():
    dilated = Decoder(channels=[4, 6, 8], strides=[4, 8, 8], num_classes=3, skips=2, widths=[7, 5])
    inputs = [noise(2, 4, 16, 16), noise(2, 6, 8, 8), noise(2, 8, 8, 8)]
    assert [rung.up.stride for rung in dilated.rungs] == [(1, 1), (2, 2)]
    assert dilated(inputs).shape == (2, 3, 64, 64)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"skips": 5}, r"^skips=5: this encoder has 0 to 4 features to skip from$"),
        ({"skips": -1}, r"^skips=-1: this encoder has 0 to 4 features to skip from$"),
        ({"skips": 2, "widths": [7]}, r"^widths has 1 entries for skips=2: give one width per skip, or null$"),
        ({"skips": 0, "widths": [7]}, r"^widths has 1 entries for skips=0: give one width per skip, or null$"),
    ],
)
def test_skips_and_widths_that_do_not_fit_are_refused_in_one_line(settings, message):
    with pytest.raises(ValueError, match=message):
        decoder(**settings)


def test_a_print_shows_what_each_up_sampling_does():
    assert "Upsample(12, 7, kernel_size=(4, 4), stride=(2, 2), padding=(1, 1), bias=False)" in repr(
        decoder(skips=1, widths=[7])
    )
