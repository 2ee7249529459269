"""The encoder's features: how many, how wide, how large, from which blocks."""

from functools import partial
from math import ceil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from segtrain.models import Bottleneck, ConvBNReLU, ConvReLU, DepthwiseSeparableConv, Encoder

SMALL = {"widths": [8, 16], "depths": [1, 2], "strides": [2, 2], "stem_width": 4}


@pytest.mark.parametrize(
    "block", [ConvReLU, ConvBNReLU, DepthwiseSeparableConv, Bottleneck, partial(Bottleneck, kernel_size=5, expansion=2)]
)
def test_any_block_makes_stages(block):
    encoder = Encoder(block=block, **SMALL)
    made = block.func if isinstance(block, partial) else block
    assert [[type(b) for b in stage] for stage in encoder.stages] == [[made], [made, made]]
    features = encoder(torch.rand(2, 3, 32, 24))
    assert [tuple(f.shape) for f in features] == [(2, 4, 16, 12), (2, 8, 8, 6), (2, 16, 4, 3)]


@settings(deadline=None, max_examples=60)
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    strides=st.lists(st.integers(1, 3), min_size=1, max_size=4),
    pool=st.booleans(),
)
def test_channels_and_strides_tell_the_features_at_any_size(height, width, strides, pool):
    n = len(strides)
    with torch.device("meta"):
        encoder = Encoder(
            block=ConvBNReLU, widths=range(5, 5 + n), depths=[1] * n, strides=strides, stem_width=4, stem_pool=pool
        )
        features = encoder(torch.empty(2, 3, height, width))
    assert encoder.channels == [4, *range(5, 5 + n)]
    sizes = [(ceil(height / stride), ceil(width / stride)) for stride in encoder.strides]
    assert [tuple(f.shape) for f in features] == [
        (2, c, *size) for c, size in zip(encoder.channels, sizes, strict=True)
    ]
    finest = 4 if pool else 2
    assert encoder.strides[:2] == [2, finest * strides[0]]


def test_the_first_block_of_a_stage_carries_the_stride_and_the_dilation_of_the_stage_before():
    encoder = Encoder(block=ConvBNReLU, widths=[8] * 3, depths=[2] * 3, strides=[2, 1, 1], dilations=[1, 2, 4])
    convs = [[block[0] for block in stage] for stage in encoder.stages]
    assert [[conv.stride[0] for conv in stage] for stage in convs] == [[2, 1], [1, 1], [1, 1]]
    assert [[conv.dilation[0] for conv in stage] for stage in convs] == [[1, 1], [1, 2], [2, 4]]
    assert encoder.strides == [2, 4, 4, 4]


@pytest.mark.parametrize(
    ("output_stride", "strides", "dilations", "reached"),
    [
        (32, [2, 2, 2, 2], [1, 1, 1, 1], [2, 4, 8, 16, 32]),
        (16, [2, 2, 2, 1], [1, 1, 1, 2], [2, 4, 8, 16, 16]),
        (4, [2, 1, 1, 1], [1, 2, 4, 8], [2, 4, 4, 4, 4]),
    ],
)
def test_an_output_stride_is_short_for_strides_and_dilations(output_stride, strides, dilations, reached):
    same = {"block": ConvBNReLU, "widths": [8] * 4, "depths": [2] * 4}
    short = Encoder(**same, strides=[2, 2, 2, 2], output_stride=output_stride)
    long = Encoder(**same, strides=strides, dilations=dilations)
    assert repr(short) == repr(long)  # which shows every stride and dilation
    assert short.strides == reached


@pytest.mark.parametrize("output_stride", [0, 1, 6, 16])
def test_an_output_stride_that_the_strides_do_not_reach_is_refused_in_one_line(output_stride):
    message = rf"^output_stride={output_stride}: this encoder can end at a stride of 2, 4, 8$"
    with pytest.raises(ValueError, match=message):
        Encoder(block=ConvBNReLU, **SMALL, output_stride=output_stride)


def test_the_stem_halves_and_its_feature_comes_before_the_pooling():
    encoder = Encoder(block=ConvBNReLU, **SMALL, stem_kernel=7, stem_pool=True, in_channels=5).eval()
    x = torch.rand(1, 5, 32, 32)
    stem, first, _ = encoder(x)
    assert torch.equal(stem, encoder.stem(x))
    assert torch.equal(first, encoder.stages[0](nn.functional.max_pool2d(stem, 3, 2, padding=1)))
    assert encoder.stem[0].kernel_size == (7, 7)
    assert encoder.strides == [2, 8, 16]


@pytest.mark.parametrize("changed", [{"depths": [1]}, {"strides": [2, 2, 2]}, {"dilations": [1]}, {"widths": [8]}])
def test_lists_of_different_length_are_refused_in_one_line(changed):
    with pytest.raises(ValueError, match=r"^widths \(\d\), depths \(\d\), strides.*need one entry per stage$"):
        Encoder(block=ConvReLU, **SMALL | changed)


def test_a_stage_without_blocks_is_refused_in_one_line():
    with pytest.raises(ValueError, match=r"^depths=\[1, 0\]: every stage needs at least one block$"):
        Encoder(block=ConvReLU, **SMALL | {"depths": [1, 0]})


def test_a_print_shows_channels_and_strides():
    assert "channels=[4, 8, 16], strides=[2, 4, 8]" in repr(Encoder(block=Bottleneck, **SMALL))
