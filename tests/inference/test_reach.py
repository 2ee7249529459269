from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from segtrain.inference.reach import reach_of
from segtrain.models import FCN, AtrousPyramid, Bottleneck, ConvBNReLU, Encoder, PyramidPooling
from segtrain.models.ensemble import Ensemble


def small(
    depths: Sequence[int] = (1, 2),
    skips: int = 1,
    widths: Sequence[int] | None = (8,),
    kernel: int = 3,
    pool: bool = False,
    output_stride: int | None = None,
    **decoder: Any,
) -> FCN:
    block = partial(Bottleneck, kernel_size=kernel, expansion=2)
    strides = [2] * len(depths)
    encoder = Encoder(
        block=block,
        widths=[8] * len(depths),
        depths=depths,
        strides=strides,
        output_stride=output_stride,
        stem_width=4,
        stem_pool=pool,
    )
    torch.manual_seed(0)
    network = FCN(encoder=encoder, num_classes=3, skips=skips, widths=widths, **decoder)
    for parameter in network.parameters():  # so that no logit is zero because an initial value is
        nn.init.normal_(parameter, std=0.3)
    return network.eval()


NETWORKS = [
    {},
    {"depths": (2, 1, 1), "skips": 2, "widths": (8, 8)},
    {"skips": 0, "widths": None},
    {"kernel": 5, "skips": 2, "widths": (8, 8)},
    {"pool": True},
    {"depths": (2, 2), "output_stride": 4},
    {"join": "concat", "grouped": True, "dropout": 0.5},
]


@pytest.mark.parametrize("settings", NETWORKS, ids=str)
def test_no_logit_depends_on_more_than_the_reach(settings: dict):
    network = small(**settings).double()
    image = torch.rand(1, 3, 640, 640, dtype=torch.float64)
    reach = reach_of(network, network, image)
    assert reach is not None
    assert reach.halo % reach.grid == 0
    image.requires_grad_()
    middle = slice(320 - reach.grid, 320 + reach.grid)
    network(image)[..., middle, middle].sum().backward()
    assert image.grad is not None
    seen = image.grad.abs().sum((0, 1, 2)).nonzero().flatten()
    assert 320 - reach.grid - reach.halo <= seen.min() < 320 - reach.grid
    assert 320 + reach.grid < seen.max() < 320 + reach.grid + reach.halo


def test_a_network_that_looks_at_the_whole_image_is_computed_at_once():
    pooled = nn.Sequential(ConvBNReLU(3, 4), nn.AdaptiveAvgPool2d(1))
    assert reach_of(pooled, pooled, torch.zeros(1, 3, 9, 9)) is None


def test_an_ensemble_reaches_as_far_as_the_member_that_looks_farthest():
    near, far = small(depths=(1, 1)), small(depths=(1, 2, 1), skips=2, widths=(8, 8))
    image = torch.zeros(1, 3, 9, 9)
    reaches = [reach_of(member, member, image) for member in (near, far)]
    together = Ensemble([near, far])
    assert reach_of(together, together, image) == reaches[1]
    assert reaches[0] != reaches[1]
    assert reaches[1] is not None
    assert reaches[1].grid == 16
    odd = Ensemble([near, nn.Sequential(Odd(), nn.Conv2d(3, 3, 1))])
    assert reach_of(odd, odd, image) is None


@pytest.mark.parametrize("context", [PyramidPooling, AtrousPyramid])
def test_a_context_module_looks_at_the_whole_image(context: type[nn.Module]):
    network = small(context=partial(context, out_channels=8))
    assert reach_of(network, network, torch.zeros(1, 3, 9, 9)) is None


class Odd(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image - image.mean()


def test_of_a_strangers_module_nothing_is_known():
    network = nn.Sequential(Odd(), nn.Conv2d(3, 3, 1))
    assert reach_of(network, network, torch.zeros(1, 3, 9, 9)) is None
