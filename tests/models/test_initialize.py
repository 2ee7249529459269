"""How parameters start, and that they can start again."""

import copy
from math import sqrt

import pytest
import torch
from torch import Tensor, nn

from segtrain.models import (
    AtrousPyramid,
    BasicBlock,
    Bottleneck,
    ConvBNReLU,
    ConvReLU,
    Decoder,
    DepthwiseSeparableConv,
    Encoder,
    PyramidPooling,
    Upsample,
)
from segtrain.models.decoder import Score
from segtrain.models.initialize import initialize

MODULES = {
    "ConvReLU": lambda: ConvReLU(4, 8),
    "ConvBNReLU": lambda: ConvBNReLU(4, 8),
    "DepthwiseSeparableConv": lambda: DepthwiseSeparableConv(4, 8),
    "BasicBlock": lambda: BasicBlock(4, 8, stride=2),
    "Bottleneck": lambda: Bottleneck(4, 8, stride=2),
    "PyramidPooling": lambda: PyramidPooling(4, out_channels=8),
    "AtrousPyramid": lambda: AtrousPyramid(4, out_channels=8),
    "Upsample": lambda: Upsample(4, 8, 2, bias=True),
    "Score": lambda: Score(4, 8),
    "Encoder": lambda: Encoder(block=ConvBNReLU, widths=[8], depths=[2], strides=[2]),
    "Decoder": lambda: Decoder(channels=[4, 8], strides=[2, 4], num_classes=3, skips=1, widths=[6]),
}


def assert_normal(weight: Tensor, std: float) -> None:
    """Mean and standard deviation within five of their own standard errors."""
    n = weight.numel()
    assert abs(weight.mean().item()) < 5 * std / sqrt(n)
    assert abs(weight.std().item() / std - 1) < 5 / sqrt(2 * n)


def spoil(module: nn.Module) -> None:
    """Every parameter and statistic becomes what no initialization gives."""
    with torch.no_grad():
        for tensor in [*module.parameters(), *module.buffers()]:
            tensor.fill_(9)


@pytest.mark.parametrize("name", ["fcn_tiny", "fcn_small", "fcn8s"])
@pytest.mark.parametrize("again", [False, True])
def test_every_layer_of_a_network_starts_as_it_should(network, name, again):
    net = network(name, auxiliary=True)
    if again:
        mean, std = net.mean.clone(), net.std.clone()
        spoil(net.encoder), spoil(net.decoder), spoil(net.auxiliary)
        initialize(net)
        assert torch.equal(net.mean, mean)
        assert torch.equal(net.std, std)
    seen = set()
    for layer in net.modules():
        if isinstance(layer, Score):
            assert_normal(layer.weight, sqrt(1 / (3 * layer.in_channels)))
        elif isinstance(layer, nn.Conv2d):
            assert layer.groups == 1
            assert_normal(layer.weight, sqrt(2 / (layer.out_channels * layer.kernel_size[0] ** 2)))
        elif isinstance(layer, nn.BatchNorm2d):
            assert torch.equal(layer.weight, torch.ones_like(layer.weight))
            assert not layer.running_mean.any()
            assert layer.running_var.eq(1).all()
            assert layer.num_batches_tracked == 0
        elif isinstance(layer, Upsample):
            torch.testing.assert_close(layer.weight[0, 0] / layer.weight[0, 0].sum(), kernel(layer.stride[0]))
        else:
            continue
        assert layer.bias is None or not layer.bias.any()
        seen.add(Upsample if isinstance(layer, Upsample) else type(layer))
    assert seen == {Score, nn.Conv2d, nn.BatchNorm2d, Upsample}


def test_initialize_leaves_the_mean_and_std_of_the_data(network):
    net = network("fcn_tiny", mean=[0.1, 0.2, 0.3], std=[0.4, 0.5, 0.6])
    initialize(net)
    assert net.mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert net.std.flatten().tolist() == pytest.approx([0.4, 0.5, 0.6])


def kernel(scale: int) -> Tensor:
    """A tent that is `scale` pixels wide on either side of the kernel's centre, of sum 1."""
    size = 2 * scale - scale % 2
    tent = torch.tensor([1 - abs(i - (size - 1) / 2) / scale for i in range(size)])
    return torch.outer(tent, tent) / tent.sum() ** 2


def test_the_fan_out_of_a_depthwise_convolution_is_that_of_one_channel():
    depthwise, pointwise = (
        layer for layer in DepthwiseSeparableConv(500, 300).modules() if isinstance(layer, nn.Conv2d)
    )
    assert_normal(depthwise.weight, sqrt(2 / 9))
    assert_normal(pointwise.weight, sqrt(2 / 300))
    assert_normal(ConvReLU(400, 200, groups=4)[0].weight, sqrt(2 / (9 * 50)))


@pytest.mark.parametrize("channels", [16, 128, 2048])
def test_scores_spread_alike_whatever_the_number_of_channels(channels: int):
    """A far smaller spread, such as 0.03 of 16 channels, leaves rare classes unlearned for hundreds of steps."""
    torch.manual_seed(0)
    features = torch.randn(1, channels, 32, 32).relu()
    scores = [Score(channels, 8)(features) for _ in range(20)]
    assert torch.stack(scores).square().mean().sqrt().item() == pytest.approx(sqrt(1 / 6), rel=0.2)


def test_a_mix_of_channels_keeps_the_variance_of_what_a_relu_gives():
    up = Upsample(400, 100, 1)
    assert_normal(up.weight, sqrt(2 / 400))
    x = torch.randn(1, 400, 50, 50, generator=torch.Generator().manual_seed(0)).relu()
    assert up(x).var().item() == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize("make", MODULES.values(), ids=MODULES)
def test_initialize_works_in_place_and_forgets_what_was_before(make):
    module = make()
    parameters = list(module.parameters())
    torch.manual_seed(3)
    initialize(module)
    first = copy.deepcopy(module.state_dict())
    spoil(module)
    torch.manual_seed(3)
    initialize(module)
    assert all(a is b for a, b in zip(module.parameters(), parameters, strict=True))  # an optimizer still holds them
    assert all(p.requires_grad for p in parameters)
    assert all(torch.equal(tensor, first[name]) for name, tensor in module.state_dict().items())
    initialize(module)
    assert any(not torch.equal(tensor, first[name]) for name, tensor in module.state_dict().items())


def test_one_seed_makes_one_network(network):
    first, second = network("fcn_tiny"), network("fcn_tiny")
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_the_last_batch_norm_of_a_zero_init_bottleneck_starts_at_zero_again():
    block = Bottleneck(8, 8, stride=2, zero_init=True)
    spoil(block)
    initialize(block)
    norms = {name: layer for name, layer in block.named_modules() if isinstance(layer, nn.BatchNorm2d)}
    assert {name: layer.weight.unique().tolist() for name, layer in norms.items()} == {
        "residual.0.1": [1],
        "residual.1.1": [1],
        "residual.3": [0],
        "shortcut.1": [1],
    }


def test_zero_init_does_not_change_the_names_in_a_state_dict():
    assert list(Bottleneck(8, 8, zero_init=True).state_dict()) == list(Bottleneck(8, 8).state_dict())


def test_layers_of_other_kinds_start_as_torch_starts_them():
    block = nn.Sequential(nn.Linear(20, 30), nn.LayerNorm(30), nn.BatchNorm2d(30, affine=False), nn.ReLU())
    spoil(block)
    initialize(block)
    linear, norm, batch_norm, _ = block
    assert linear.weight.abs().max() <= 1 / sqrt(20)
    assert linear.weight.unique().numel() == 600
    assert linear.bias.abs().max() <= 1 / sqrt(20)
    assert norm.weight.eq(1).all()
    assert batch_norm.running_var.eq(1).all()
