"""What the features of an encoder are like: found out on torch's meta device, which computes shapes alone."""

from collections.abc import Sequence
from itertools import pairwise
from textwrap import shorten
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Feature(NamedTuple):
    """The layout of a feature."""

    channels: int
    stride: int  # pixels of the image per pixel of the feature
    channels_last: bool  # (N, H, W, C), as Swin has it, and not (N, C, H, W)

    def channels_first(self, feature: Tensor) -> Tensor:
        return feature.permute(0, 3, 1, 2).contiguous() if self.channels_last else feature


def layout(shape: Sequence[int], height: int, width: int) -> Feature:
    """The layout of a feature of this shape, of an image of `height` x `width`.

    Raises ValueError for one that is no grid of `height` / stride x `width` / stride.
    """
    for first, channels in ((2, 1), (1, 3)):  # where H stands, and where C stands
        if len(shape) != 4:
            break
        rows, columns = shape[first], shape[first + 1]
        stride = height // rows
        if (rows * stride, columns * stride) == (height, width):
            return Feature(shape[channels], stride, channels == 3)
    raise ValueError(f"a feature of {list(shape)} is no whole fraction of an image of {height} x {width}")


def refuse_uneven(strides: Sequence[int], name: str) -> None:
    """Raises ValueError unless each stride is a multiple of the one before, so that a decoder can climb over them."""
    for fine, coarse in pairwise(strides):
        if coarse % fine:
            raise ValueError(f"encoder {name} has strides {list(strides)}: a decoder needs multiples of one another")


def take_channels(network: nn.Module, in_channels: int) -> None:
    """Give the first convolution of a network, which takes RGB, a fresh one for another number of channels."""
    name, conv = next((name, part) for name, part in network.named_modules() if isinstance(part, nn.Conv2d))
    if conv.in_channels == in_channels:
        return
    parent, _, last = name.rpartition(".")
    fresh = nn.Conv2d(
        in_channels,
        conv.out_channels,
        conv.kernel_size,  # pyright: ignore[reportArgumentType]
        stride=conv.stride,  # pyright: ignore[reportArgumentType]
        padding=conv.padding,  # pyright: ignore[reportArgumentType]
        bias=conv.bias is not None,
    )
    nn.init.kaiming_normal_(fresh.weight, mode="fan_out", nonlinearity="relu")
    setattr(network.get_submodule(parent), last, fresh)


def reason_of(error: Exception) -> str:
    """The beginning of what a library says in an error."""
    return shorten(str(error), 100) or type(error).__name__


def image(height: int, width: int, channels: int = 3) -> Tensor:
    """An image without numbers."""
    return torch.empty(1, channels, height, width, device="meta")
