"""Batch norm that convolutions compute too."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from segtrain.inference.folding import folded
from segtrain.models import FCN, Bottleneck, ConvBNReLU, DepthwiseSeparableConv, Encoder
from segtrain.runs.corrected import Shift
from tests.models.conftest import any_network, compose  # noqa: F401


def randomised(network: nn.Module) -> nn.Module:
    """A network in evaluation mode whose batch norms have statistics and weights as if they had learned."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            if module.affine:
                nn.init.normal_(module.weight)
                nn.init.normal_(module.bias)
    return network.eval()


def small() -> nn.Module:
    encoder = Encoder(block=Bottleneck, widths=[8, 16], depths=[1, 2], strides=[2, 2], stem_width=4)
    return randomised(FCN(encoder=encoder, num_classes=3, skips=2, widths=[8, 6], auxiliary=True))


def norms(network: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


@torch.no_grad()
def assert_same_answers(network: nn.Module, other: nn.Module, channels: int = 3) -> None:
    image = torch.rand(2, channels, 21, 30)
    torch.testing.assert_close(other(image), network(image), rtol=1e-4, atol=1e-4)


def test_every_network_answers_without_batch_norm(any_network: nn.Module) -> None:  # noqa: F811
    network = folded(any_network.eval())
    assert norms(network) == 0
    assert network(torch.empty(2, 3, 33, 65, device="meta")).shape == (2, 5, 33, 65)


def test_the_answers_are_the_same_and_the_network_stays_as_it_is() -> None:
    network = small()
    before = deepcopy(network.state_dict())
    other = folded(network)
    assert type(other) is FCN
    assert_same_answers(network, other)
    assert network.state_dict().keys() == before.keys()
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize(
    "layers",
    [
        (nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)),
        (nn.Conv2d(3, 6, 3, stride=2, groups=3), nn.BatchNorm2d(6, affine=False)),
        (nn.ConvTranspose2d(3, 4, 4, stride=2), nn.BatchNorm2d(4, eps=0.1)),
        (DepthwiseSeparableConv(3, 4), nn.Conv2d(4, 2, 1)),
        (nn.ReLU(), nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.BatchNorm2d(4)),  # of which the conv computes the first
    ],
)
def test_each_kind_of_convolution_computes_what_follows_it(layers: tuple[nn.Module, ...]) -> None:
    network = randomised(nn.Sequential(*layers))
    other = folded(network)
    assert norms(other) < norms(network)
    assert_same_answers(network, other)


def test_weights_are_those_of_the_moment_and_only_what_changes_is_kept_twice() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1)).eval()
    other = folded(network)
    assert other[2].weight is network[2].weight
    before = other(torch.ones(1, 3, 2, 2))
    nn.init.zeros_(network[0].weight)
    assert torch.equal(other(torch.ones(1, 3, 2, 2)), before)
    assert not torch.equal(folded(network)(torch.ones(1, 3, 2, 2)), before)


def test_what_is_added_to_the_answers_of_a_network_stays() -> None:
    network = small()
    network.register_forward_hook(Shift((0.0, 100.0, 0.0)))
    assert_same_answers(network, folded(network))
    assert folded(network)(torch.rand(1, 3, 8, 8)).argmax(1).eq(1).all()


class Apart(nn.Module):
    """Uses a convolution without the batch norm that stands behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
        self.inner = ConvBNReLU(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(self.layers[0](x) + self.layers(x))


def shared() -> nn.Module:
    conv = nn.Conv2d(3, 3, 1)
    return nn.Sequential(conv, nn.BatchNorm2d(3), conv)


def watched() -> nn.Module:
    conv = nn.Conv2d(3, 3, 1)
    conv.register_forward_hook(lambda *_: None)
    return nn.Sequential(conv, nn.BatchNorm2d(3))


class Doubled(nn.BatchNorm2d):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


@pytest.mark.parametrize(
    "network",
    [
        Apart().eval(),
        nn.Sequential(Apart(), nn.Conv2d(3, 3, 1)).eval(),
        shared().eval(),
        watched().eval(),
        nn.Sequential(nn.Conv2d(3, 3, 1), Doubled(3)).eval(),
        nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, track_running_stats=False)).eval(),
        nn.Sequential(nn.ConvTranspose2d(3, 3, 1, groups=3), nn.BatchNorm2d(3)).eval(),
        nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1)).eval(),
        nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(), nn.BatchNorm2d(3)).eval(),
        nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)).train(),
    ],
    ids=[
        "a user's",
        "a user's inside",
        "shared",
        "watched",
        "another norm",
        "statistics of the batch",
        "grouped",
        "norm first",
        "ReLU between",
        "training",
    ],
)
def test_what_cannot_be_taken_over_is_left_alone(network: nn.Module) -> None:
    assert folded(network) is network


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_weights_keep_their_type(dtype: torch.dtype) -> None:
    other = folded(small().to(dtype))
    assert {tensor.dtype for tensor in other.parameters()} == {dtype}
