"""From an image to features of falling resolution."""

from collections.abc import Sequence
from itertools import accumulate
from operator import mul
from typing import Protocol

from torch import Tensor, nn

from .blocks import ConvBNReLU


class BlockFactory(Protocol):
    """What makes one block of a stage: `Bottleneck`, `ConvBNReLU`, ... or a partial of one of them."""

    def __call__(self, in_channels: int, out_channels: int, *, stride: int, dilation: int) -> nn.Module: ...


class Encoder(nn.Module):
    """A stem of stride 2 and stages of blocks; ResNets are configurations of it (see `resnet`).

    Args:
        block: makes one block, for instance a partial of `Bottleneck`.
        widths: output channels of each stage.
        depths: number of blocks in each stage.
        strides: stride of each stage; its first block carries it.
        dilations: dilation of each stage, from its second block on; the first block has that of the stage before, as
            with torchvision's `replace_stride_with_dilation`. `None` means 1 everywhere.
        output_stride: stride of the coarsest feature, such as 16 or 8 in place of 32: dilation takes the place of the
            last strides (Chen et al. 2017, https://arxiv.org/abs/1706.05587, section 3.1). `None` keeps them all.
        stem_width: output channels of the stem.
        stem_kernel: kernel size of the stem.
        stem_pool: whether a 3x3 max pooling of stride 2 follows the stem, as in ResNet.
        in_channels: channels of the image; `None` means 3, unless the data say otherwise.

    Attributes:
        channels: channels of each feature, fine to coarse: the stem's, then each stage's.
        strides: input pixels per feature pixel, in the same order.
        mean, std: mean and standard deviation of each image channel that pretrained weights expect; `None` without.
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
        output_stride: int | None = None,
        stem_width: int = 32,
        stem_kernel: int = 3,
        stem_pool: bool = False,
        in_channels: int | None = None,
    ) -> None:
        super().__init__()
        dilations = dilations or [1] * len(widths)
        refuse_stages(widths, depths, strides, dilations)
        if stem_width < 1:
            raise ValueError(f"stem_width={stem_width}: expected a whole number above 0")
        total_stride = 4 if stem_pool else 2
        if output_stride is not None:
            strides, dilations = dilated(strides, dilations, total_stride, output_stride)
        self.stem = ConvBNReLU(in_channels or 3, stem_width, stem_kernel, stride=2)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1) if stem_pool else nn.Identity()
        self.stages = nn.ModuleList()
        self.channels, self.strides = [stem_width], [2]
        first_dilation = 1
        for width, depth, stride, dilation in zip(widths, depths, strides, dilations, strict=True):
            self.stages.append(make_stage(block, self.channels[-1], width, depth, stride, (first_dilation, dilation)))
            total_stride *= stride
            first_dilation = dilation
            self.channels.append(width)
            self.strides.append(total_stride)

    def forward(self, x: Tensor) -> list[Tensor]:  # (N, C, H, W) -> [(N, channels[i], H/strides[i], W/strides[i])]
        features = [self.stem(x)]
        x = self.pool(features[0])
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features

    def extra_repr(self) -> str:
        return f"channels={self.channels}, strides={self.strides}"


def refuse_stages(
    widths: Sequence[int], depths: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> None:
    """Raises ValueError for settings of stages that are not one number above 0 for each."""
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


def dilated(
    strides: Sequence[int], dilations: Sequence[int], stem_stride: int, output_stride: int
) -> tuple[list[int], list[int]]:
    """(strides, dilations) of stages that end at `output_stride`: strides that lead beyond it become dilations.

    Behind a stem of stride 4, the strides (1, 2, 2, 2) and an output stride of 8 give strides (1, 2, 1, 1) and
    dilations (1, 1, 2, 4).
    """
    reached = list(accumulate([stem_stride, *strides], mul))
    totals = reached[1:]  # stride at the end of each stage
    if output_stride not in reached:
        possible = ", ".join(map(str, sorted(set(reached))))
        raise ValueError(f"output_stride={output_stride}: this encoder can end at a stride of {possible}")
    kept = [stride if total <= output_stride else 1 for stride, total in zip(strides, totals, strict=True)]
    spread = [dilation * max(total // output_stride, 1) for dilation, total in zip(dilations, totals, strict=True)]
    return kept, spread


def make_stage(
    block: BlockFactory,
    in_channels: int,
    out_channels: int,
    depth: int,
    stride: int,
    dilations: tuple[int, int],
) -> nn.Sequential:
    """A stage of `depth` blocks, of which the first changes channels and resolution.

    Args:
        dilations: of the first block, and of all others.
    """
    first = block(in_channels, out_channels, stride=stride, dilation=dilations[0])
    rest = [block(out_channels, out_channels, stride=1, dilation=dilations[1]) for _ in range(depth - 1)]
    return nn.Sequential(first, *rest)
