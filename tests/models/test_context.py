"""Context modules against torch's pooling and interpolation, and against torchvision's atrous pyramid."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.segmentation.deeplabv3 import ASPP

from segtrain.models import AtrousPyramid, PyramidPooling
from segtrain.models.context import Pooled, means_of, tents_of

SIZES = [(1, 1), (1, 7), (4, 5), (6, 12), (13, 30)]
CPU = torch.device("cpu")


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("bins", [1, 2, 3, 6])
@torch.no_grad()
def test_pooled_is_torchs_pooling_a_projection_and_torchs_interpolation(bins, size):
    pooled, x = Pooled(4, 5, bins), noise(2, 4, *size)
    theirs = F.interpolate(pooled.project(F.adaptive_avg_pool2d(x, bins)), size, mode="bilinear", align_corners=False)
    torch.testing.assert_close(pooled(x), theirs)


def test_means_and_tents_by_hand():
    third = 1 / 3
    assert means_of(4, 2, CPU).tolist() == [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]]
    torch.testing.assert_close(
        means_of(5, 2, CPU), torch.tensor([[third, third, third, 0, 0], [0, 0, third, third, third]])
    )
    assert tents_of(2, 4, CPU).tolist() == [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]]
    assert tents_of(1, 3, CPU).tolist() == [[1], [1], [1]]


@torch.no_grad()
def test_pyramid_pooling_fuses_the_feature_and_its_means():
    pyramid, x = PyramidPooling(8, out_channels=6, bins=[1, 3]).eval(), noise(2, 8, 5, 7)
    _, whole, thirds = pyramid.branches
    assert whole(x).shape == thirds(x).shape == (2, 4, 5, 7)
    assert torch.equal(pyramid(x), pyramid.fuse(torch.cat([x, whole(x), thirds(x)], dim=1)))
    assert (pyramid(x).shape, pyramid.out_channels) == ((2, 6, 5, 7), 6)


@torch.no_grad()
def test_the_atrous_pyramid_is_torchvisions_but_for_the_norm_of_the_mean():
    ours, theirs = AtrousPyramid(8, out_channels=4, rates=[2, 3]).eval(), ASPP(8, [2, 3], 4).eval()
    for mine, other in zip(ours.branches[:3], theirs.convs[:3], strict=True):
        other.load_state_dict(mine.state_dict())
    mean = theirs.convs[3]
    mean[1].load_state_dict({"weight": ours.branches[3].project[0].weight})
    mean[2] = nn.Identity()
    nn.init.zeros_(ours.branches[3].project[0].bias)
    theirs.project[0].load_state_dict(ours.fuse[0].state_dict())
    theirs.project[1].load_state_dict(ours.fuse[1].state_dict())
    x = noise(2, 8, 9, 11)
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize("make", [PyramidPooling, AtrousPyramid])
@pytest.mark.parametrize("size", SIZES[1:])
def test_one_image_of_any_size_trains_every_parameter(make, size):
    context = make(8, out_channels=6).train()
    x = noise(1, 8, *size).requires_grad_()
    context(x).square().sum().backward()
    assert x.grad.isfinite().all()
    assert all(p.grad.isfinite().all() for p in context.parameters())


@pytest.mark.parametrize("make", [PyramidPooling, AtrousPyramid])
def test_pooled_branches_have_no_batch_norm(make):
    pooled = [module for module in make(8, out_channels=6).modules() if isinstance(module, Pooled)]
    assert len(pooled) == (4 if make is PyramidPooling else 1)
    assert not any(isinstance(layer, nn.BatchNorm2d) for branch in pooled for layer in branch.modules())


@pytest.mark.parametrize(
    ("make", "settings", "message"),
    [
        (PyramidPooling, {"bins": []}, r"^bins=\[\]: expected whole numbers above 0$"),
        (PyramidPooling, {"bins": [1, 0]}, r"^bins=\[1, 0\]: expected whole numbers above 0$"),
        (AtrousPyramid, {"rates": [-6]}, r"^rates=\[-6\]: expected whole numbers above 0$"),
        (AtrousPyramid, {"out_channels": 0}, r"^out_channels=\[0\]: expected whole numbers above 0$"),
    ],
)
def test_settings_below_one_are_refused_in_one_line(make, settings, message):
    with pytest.raises(ValueError, match=message):
        make(8, **{"out_channels": 6} | settings)
