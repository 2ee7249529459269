"""The fully convolutional network: normalise, encode, gather context, decode."""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from .blocks import ConvBNReLU
from .context import ContextFactory
from .decoder import Decoder, Score, upsample_scores
from .normalized import Normalized

MANY_CLASSES = 64  # below, one dense up-sampling of all classes is up to one and a half times faster on a CPU


class FCN(Normalized):
    """An encoder and a decoder of transposed convolutions, for images of any size.

    Args:
        encoder: any module with `.channels` and `.strides` that maps an image to features, fine to coarse.
        context: makes a module that works on the coarsest feature before the decoder, for instance a partial of
            `PyramidPooling`; `None` for none.
        num_classes: channels of the logits.
        skips: number of features that the decoder joins on its way up.
        widths: channels of the decoder after each skip, coarse to fine; `None` for the ladder of Long et al. 2015.
        join: whether the decoder adds a skip, or concatenates it (see `Decoder`).
        grouped: whether the scores of each class are up-sampled by themselves, in both heads (see `Decoder`); `None`:
            in the auxiliary head, whose kernels are large, and in the other one for more than `MANY_CLASSES`.
        dropout: probability with which training drops a channel of the features that are scored, in both heads.
        auxiliary: whether a second head, on the second coarsest feature, is trained along
            (Zhao et al. 2017, https://arxiv.org/abs/1612.01105, section 3.3).
        auxiliary_stride: rows and columns from one that this head scores to the next. What it adds to a step on a CPU
            is a quarter with 1, and next to nothing with 4 (docs/experiments.md).
        mean: mean of each image channel, as a fraction of white (of float images: as it is); `None` for the encoder's,
            or 0.5 if it has none.
        std: standard deviation of each image channel; `None` for the encoder's, or 0.25 if it has none.
    """

    def __init__(
        self,
        *,
        encoder: nn.Module,
        context: ContextFactory | None = None,
        num_classes: int,
        skips: int,
        widths: Sequence[int] | None = None,
        join: Literal["add", "concat"] = "add",
        grouped: bool | None = False,  # as records have it that do not name it
        dropout: float = 0.0,
        auxiliary: bool = False,
        auxiliary_stride: int = 1,  # as records have it that do not name it
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        super().__init__(mean=mean or getattr(encoder, "mean", None), std=std or getattr(encoder, "std", None))
        channels, strides = described(encoder)
        self.encoder = encoder
        self.context = nn.Identity() if context is None else context(channels[-1])
        self.decoder = Decoder(
            channels=[*channels[:-1], getattr(self.context, "out_channels", channels[-1])],
            strides=strides,
            num_classes=num_classes,
            skips=skips,
            widths=widths,
            join=join,
            grouped=num_classes > MANY_CLASSES if grouped is None else grouped,
            dropout=dropout,
        )
        if auxiliary_stride < 1:
            raise ValueError(f"auxiliary_stride={auxiliary_stride}: expected 1 or more")
        self.auxiliary, self.auxiliary_stride = None, min(auxiliary_stride, strides[-2])
        if auxiliary:
            scale, by_class = steps_up(strides[-2], self.auxiliary_stride), grouped is not False
            self.auxiliary = auxiliary_head(channels[-2], num_classes, scale, by_class, dropout)
        self.coarsest = strides[-1]  # a multiple of the finer ones

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Logits (N, classes, H, W) of images (N, C, H, W) of any size, in uint8, uint16, or float.

        In training, a network with an auxiliary head returns the logits of both heads; those of the second one are of
        every `auxiliary_stride`-th row and column.
        """
        height, width = image.shape[-2:]
        *features, coarsest = self.encoder(pad(self.normalize(image), self.coarsest))
        logits = crop(self.decoder([*features, self.context(coarsest)]), height, width)
        if self.auxiliary is None or not self.training:
            return logits
        rows, columns = (-(-side // self.auxiliary_stride) for side in (height, width))
        return logits, crop(self.auxiliary(features[-1]), rows, columns)


def described(encoder: nn.Module) -> tuple[list[int], list[int]]:
    """Channels and strides of an encoder's features, fine to coarse. Raises ValueError if it does not have them."""
    channels, strides = getattr(encoder, "channels", None), getattr(encoder, "strides", None)
    if channels is None or strides is None:
        raise ValueError(f"encoder={type(encoder).__name__} lacks .channels or .strides of its features: see Encoder")
    return list(channels), list(strides)


def pad(image: Tensor, multiple: int) -> Tensor:
    """Repeat the last row and column until H and W are multiples of `multiple`; `crop` undoes it."""
    height, width = image.shape[-2:]
    if height % multiple == 0 and width % multiple == 0:
        return image
    return F.pad(image, (0, -width % multiple, 0, -height % multiple), mode="replicate")


def crop(logits: Tensor, height: int, width: int) -> Tensor:
    """The top left `height` x `width` of the logits."""
    if logits.shape[-2:] == (height, width):
        return logits  # the gradient of a slice costs a copy
    return logits[..., :height, :width]


def steps_up(stride: int, wanted: int) -> int:
    """By how much features of a stride are up-sampled to a finer one. Raises ValueError for one that does not divide
    it."""
    if stride % wanted:
        raise ValueError(f"auxiliary_stride={wanted}: expected a divisor of {stride}, the stride of the scored feature")
    return stride // wanted


def auxiliary_head(channels: int, num_classes: int, scale: int, grouped: bool, dropout: float) -> nn.Sequential:
    """Narrows features to a quarter of their channels, scores them, and up-samples the scores by `scale`."""
    width = max(channels // 4, num_classes)
    return nn.Sequential(
        ConvBNReLU(channels, width),
        Score(width, num_classes, dropout),
        upsample_scores(num_classes, scale, grouped),
    )
