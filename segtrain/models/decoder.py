"""From features back to class scores at the input's resolution, by transposed convolutions."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from .blocks import ConvBNReLU, same_conv
from .initialize import initialize


class Upsample(nn.ConvTranspose2d):
    """Transposed convolution that multiplies H and W by `scale` and starts as bilinear interpolation.

    The kernel size, 2 * scale - scale % 2, and the padding, ceil((scale - 1) / 2), are those of Caffe's bilinear
    filler, which Long et al. 2015 use. Beyond the border lie zeros, where `F.interpolate` repeats the last pixel.
    """

    def __init__(self, in_channels: int, out_channels: int, scale: int, *, bias: bool = False) -> None:
        size = 2 * scale - scale % 2
        super().__init__(in_channels, out_channels, size, stride=scale, padding=scale // 2, bias=bias)

    def reset_parameters(self) -> None:  # torch's constructor calls it
        initialize(self)


class Score(nn.Conv2d):
    """1x1 convolution from features to class scores."""

    scores = True  # read by `initialize`

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__(in_channels, num_classes, 1)

    def reset_parameters(self) -> None:  # torch's constructor calls it
        initialize(self)


class Rung(nn.Module):
    """One step up the decoder: up-sample, add the skip, refine."""

    def __init__(self, up: Upsample, lateral: nn.Module, refine: nn.Module) -> None:
        super().__init__()
        self.up, self.lateral, self.refine = up, lateral, refine

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:  # (N, C, H/s, W/s), (N, C', H, W) -> (N, C'', H, W)
        return self.refine(self.up(x) + self.lateral(skip))


class Decoder(nn.Module):
    """Climbs from the coarsest feature over `skips` finer ones, then up-samples the scores to the input's size.

    With `widths` the decoder is U-shaped: each rung adds a 1x1 convolution of the skip to the up-sampled feature and
    refines the sum by a `ConvBNReLU` (Ronneberger et al. 2015, https://arxiv.org/abs/1505.04597; they concatenate
    instead, which costs twice as much). Without `widths` it is the ladder of Long et al. 2015
    (https://arxiv.org/abs/1411.4038, fig. 3): the rungs carry class scores, and nothing refines them. On an encoder of
    stride 32, 0, 1 and 2 skips are FCN-32s, -16s and -8s.

    Args:
        channels: channels of each feature of the encoder, fine to coarse.
        strides: strides of the features, in the same order.
        num_classes: channels of the logits.
        skips: number of features that are added on the way up, beginning with the second coarsest.
        widths: channels after each skip, coarse to fine; `None` for the ladder of class scores.
    """

    def __init__(
        self,
        *,
        channels: Sequence[int],
        strides: Sequence[int],
        num_classes: int,
        skips: int,
        widths: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= skips < len(channels):
            raise ValueError(f"skips={skips}: this encoder has 0 to {len(channels) - 1} features to skip from")
        if widths is not None and len(widths) != skips:
            raise ValueError(f"widths has {len(widths)} entries for skips={skips}: give one width per skip, or null")
        if widths and min(widths) < 1:
            raise ValueError(f"widths={list(widths)}: expected whole numbers above 0")
        if num_classes < 1:
            raise ValueError(f"num_classes={num_classes}: expected 1 or more")
        channels, strides = channels[::-1], strides[::-1]  # coarse to fine, the way up
        skip_channels = channels[1 : skips + 1]
        scales = [coarse // fine for coarse, fine in pairwise(strides[: skips + 1])]
        if widths is None:
            self.top = Score(channels[0], num_classes)
            self.rungs = score_rungs(skip_channels, scales, num_classes)
            self.score = nn.Identity()
        else:
            self.top = nn.Identity()
            self.rungs = refining_rungs(channels[0], skip_channels, scales, widths)
            self.score = Score([channels[0], *widths][-1], num_classes)
        self.up = Upsample(num_classes, num_classes, strides[skips])
        initialize(self)

    def forward(self, features: Sequence[Tensor]) -> Tensor:  # [(N, C_i, H/s_i, W/s_i)] -> (N, classes, H, W)
        coarsest, *finer = reversed(features)
        x = self.top(coarsest)
        for rung, skip in zip(self.rungs, finer, strict=False):
            x = rung(x, skip)
        return self.up(self.score(x))


def score_rungs(skip_channels: Sequence[int], scales: Sequence[int], num_classes: int) -> nn.ModuleList:
    """Rungs that carry class scores: each adds the scores of a skip to those from below."""
    rungs = nn.ModuleList()
    for channels, scale in zip(skip_channels, scales, strict=True):
        rungs.append(Rung(Upsample(num_classes, num_classes, scale), Score(channels, num_classes), nn.Identity()))
    return rungs


def refining_rungs(
    in_channels: int, skip_channels: Sequence[int], scales: Sequence[int], widths: Sequence[int]
) -> nn.ModuleList:
    """Rungs that carry features: each gives one of `widths` channels, from a feature of `in_channels` on."""
    rungs = nn.ModuleList()
    for channels, scale, width in zip(skip_channels, scales, widths, strict=True):
        up, lateral = Upsample(in_channels, width, scale), same_conv(channels, width, 1)
        rungs.append(Rung(up, lateral, ConvBNReLU(width, width)))
        in_channels = width
    return rungs
