"""The blocks, against torchvision's and against what 'same' padding means."""

from itertools import pairwise
from math import ceil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock as TorchvisionBasicBlock
from torchvision.models.resnet import Bottleneck as TorchvisionBottleneck
from torchvision.ops.misc import Conv2dNormActivation

from segtrain.models import BasicBlock, Bottleneck, ConvBNReLU, ConvReLU, DepthwiseSeparableConv
from segtrain.models.blocks import same_conv

BLOCKS = [ConvReLU, ConvBNReLU, DepthwiseSeparableConv, BasicBlock, Bottleneck]


def randomize(module: nn.Module, seed: int = 0) -> None:
    """Parameters and running statistics that no initialization would give, so that a mix-up shows."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.weight.uniform_(0.5, 1.5, generator=generator)
                layer.bias.uniform_(-0.5, 0.5, generator=generator)
                layer.running_mean.uniform_(-0.5, 0.5, generator=generator)
                layer.running_var.uniform_(0.5, 2.0, generator=generator)
            elif isinstance(layer, nn.Conv2d) and layer.bias is not None:
                layer.bias.uniform_(-0.5, 0.5, generator=generator)


def image(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def assert_equal_results(ours: nn.Module, theirs: nn.Module, shape: tuple[int, ...], pairs: dict[str, str]) -> None:
    """Outputs, gradients and running statistics in double precision; `pairs` maps their names of tensors to ours."""
    x, y = (image(*shape).detach().double().requires_grad_() for _ in range(2))
    a, b = ours.double()(x), theirs.double()(y)
    torch.testing.assert_close(a, b)
    direction = image(*a.shape, seed=1).detach()
    a.backward(direction)
    b.backward(direction)
    torch.testing.assert_close(x.grad, y.grad)
    mine, other = dict(ours.named_parameters()), dict(theirs.named_parameters())
    for name in other:
        torch.testing.assert_close(mine[pairs[name]].grad, other[name].grad)
    for name, buffer in theirs.named_buffers():
        torch.testing.assert_close(dict(ours.named_buffers())[pairs[name]], buffer)


@settings(deadline=None, max_examples=200)
@given(
    kernel=st.sampled_from([1, 3, 5, 7]),
    stride=st.integers(1, 5),
    dilation=st.integers(1, 4),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
)
def test_same_padding_keeps_the_size_and_a_stride_divides_it_rounding_up(kernel, stride, dilation, height, width):
    conv = same_conv(1, 2, kernel, stride=stride, dilation=dilation)
    with torch.no_grad():
        out = conv(torch.ones(1, 1, height, width))
    assert out.shape == (1, 2, ceil(height / stride), ceil(width / stride))


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("stride", [2, 3])
def test_a_stride_takes_every_so_manieth_pixel_from_the_first_on(kernel, stride):
    whole, strided = same_conv(2, 3, kernel, dilation=2), same_conv(2, 3, kernel, stride=stride, dilation=2)
    strided.load_state_dict(whole.state_dict())
    x = image(1, 2, 11, 14)
    torch.testing.assert_close(strided(x), whole(x)[..., ::stride, ::stride])


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 7), (9, 6)])
def test_every_block_rounds_up_too(block, stride, height, width):
    out = block(4, 8, 5, stride=stride, dilation=3).eval()(image(2, 4, height, width))
    assert out.shape == (2, 8, ceil(height / stride), ceil(width / stride))
    assert out.min() >= 0


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("kernel", [0, 2, 4])
def test_an_even_kernel_is_refused_in_one_line(block, kernel):
    with pytest.raises(ValueError, match=rf"^kernel_size={kernel} is even.*needs an odd kernel.*$"):
        block(4, 8, kernel)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("kernel", "stride", "dilation", "groups"), [(3, 1, 1, 1), (5, 2, 1, 1), (3, 1, 2, 4)])
@pytest.mark.parametrize(("block", "norm"), [(ConvReLU, None), (ConvBNReLU, nn.BatchNorm2d)])
def test_convolutions_equal_torchvisions(block, norm, kernel, stride, dilation, groups, training):
    ours = block(8, 12, kernel, stride=stride, dilation=dilation, groups=groups)
    theirs = Conv2dNormActivation(8, 12, kernel, stride, dilation=dilation, groups=groups, norm_layer=norm)
    randomize(ours)
    theirs.load_state_dict(ours.state_dict())
    same_names = {name: name for name in ours.state_dict()}
    assert_equal_results(ours.train(training), theirs.train(training), (2, 8, 9, 11), same_names)


@pytest.mark.parametrize("training", [True, False])
def test_a_depthwise_separable_convolution_is_mobilenets(training):
    ours = DepthwiseSeparableConv(8, 12, 5, stride=2)
    theirs = nn.Sequential(Conv2dNormActivation(8, 8, 5, 2, groups=8), Conv2dNormActivation(8, 12, 1))
    randomize(ours)
    theirs.load_state_dict(ours.state_dict())
    same_names = {name: name for name in ours.state_dict()}
    assert_equal_results(ours.train(training), theirs.train(training), (2, 8, 9, 11), same_names)
    assert sum(p.numel() for p in ours.parameters()) == 8 * 25 + 2 * 8 + 8 * 12 + 2 * 12


# torchvision's layers -> ours, written out: the map in segtrain.models.resnet is itself under test
LAYERS = {
    "conv1": "residual.0.0",
    "bn1": "residual.0.1",
    "conv2": "residual.1.0",
    "bn2": "residual.1.1",
    "conv3": "residual.2",
    "bn3": "residual.3",
    "downsample.0": "shortcut.0",
    "downsample.1": "shortcut.1",
}
LAYERS_OF_BASIC = LAYERS | {"conv2": "residual.1", "bn2": "residual.2"}


def pairs_of(theirs: nn.Module, layers: dict[str, str]) -> dict[str, str]:
    """Their names of tensors -> ours."""
    return {name: f"{layers[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}" for name in theirs.state_dict()}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("in_channels", "stride", "projected"), [(16, 1, False), (8, 1, True), (16, 2, True), (8, 2, True)]
)
def test_basic_block_equals_torchvisions(in_channels, stride, projected, training):
    ours = BasicBlock(in_channels, 16, stride=stride)
    projection = nn.Sequential(nn.Conv2d(in_channels, 16, 1, stride, bias=False), nn.BatchNorm2d(16))
    theirs = TorchvisionBasicBlock(in_channels, 16, stride, projection if projected else None)
    randomize(ours)
    state, pairs = ours.state_dict(), pairs_of(theirs, LAYERS_OF_BASIC)
    assert sorted(pairs.values()) == sorted(state)
    theirs.load_state_dict({name: state[mine] for name, mine in pairs.items()})
    assert_equal_results(ours.train(training), theirs.train(training), (2, in_channels, 10, 13), pairs)


def test_basic_blocks_stride_sits_on_the_first_convolution_and_its_dilation_on_both():
    first, second, projection = (
        layer for layer in BasicBlock(8, 16, 5, stride=2, dilation=3).modules() if isinstance(layer, nn.Conv2d)
    )
    assert [conv.stride for conv in (first, second, projection)] == [(2, 2), (1, 1), (2, 2)]
    assert [conv.dilation for conv in (first, second, projection)] == [(3, 3), (3, 3), (1, 1)]
    assert [conv.kernel_size for conv in (first, second, projection)] == [(5, 5), (5, 5), (1, 1)]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize(
    ("in_channels", "stride", "projected"), [(32, 1, False), (16, 1, True), (32, 2, True), (16, 2, True)]
)
def test_bottleneck_equals_torchvisions(in_channels, stride, projected, dilation, training):
    ours = Bottleneck(in_channels, 32, stride=stride, dilation=dilation)
    projection = nn.Sequential(nn.Conv2d(in_channels, 32, 1, stride, bias=False), nn.BatchNorm2d(32))
    theirs = TorchvisionBottleneck(in_channels, 8, stride, projection if projected else None, dilation=dilation)
    randomize(ours)
    state, pairs = ours.state_dict(), pairs_of(theirs, LAYERS)
    assert sorted(pairs.values()) == sorted(state)
    theirs.load_state_dict({name: state[mine] for name, mine in pairs.items()})
    assert_equal_results(ours.train(training), theirs.train(training), (2, in_channels, 10, 13), pairs)


@pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
def test_a_shortcut_projects_only_where_channels_or_stride_differ(block):
    assert isinstance(block(32, 32, 7, dilation=2).shortcut, nn.Identity)
    assert isinstance(block(32, 32, stride=2).shortcut, nn.Sequential)
    assert isinstance(block(16, 32).shortcut, nn.Sequential)


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
def test_bottlenecks_stride_and_dilation_sit_on_the_k_x_k(kernel):
    reduce, middle, expand = (
        layer
        for layer in Bottleneck(32, 64, kernel, stride=2, dilation=3, expansion=2).residual.modules()
        if isinstance(layer, nn.Conv2d)
    )
    assert (middle.kernel_size, middle.stride, middle.dilation) == ((kernel, kernel), (2, 2), (3, 3))
    assert [conv.kernel_size for conv in (reduce, expand)] == [(1, 1), (1, 1)]
    assert [conv.stride for conv in (reduce, expand)] == [(1, 1), (1, 1)]
    assert (reduce.out_channels, middle.out_channels, expand.out_channels) == (32, 32, 64)


def test_bottleneck_without_a_channel_left_is_refused_in_one_line():
    with pytest.raises(ValueError, match=r"^expansion=4 leaves no channel of 3.*$"):
        Bottleneck(3, 3)


@pytest.mark.parametrize("kind", [BasicBlock, Bottleneck])
def test_with_zero_init_a_block_starts_as_its_shortcut_and_can_learn(kind):
    block = kind(8, 8, zero_init=True)
    x = image(2, 8, 5, 5)
    out = block(x)
    assert torch.equal(out, x.relu())
    out.sum().backward()
    assert block.residual[-1].weight.grad.abs().sum() > 0
    assert not torch.equal(kind(8, 8)(x), x.relu())


@pytest.mark.parametrize("block", [ConvBNReLU, DepthwiseSeparableConv, BasicBlock, Bottleneck])
def test_no_bias_before_batch_norm(block):
    layers = [layer for layer in block(4, 8, stride=2).modules() if isinstance(layer, nn.Conv2d | nn.BatchNorm2d)]
    before = [first for first, second in pairwise(layers) if isinstance(second, nn.BatchNorm2d)]
    assert len(before) >= 1
    assert all(isinstance(conv, nn.Conv2d) and conv.bias is None for conv in before)


def test_without_batch_norm_there_is_a_bias():
    assert ConvReLU(4, 8)[0].bias.shape == (8,)


@pytest.mark.parametrize(
    ("block", "shown"),
    [
        (BasicBlock(16, 8, zero_init=True), "zero_init=True"),
        (Bottleneck(16, 8, 5, stride=2, dilation=2), "expansion=4, zero_init=False"),
        (Bottleneck(16, 8, expansion=2, zero_init=True), "expansion=2, zero_init=True"),
        (ConvBNReLU(16, 8, 5, dilation=2), "kernel_size=(5, 5), stride=(1, 1), padding=(4, 4), dilation=(2, 2)"),
        (DepthwiseSeparableConv(16, 8), "groups=16"),
    ],
)
def test_a_print_shows_the_choices(block, shown):
    assert shown in repr(block)
