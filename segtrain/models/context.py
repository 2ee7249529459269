"""What surrounds a pixel, gathered at the coarsest feature, before the decoder."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from .blocks import ConvBNReLU, ConvReLU


class ContextFactory(Protocol):
    """What makes a context module for a feature of `in_channels`: a partial of `PyramidPooling`, for instance.

    The module maps (N, in_channels, H, W) to (N, out_channels, H, W), and has `.out_channels` if they are others.
    """

    def __call__(self, in_channels: int) -> nn.Module: ...


class Branches(nn.Module):
    """Branches side by side, whose outputs are concatenated and fused."""

    def __init__(self, branches: Sequence[nn.Module], fuse: nn.Module, out_channels: int) -> None:
        super().__init__()
        self.branches, self.fuse = nn.ModuleList(branches), fuse
        self.out_channels = out_channels

    def forward(self, x: Tensor) -> Tensor:  # (N, C, H, W) -> (N, out_channels, H, W)
        return self.fuse(torch.cat([branch(x) for branch in self.branches], dim=1))


class PyramidPooling(Branches):
    """The feature itself, and its means over ever smaller parts of the image.

    Zhao et al. 2017, https://arxiv.org/abs/1612.01105, section 3.2; the means have no batch norm here (see `Pooled`).

    Args:
        out_channels: channels of the result.
        bins: rows and columns of parts that the image is divided into, for each branch.
    """

    def __init__(self, in_channels: int, *, out_channels: int, bins: Sequence[int] = (1, 2, 3, 6)) -> None:
        refuse_below_one(out_channels=[out_channels], bins=bins)
        width = max(in_channels // len(bins), 1)
        pooled = [Pooled(in_channels, width, parts) for parts in bins]
        fuse = ConvBNReLU(in_channels + len(bins) * width, out_channels, 3)
        super().__init__([nn.Identity(), *pooled], fuse, out_channels)


class AtrousPyramid(Branches):
    """Convolutions of growing dilation, and the mean over the whole image: atrous spatial pyramid pooling.

    Chen et al. 2017, https://arxiv.org/abs/1706.05587, section 3.3; the mean has no batch norm here (see `Pooled`).

    Args:
        out_channels: channels of each branch, and of the result.
        rates: dilations of the 3x3 convolutions; (6, 12, 18) are for an encoder of output stride 16, where the
            feature has a pixel for 16 of the image.
    """

    def __init__(self, in_channels: int, *, out_channels: int, rates: Sequence[int] = (6, 12, 18)) -> None:
        refuse_below_one(out_channels=[out_channels], rates=rates)
        atrous = [ConvBNReLU(in_channels, out_channels, 3, dilation=rate) for rate in rates]
        branches = [ConvBNReLU(in_channels, out_channels, 1), *atrous, Pooled(in_channels, out_channels, 1)]
        super().__init__(branches, ConvBNReLU(len(branches) * out_channels, out_channels, 1), out_channels)


class Pooled(nn.Module):
    """Means over `bins` x `bins` parts of the image, projected by a 1x1 convolution, and interpolated bilinearly.

    The projection has a bias in place of the papers' batch norm: a mean over the whole of one image is one value per
    channel, of which a batch of one has no variance, and one of a few images no reliable one.
    """

    whole_image = True  # read by `segtrain.inference.reach`: a pixel depends on pixels at any distance

    def __init__(self, in_channels: int, out_channels: int, bins: int) -> None:
        super().__init__()
        self.bins = bins
        self.project = ConvReLU(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:  # (N, C, H, W) -> (N, C', H, W)
        height, width = x.shape[-2:]
        means = along_both(x, means_of(height, self.bins, x.device), means_of(width, self.bins, x.device))
        tents = tents_of(self.bins, height, x.device), tents_of(self.bins, width, x.device)
        return along_both(self.project(means), *tents)

    def extra_repr(self) -> str:
        return f"bins={self.bins}"


def along_both(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """(N, C, H, W), the matrices (H', H) and (W', W) -> (N, C, H', W').

    Pooling and interpolation act on rows and on columns separately, and linearly: written as matrices, their gradients
    on CUDA are the same at each run, which those of torch's own functions are not.
    """
    return rows.to(x) @ x @ columns.to(x).T


def means_of(size: int, bins: int, device: torch.device) -> Tensor:
    """The matrix (bins, size) of `F.adaptive_avg_pool2d` along one side: bins overlap where they do not divide it."""
    pixel, part = torch.arange(size, device=device), torch.arange(bins, device=device)[:, None]
    first, last = part * size // bins, ((part + 1) * size - 1) // bins
    inside = ((first <= pixel) & (pixel <= last)).float()
    return inside / inside.sum(dim=1, keepdim=True)


def tents_of(bins: int, size: int, device: torch.device) -> Tensor:
    """The matrix (size, bins) of bilinear interpolation along one side, as `F.interpolate` has it."""
    pixel, part = torch.arange(size, device=device)[:, None], torch.arange(bins, device=device)
    place = ((pixel + 0.5) * bins / size - 0.5).clamp(0, bins - 1)
    return (1 - (place - part).abs()).clamp(min=0)


def refuse_below_one(**settings: Sequence[int]) -> None:
    """Raises ValueError for a setting that is empty, or has a number below 1."""
    for name, values in settings.items():
        if not values or min(values) < 1:
            raise ValueError(f"{name}={list(values)}: expected whole numbers above 0")
