"""The fully convolutional network: normalise, encode, decode."""

from collections.abc import Sequence
from math import lcm

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .blocks import ConvBNReLU
from .decoder import Decoder, Score, Upsample


class FCN(nn.Module):
    """An encoder and a decoder of transposed convolutions, for images of any size.

    Args:
        encoder: any module with `.channels` and `.strides` that maps an image to features, fine to coarse.
        num_classes: of the logits.
        skips: features that the decoder adds on its way up, see `Decoder`.
        widths: channels after each skip; `None` for the ladder of Long et al.
        auxiliary: a second head on the second coarsest feature, used in training only
            (Zhao et al. 2017, https://arxiv.org/abs/1612.01105, section 3.3).
        mean: of each channel, as a fraction of white; `None` for the encoder's own, or else 0.5.
        std: likewise; `None` for the encoder's own, or else 0.25.
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
        super().__init__()
        self.encoder = encoder
        self.decoder = Decoder(
            channels=encoder.channels, strides=encoder.strides, num_classes=num_classes, skips=skips, widths=widths
        )
        self.auxiliary = auxiliary_head(encoder.channels[-2], num_classes, encoder.strides[-2]) if auxiliary else None
        mean = mean if mean is not None else getattr(encoder, "mean", [0.5])
        std = std if std is not None else getattr(encoder, "std", [0.25])
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1))

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Logits (N, classes, H, W) of images (N, C, H, W), H and W >= 1: uint8, uint16, or float in 0..1.

        In training with an auxiliary head: the logits, and those of the auxiliary head.
        """
        height, width = image.shape[-2:]
        features = self.encoder(pad(self.normalize(image), lcm(*self.encoder.strides)))
        logits = crop(self.decoder(features), height, width)
        if self.auxiliary is None or not self.training:
            return logits
        return logits, crop(self.auxiliary(features[-2]), height, width)

    def normalize(self, image: Tensor) -> Tensor:
        if not image.is_floating_point():
            image = image.float() / torch.iinfo(image.dtype).max
        return (image - self.mean) / self.std

    def reset_parameters(self) -> None:
        """Draw all parameters anew; mean and std, which belong to the data, stay."""
        for part in (self.encoder, self.decoder, *(self.auxiliary or ())):
            part.reset_parameters()

    def extra_repr(self) -> str:
        return f"mean={self.mean.flatten().tolist()}, std={self.std.flatten().tolist()}"


def pad(image: Tensor, multiple: int) -> Tensor:
    """Repeat the last row and column until H and W are multiples; `crop` undoes it."""
    height, width = image.shape[-2:]
    if height % multiple == 0 and width % multiple == 0:
        return image
    return F.pad(image, (0, -width % multiple, 0, -height % multiple), mode="replicate")


def crop(logits: Tensor, height: int, width: int) -> Tensor:
    """The top left H x W; untouched where that is all, since the gradient of a slice costs a copy."""
    return logits if logits.shape[-2:] == (height, width) else logits[..., :height, :width]


def auxiliary_head(channels: int, num_classes: int, stride: int) -> nn.Sequential:
    """A quarter of the channels, scores, and one up-sampling."""
    width = max(channels // 4, num_classes)
    return nn.Sequential(
        ConvBNReLU(channels, width), Score(width, num_classes), Upsample(num_classes, num_classes, stride)
    )
