"""From an image to features of falling resolution."""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor, nn

from .blocks import ConvBNReLU
from .initialize import initialize


class BlockFactory(Protocol):
    """Whatever makes a block: `Bottleneck`, `ConvBNReLU`, ... or a partial of one."""

    def __call__(self, in_channels: int, out_channels: int, *, stride: int, dilation: int) -> nn.Module: ...


class Encoder(nn.Module):
    """A stem of stride 2 and stages of blocks; ResNets are configurations of it (see `resnet`).

    Args:
        block: makes one block, for instance a partial of `Bottleneck`.
        widths: output channels of each stage.
        depths: blocks in each stage.
        strides: of each stage; the first block of the stage carries it.
        dilations: of each stage, from its second block on; the first block still has that of the stage before, as
            torchvision's `replace_stride_with_dilation` does. `None` means 1 everywhere.
        stem_width: channels of the stem.
        stem_kernel: its kernel.
        stem_pool: a 3x3 max pooling of stride 2 between the stem and the first stage, as ResNet has it.
        in_channels: of the image; `None` for 3, where no data say otherwise.

    Attributes:
        channels: of each feature, fine to coarse: the stem's, then each stage's.
        strides: input pixels per feature pixel, in the same order.
        mean, std: of each channel of the image, as its pretrained weights expect them; `None` without such weights.
    """

    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None

    def __init__(
        self,
        *,
        block: BlockFactory,
        widths: Sequence[int],
        depths: Sequence[int],
        strides: Sequence[int],
        dilations: Sequence[int] | None = None,
        stem_width: int = 32,
        stem_kernel: int = 3,
        stem_pool: bool = False,
        in_channels: int | None = None,
    ) -> None:
        super().__init__()
        dilations = dilations or [1] * len(widths)
        if not len(widths) == len(depths) == len(strides) == len(dilations):
            raise ValueError(
                f"widths ({len(widths)}), depths ({len(depths)}), strides ({len(strides)}) and "
                f"dilations ({len(dilations)}) need one entry per stage"
            )
        if min(depths) < 1:
            raise ValueError(f"depths={list(depths)}: every stage needs at least one block")
        for name, values in (("widths", widths), ("strides", strides), ("dilations", dilations)):
            if min(values) < 1:
                raise ValueError(f"{name}={list(values)}: expected whole numbers above 0")
        if stem_width < 1:
            raise ValueError(f"stem_width={stem_width}: expected a whole number above 0")
        self.stem = ConvBNReLU(in_channels or 3, stem_width, stem_kernel, stride=2)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1) if stem_pool else nn.Identity()
        self.stages = nn.ModuleList()
        self.channels, self.strides = [stem_width], [2]
        stride_so_far, previous = (4 if stem_pool else 2), 1
        for width, depth, stride, dilation in zip(widths, depths, strides, dilations, strict=True):
            self.stages.append(stage(block, self.channels[-1], width, depth, stride, (previous, dilation)))
            stride_so_far, previous = stride_so_far * stride, dilation
            self.channels.append(width)
            self.strides.append(stride_so_far)

    def forward(self, x: Tensor) -> list[Tensor]:  # (N, C, H, W) -> [(N, channels[i], H/strides[i], W/strides[i])]
        features = [self.stem(x)]
        x = self.pool(features[0])
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features

    def reset_parameters(self) -> None:
        initialize(self)

    def extra_repr(self) -> str:
        return f"channels={self.channels}, strides={self.strides}"


def stage(
    block: BlockFactory,
    in_channels: int,
    out_channels: int,
    depth: int,
    stride: int,
    dilations: tuple[int, int],
) -> nn.Sequential:
    """`depth` blocks; the first changes channels and resolution, and has its own dilation: (first, others)."""
    first = block(in_channels, out_channels, stride=stride, dilation=dilations[0])
    rest = [block(out_channels, out_channels, stride=1, dilation=dilations[1]) for _ in range(depth - 1)]
    return nn.Sequential(first, *rest)
