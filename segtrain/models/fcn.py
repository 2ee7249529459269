"""The fully convolutional network: normalise, encode, decode."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from .blocks import ConvBNReLU
from .decoder import Decoder, Score, Upsample
from .normalized import Normalized


class FCN(Normalized):
    """An encoder and a decoder of transposed convolutions, for images of any size.

    Args:
        encoder: any module with `.channels` and `.strides` that maps an image to features, fine to coarse.
        num_classes: channels of the logits.
        skips: number of features that the decoder adds on its way up.
        widths: channels of the decoder after each skip, coarse to fine; `None` for the ladder of Long et al. 2015.
        auxiliary: whether a second head, on the second coarsest feature, is trained along
            (Zhao et al. 2017, https://arxiv.org/abs/1612.01105, section 3.3).
        mean: mean of each image channel, as a fraction of white (of float images: as it is); `None` for the encoder's,
            or 0.5 if it has none.
        std: standard deviation of each image channel; `None` for the encoder's, or 0.25 if it has none.
    """

    def __init__(
        self,
        *,
        encoder: nn.Module,
        num_classes: int,
        skips: int,
        widths: Sequence[int] | None = None,
        auxiliary: bool = False,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        super().__init__(
            mean=mean or getattr(encoder, "mean", None),
            std=std or getattr(encoder, "std", None),
        )
        channels, strides = getattr(encoder, "channels", None), getattr(encoder, "strides", None)
        if channels is None or strides is None:
            raise ValueError(
                f"encoder={type(encoder).__name__} lacks .channels or .strides of its features: see Encoder"
            )
        self.encoder = encoder
        self.decoder = Decoder(channels=channels, strides=strides, num_classes=num_classes, skips=skips, widths=widths)
        self.auxiliary = auxiliary_head(channels[-2], num_classes, strides[-2]) if auxiliary else None
        self.coarsest = strides[-1]  # a multiple of the finer ones

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Logits (N, classes, H, W) of images (N, C, H, W) of any size, in uint8, uint16, or float.

        In training, a network with an auxiliary head returns the logits of both heads.
        """
        height, width = image.shape[-2:]
        features = self.encoder(pad(self.normalize(image), self.coarsest))
        logits = crop(self.decoder(features), height, width)
        if self.auxiliary is None or not self.training:
            return logits
        return logits, crop(self.auxiliary(features[-2]), height, width)


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


def auxiliary_head(channels: int, num_classes: int, stride: int) -> nn.Sequential:
    """Narrows features to a quarter of their channels, scores them, and up-samples the scores by `stride`."""
    width = max(channels // 4, num_classes)
    return nn.Sequential(
        ConvBNReLU(channels, width), Score(width, num_classes), Upsample(num_classes, num_classes, stride)
    )
