"""Batch norm that convolutions compute too."""

from copy import deepcopy
from threading import Lock

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, spectral_norm

from segtrain.inference.folding import folded
from segtrain.inference.reach import reach_of
from segtrain.models import FCN, Bottleneck, ConvBNReLU, DepthwiseSeparableConv, Encoder
from segtrain.models.ensemble import Ensemble
from segtrain.networks import TorchvisionEncoder
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
    torch.manual_seed(0)
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


def test_statistics_that_gpus_share_are_computed_too() -> None:
    network = nn.SyncBatchNorm.convert_sync_batchnorm(small())
    other = folded(network)
    assert not any(isinstance(module, nn.SyncBatchNorm) for module in other.modules())
    assert_same_answers(small(), other)


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
    network = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
    network[1].register_forward_hook(lambda *_: None)
    return network


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
        nn.Sequential(spectral_norm(nn.Conv2d(3, 3, 1)), nn.BatchNorm2d(3)).eval(),
        nn.Sequential(parametrizations.weight_norm(nn.Conv2d(3, 3, 1)), nn.BatchNorm2d(3)).eval(),
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
        "weights by a hook",
        "weights by a parametrisation",
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
def test_weights_are_computed_in_float32_at_least_and_keep_their_type(dtype: torch.dtype) -> None:
    network = randomised(nn.Sequential(nn.Conv2d(3, 64, 1), nn.BatchNorm2d(64))).to(dtype)
    conv, *_ = folded(network)
    assert conv.weight.dtype == conv.bias.dtype == dtype
    exact, *_ = folded(network.double())
    rounding = torch.finfo(dtype).eps if dtype is not torch.float64 else 1e-12
    torch.testing.assert_close(conv.weight.double(), exact.weight, rtol=rounding, atol=0)
    torch.testing.assert_close(conv.bias.double(), exact.bias, rtol=rounding, atol=1e-6)


class Program(nn.Module):
    """Holds what cannot be copied, as a network in an ONNX file does."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = Lock()

    def forward(self, x: Tensor) -> Tensor:
        return x.new_zeros(len(x), 3, *x.shape[-2:])


Program.__module__ = "segtrain.inference.programs"


def test_what_stays_as_it_is_belongs_to_both_networks() -> None:
    network = Ensemble([small(), Program()]).eval()
    other = folded(network)
    assert other.members[1] is network.members[1]
    assert other.members[0] is not network.members[0]
    assert norms(other) == 0
    assert_same_answers(network, other)


def test_stages_of_torchvision_that_are_computed_one_by_one_are_the_same() -> None:
    encoder = TorchvisionEncoder(name="vgg11_bn")
    network = randomised(FCN(encoder=encoder, num_classes=3, skips=2, widths=[8, 6]))
    other, black = folded(network), torch.zeros(1, 3, 64, 64)
    assert norms(other) == 0
    torch.testing.assert_close(other(black), network(black), rtol=1e-3, atol=1e-3)


def test_it_is_known_how_far_it_looks() -> None:
    image, network = torch.empty(1, 3, 64, 64), small()
    other, reach = folded(network), reach_of(network, network, image)
    assert reach is not None
    assert reach.halo > 0
    assert reach_of(other, other, image) == reach
