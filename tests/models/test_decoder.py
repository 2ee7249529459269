"""Transposed up-sampling against `F.interpolate`, and the decoder against its equation."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from segtrain.models import Decoder, Upsample, UpsampleByChannel
from segtrain.models.decoder import Score

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


@pytest.mark.parametrize("scale", SCALES)
@torch.no_grad()
def test_channel_by_channel_it_starts_as_the_dense_one(scale):
    x = noise(2, 3, 4, 5)
    dense, each = Upsample(3, 3, scale), UpsampleByChannel(3, scale)
    assert each.weight.shape == (3, 1, *dense.weight.shape[2:])
    torch.testing.assert_close(each(x), dense(x))


@torch.no_grad()
def test_channel_by_channel_no_channel_sees_another():
    each = UpsampleByChannel(3, 2)
    torch.nn.init.normal_(each.weight)
    x = noise(2, 3, 4, 5)
    for channel in range(3):
        by_hand = F.conv_transpose2d(x[:, channel, None], each.weight[channel, None], stride=2, padding=1)
        torch.testing.assert_close(each(x)[:, channel, None], by_hand)


@torch.no_grad()
def test_channel_by_channel_it_gives_planes_whatever_the_order_in_memory():
    each = UpsampleByChannel(3, 2).to(memory_format=torch.channels_last)
    assert each(noise(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)).stride() == (240, 80, 10, 1)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float64])
def test_channel_by_channel_it_computes_in_float32_at_least(kind):
    each, x = UpsampleByChannel(3, 2), noise(2, 3, 4, 5)
    exact = each(x)
    with torch.autocast("cpu", torch.bfloat16):
        scores = each(x.requires_grad_())
    assert torch.equal(scores, exact)
    scores.sum().backward()
    assert x.grad.dtype == each.weight.grad.dtype == torch.float32
    of_kind = each.to(kind)(x.to(kind))
    assert of_kind.dtype == torch.promote_types(kind, torch.float32)
    torch.testing.assert_close(of_kind.float(), exact, rtol=0.02, atol=0.02)


def test_groups_of_several_channels_start_as_a_mix_within_the_group():
    up = Upsample(400, 200, 1, groups=4)
    assert up.weight.shape == (400, 50, 1, 1)
    assert up.weight.std().item() == pytest.approx((2 / 100) ** 0.5, rel=0.05)
    assert torch.equal(Upsample(4, 4, 1, groups=2).weight[:, :, 0, 0], torch.eye(2).repeat(2, 1))


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
def test_concatenating_rungs_put_the_skip_beside_the_up_sampled_feature():
    u = decoder(skips=2, widths=[7, 5], join="concat").eval()
    _, _, second, first, coarsest = features()
    for rung, skip in zip(u.rungs, [first, second], strict=True):
        coarsest = rung.refine(torch.cat([rung.up(coarsest), rung.lateral(skip)], dim=1))
    assert torch.equal(u(features()), u.up(u.score(coarsest)))
    assert [rung.refine[0].weight.shape for rung in u.rungs] == [(7, 14, 3, 3), (5, 10, 3, 3)]
    assert list(u.state_dict()) == list(decoder(skips=2, widths=[7, 5]).state_dict())


@torch.no_grad()
def test_of_two_equal_halves_concatenating_is_adding():
    concat, add = decoder(skips=1, widths=[7], join="concat").eval(), decoder(skips=1, widths=[7]).eval()
    state = concat.state_dict()
    state["rungs.0.refine.0.weight"] = add.rungs[0].refine[0].weight.repeat(1, 2, 1, 1)
    concat.load_state_dict(state)
    rest = {name: tensor for name, tensor in state.items() if name != "rungs.0.refine.0.weight"}
    add.load_state_dict(rest, strict=False)
    torch.testing.assert_close(concat(features()), add(features()))


def test_dropout_sets_whole_channels_to_zero_and_scales_the_others():
    torch.manual_seed(0)
    score = Score(1000, 1, dropout=0.25)
    torch.nn.init.ones_(score.weight)
    dropped = score(torch.ones(1, 1000, 2, 3))
    assert dropped.unique().numel() == 1  # every pixel has lost the same channels
    assert dropped.mean().item() == pytest.approx(1000, rel=0.1)
    assert dropped.mean().item() / (1000 / 750) == pytest.approx(750, abs=60)
    assert score.eval()(torch.ones(1, 1000, 2, 3)).unique().tolist() == [1000]


@pytest.mark.parametrize("widths", [None, [7, 5]])
def test_dropout_stands_before_every_score(widths):
    scores = [layer for layer in decoder(skips=2, widths=widths, dropout=0.1).modules() if isinstance(layer, Score)]
    assert [layer.dropout for layer in scores] == [0.1] * (3 if widths is None else 1)


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
        ({"skips": 1, "join": "concat"}, r"^join=concat: without widths, rungs add scores: give one width per skip.*$"),
        ({"skips": 1, "widths": [7], "join": "cat"}, r"^join=cat: expected add or concat$"),
        ({"skips": 1, "dropout": 1.0}, r"^dropout=1\.0: expected 0 or more, and less than 1$"),
        ({"skips": 0, "widths": [7]}, r"^widths has 1 entries for skips=0: give one width per skip, or null$"),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_one_line(settings, message):
    with pytest.raises(ValueError, match=message):
        decoder(**settings)


def test_a_print_shows_what_each_up_sampling_does():
    assert "Upsample(12, 7, kernel_size=(4, 4), stride=(2, 2), padding=(1, 1), bias=False)" in repr(
        decoder(skips=1, widths=[7])
    )
