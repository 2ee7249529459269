"""From features back to class scores at the input's resolution, by transposed convolutions."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .blocks import ConvBNReLU, same_conv
from .initialize import initialize


class Upsample(nn.ConvTranspose2d):
    """Transposed convolution that multiplies H and W by `scale` and starts as bilinear interpolation.

    The kernel size, 2 * scale - scale % 2, and the padding, ceil((scale - 1) / 2), are those of Caffe's bilinear
    filler, which Long et al. 2015 use. Beyond the border lie zeros, where `F.interpolate` repeats the last pixel.
    """

    def __init__(self, in_channels: int, out_channels: int, scale: int, *, groups: int = 1, bias: bool = False) -> None:
        size = 2 * scale - scale % 2
        super().__init__(in_channels, out_channels, size, stride=scale, padding=scale // 2, groups=groups, bias=bias)

    def reset_parameters(self) -> None:  # torch's constructor calls it
        initialize(self)


class UpsampleByChannel(Upsample):
    """An `Upsample` that gives each channel a kernel of its own: C of them, where a dense one has C x C.

    It computes in float32 at least, and in planes, whatever autocast and the order in memory are: on CPUs, torch's
    grouped transposed convolutions are several times slower in bfloat16, and a loss wants both in any case.
    """

    def __init__(self, channels: int, scale: int) -> None:
        super().__init__(channels, channels, scale, groups=channels)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:  # (N, C, H, W) -> (N, C, H * scale, W * scale)
        kind = torch.promote_types(x.dtype, torch.float32)
        x = x.to(kind).contiguous()
        weight = self.weight.to(kind, memory_format=torch.contiguous_format)
        with without_autocast(x.device.type):
            return F.conv_transpose2d(x, weight, stride=self.scale, padding=self.scale // 2, groups=self.groups)


def without_autocast(device: str) -> AbstractContextManager:
    """Inside, operations on a kind of device compute in the types that they are given."""
    if device != "meta" and torch.is_autocast_enabled(device):
        return torch.autocast(device, enabled=False)
    return nullcontext()


class Score(nn.Conv2d):
    """1x1 convolution from features to class scores.

    Args:
        dropout: probability with which training sets a whole channel of the features to zero, as neighbours within a
            channel are alike (Tompson et al. 2015, https://arxiv.org/abs/1411.4280, section 3.2).
    """

    scores = True  # read by `initialize`

    def __init__(self, in_channels: int, num_classes: int, dropout: float = 0.0) -> None:
        super().__init__(in_channels, num_classes, 1)
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:  # (N, C, H, W) -> (N, classes, H, W)
        return super().forward(F.dropout2d(x, self.dropout, self.training))

    def reset_parameters(self) -> None:  # torch's constructor calls it
        initialize(self)


class Rung(nn.Module):
    """One step up the decoder: up-sample, add the skip, refine."""

    inputs = 1  # of `refine`: features of the rung's width

    def __init__(self, up: Upsample, lateral: nn.Module, refine: nn.Module) -> None:
        super().__init__()
        self.up, self.lateral, self.refine = up, lateral, refine

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:  # (N, C, H/s, W/s), (N, C', H, W) -> (N, C'', H, W)
        return self.refine(self.up(x) + self.lateral(skip))


class ConcatRung(Rung):
    """One step up the decoder: up-sample, put the skip beside it, refine both."""

    inputs = 2

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:  # (N, C, H/s, W/s), (N, C', H, W) -> (N, C'', H, W)
        return self.refine(torch.cat([self.up(x), self.lateral(skip)], dim=1))


RUNGS = {"add": Rung, "concat": ConcatRung}


class Decoder(nn.Module):
    """Climbs from the coarsest feature over `skips` finer ones, then up-samples the scores to the input's size.

    With `widths` the decoder is U-shaped: each rung joins a 1x1 convolution of the skip to the up-sampled feature and
    refines the result by a `ConvBNReLU` (Ronneberger et al. 2015, https://arxiv.org/abs/1505.04597; they concatenate
    the skip itself). Without `widths` it is the ladder of Long et al. 2015 (https://arxiv.org/abs/1411.4038, fig. 3):
    the rungs add class scores, and nothing refines them. On an encoder of stride 32, 0, 1 and 2 skips are FCN-32s, -16s
    and -8s.

    Args:
        channels: channels of each feature of the encoder, fine to coarse.
        strides: strides of the features, in the same order.
        num_classes: channels of the logits.
        skips: number of features that are joined on the way up, beginning with the second coarsest.
        widths: channels after each skip, coarse to fine; `None` for the ladder of class scores.
        join: whether rungs add the skip, or concatenate it, at which refining costs twice as much.
        grouped: whether the scores of each class are up-sampled by a kernel of their own. Otherwise every class is
            made of all, at num_classes times the cost, as in the networks of segtrain 0.1.
        dropout: probability with which training drops a channel of the features that are scored.
    """

    def __init__(
        self,
        *,
        channels: Sequence[int],
        strides: Sequence[int],
        num_classes: int,
        skips: int,
        widths: Sequence[int] | None = None,
        join: Literal["add", "concat"] = "add",
        grouped: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        refuse_rungs(len(channels), skips, widths, join)
        if num_classes < 1:
            raise ValueError(f"num_classes={num_classes}: expected 1 or more")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout={dropout}: expected 0 or more, and less than 1")
        channels, strides = channels[::-1], strides[::-1]  # coarse to fine, the way up
        skip_channels = channels[1 : skips + 1]
        scales = [coarse // fine for coarse, fine in pairwise(strides[: skips + 1])]
        if widths is None:
            self.top = Score(channels[0], num_classes, dropout)
            self.rungs = score_rungs(skip_channels, scales, num_classes, grouped, dropout)
            self.score = nn.Identity()
        else:
            self.top = nn.Identity()
            self.rungs = refining_rungs(channels[0], skip_channels, scales, widths, RUNGS[join])
            self.score = Score([channels[0], *widths][-1], num_classes, dropout)
        self.up = upsample_scores(num_classes, strides[skips], grouped)
        initialize(self)

    def forward(self, features: Sequence[Tensor]) -> Tensor:  # [(N, C_i, H/s_i, W/s_i)] -> (N, classes, H, W)
        coarsest, *finer = reversed(features)
        x = self.top(coarsest)
        for rung, skip in zip(self.rungs, finer, strict=False):
            x = rung(x, skip)
        return self.up(self.score(x))


def refuse_rungs(features: int, skips: int, widths: Sequence[int] | None, join: str) -> None:
    """Raises ValueError for rungs that do not fit an encoder of so many features, or one another."""
    if not 0 <= skips < features:
        raise ValueError(f"skips={skips}: this encoder has 0 to {features - 1} features to skip from")
    if widths is not None and len(widths) != skips:
        raise ValueError(f"widths has {len(widths)} entries for skips={skips}: give one width per skip, or null")
    if widths and min(widths) < 1:
        raise ValueError(f"widths={list(widths)}: expected whole numbers above 0")
    if join not in RUNGS:
        raise ValueError(f"join={join}: expected {' or '.join(RUNGS)}")
    if widths is None and join != "add":
        raise ValueError(f"join={join}: without widths, rungs add scores: give one width per skip, or take join=add")


def upsample_scores(num_classes: int, scale: int, grouped: bool) -> Upsample:
    """Multiplies H and W of class scores by `scale`: each class by itself, or all by all."""
    return UpsampleByChannel(num_classes, scale) if grouped else Upsample(num_classes, num_classes, scale)


def score_rungs(
    skip_channels: Sequence[int], scales: Sequence[int], num_classes: int, grouped: bool, dropout: float
) -> nn.ModuleList:
    """Rungs that carry class scores: each adds the scores of a skip to those from below."""
    rungs = nn.ModuleList()
    for channels, scale in zip(skip_channels, scales, strict=True):
        up, lateral = upsample_scores(num_classes, scale, grouped), Score(channels, num_classes, dropout)
        rungs.append(Rung(up, lateral, nn.Identity()))
    return rungs


def refining_rungs(
    in_channels: int,
    skip_channels: Sequence[int],
    scales: Sequence[int],
    widths: Sequence[int],
    kind: type[Rung],
) -> nn.ModuleList:
    """Rungs that carry features: each gives one of `widths` channels, from a feature of `in_channels` on."""
    rungs = nn.ModuleList()
    for channels, scale, width in zip(skip_channels, scales, widths, strict=True):
        up, lateral = Upsample(in_channels, width, scale), same_conv(channels, width, 1)
        rungs.append(kind(up, lateral, ConvBNReLU(kind.inputs * width, width)))
        in_channels = width
    return rungs
