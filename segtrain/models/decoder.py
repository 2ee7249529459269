"""From features back to class scores at the input's resolution, by transposed convolutions."""

from collections.abc import Sequence

from torch import Tensor, nn

from .blocks import ConvBNReLU, same_conv
from .initialize import initialize


class Upsample(nn.ConvTranspose2d):
    """Transposed convolution that multiplies H and W by `scale` and starts as bilinear interpolation.

    Kernel and padding follow Caffe's bilinear filler, which Long et al. 2015 use: 2 * scale - scale % 2, and
    ceil((scale - 1) / 2). Zeros lie beyond the border, where `F.interpolate` repeats the last pixel.
    """

    def __init__(self, in_channels: int, out_channels: int, scale: int, *, bias: bool = False) -> None:
        size = 2 * scale - scale % 2
        super().__init__(in_channels, out_channels, size, stride=scale, padding=scale // 2, bias=bias)

    def reset_parameters(self) -> None:
        initialize(self)


class Score(nn.Conv2d):
    """1x1 convolution from features to class scores."""

    scores = True  # read by `initialize`

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__(in_channels, num_classes, 1)

    def reset_parameters(self) -> None:
        initialize(self)


class Rung(nn.Module):
    """One step up: up-sample, add the skip, refine."""

    def __init__(self, up: Upsample, lateral: nn.Module, refine: nn.Module) -> None:
        super().__init__()
        self.up, self.lateral, self.refine = up, lateral, refine

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:  # (N, C, H/s, W/s), (N, C', H, W) -> (N, C'', H, W)
        return self.refine(self.up(x) + self.lateral(skip))


class Decoder(nn.Module):
    """Climbs from the coarsest feature over `skips` finer ones, then up-samples the scores to the input's size.

    With `widths`, U-shaped: each rung is a transposed convolution, plus a 1x1 of the skip, then a `ConvBNReLU`
    (Ronneberger et al. 2015, https://arxiv.org/abs/1505.04597, with a sum where they concatenate, which costs half).
    Without, the rungs carry class scores and nothing is refined: the ladder of Long et al. 2015
    (https://arxiv.org/abs/1411.4038, fig. 3). On an encoder of stride 32, 0, 1 and 2 skips are FCN-32s, -16s and -8s.

    Args:
        channels: of the encoder's features, fine to coarse.
        strides: of the encoder's features, in the same order.
        num_classes: of the scores.
        skips: how many features, from the second coarsest on, are added on the way up.
        widths: channels after each skip, coarse to fine; `None` for the ladder of scores.
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
        channels, strides = channels[::-1], strides[::-1]
        ladder = widths is None
        widths = [num_classes] * skips if widths is None else list(widths)

        self.top = Score(channels[0], num_classes) if ladder else nn.Identity()
        width = num_classes if ladder else channels[0]
        self.rungs = nn.ModuleList()
        for i, out in enumerate(widths):
            up = Upsample(width, out, strides[i] // strides[i + 1])
            if ladder:
                self.rungs.append(Rung(up, Score(channels[i + 1], out), nn.Identity()))
            else:
                self.rungs.append(Rung(up, same_conv(channels[i + 1], out, 1), ConvBNReLU(out, out)))
            width = out
        self.score = nn.Identity() if ladder else Score(width, num_classes)
        self.up = Upsample(num_classes, num_classes, strides[skips])
        self.reset_parameters()

    def forward(self, features: Sequence[Tensor]) -> Tensor:  # [(N, C_i, H/s_i, W/s_i)] -> (N, classes, H, W)
        coarsest, *finer = reversed(features)
        x = self.top(coarsest)
        for rung, skip in zip(self.rungs, finer, strict=False):
            x = rung(x, skip)
        return self.up(self.score(x))

    def reset_parameters(self) -> None:
        initialize(self)
