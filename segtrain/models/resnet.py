"""torchvision's ResNets as configurations of `Encoder`, with their ImageNet weights."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Literal, NamedTuple

from torch import Tensor

from ..weights import fitted, without_prefix
from .blocks import BasicBlock, Bottleneck
from .encoder import Encoder
from .pretrained import torchvision_weights

NARROW, WIDE = (64, 128, 256, 512), (256, 512, 1024, 2048)  # channels; a bottleneck is four times as wide outside


class Design(NamedTuple):
    """What tells a ResNet from others."""

    block: type[BasicBlock] | type[Bottleneck]
    widths: tuple[int, int, int, int]
    depths: tuple[int, int, int, int]


DESIGNS = {  # by the number of layers
    18: Design(BasicBlock, NARROW, (2, 2, 2, 2)),
    34: Design(BasicBlock, NARROW, (3, 4, 6, 3)),
    50: Design(Bottleneck, WIDE, (3, 4, 6, 3)),
    101: Design(Bottleneck, WIDE, (3, 4, 23, 3)),
    152: Design(Bottleneck, WIDE, (3, 8, 36, 3)),
}

# torchvision's names -> ours; the last convolution of a block has no ReLU, so that it and its norm lie one level higher
NAMES = (
    (r"^conv1\.", "stem.0."),
    (r"^bn1\.", "stem.1."),
    (r"^layer(\d)\.(\d+)\.", lambda m: f"stages.{int(m[1]) - 1}.{m[2]}."),
    (r"\.downsample\.", ".shortcut."),
)
NAMES_IN_BASIC_BLOCK = (
    (r"\.conv1\.", ".residual.0.0."),
    (r"\.bn1\.", ".residual.0.1."),
    (r"\.conv2\.", ".residual.1."),
    (r"\.bn2\.", ".residual.2."),
)
NAMES_IN_BOTTLENECK = (
    (r"\.conv([12])\.", lambda m: f".residual.{int(m[1]) - 1}.0."),
    (r"\.bn([12])\.", lambda m: f".residual.{int(m[1]) - 1}.1."),
    (r"\.conv3\.", ".residual.2."),
    (r"\.bn3\.", ".residual.3."),
)


def resnet(
    *,
    layers: Literal[18, 34, 50, 101, 152],
    strides: Sequence[int] = (1, 2, 2, 2),
    dilations: Sequence[int] = (1, 1, 1, 1),
    output_stride: int | None = None,
    weights: str | None = None,
    zero_init: bool = False,
    in_channels: int | None = None,
) -> Encoder:
    """ResNet of 18 to 152 layers without its classifier (He et al. 2015, https://arxiv.org/abs/1512.03385).

    Args:
        layers: number of layers; 18 and 34 are of basic blocks, the others of bottlenecks.
        strides, dilations, output_stride: those of the stages, as in `Encoder`.
        weights: a name of torchvision's enum, such as `IMAGENET1K_V2`, or a file with torchvision's names for its
            tensors (see `torchvision_weights`). The encoder then carries the `mean` and `std` that they expect.
        in_channels: channels of the image; `None` means 3, unless the data say otherwise.

    Raises:
        ValueError: for another number of layers, for weights that torchvision does not have, and for weights together
            with images that are not RGB.
    """
    if layers not in DESIGNS:
        raise ValueError(f"layers={layers}: torchvision's ResNets have {', '.join(map(str, DESIGNS))}")
    if weights is not None and in_channels not in (None, 3):
        raise ValueError(f"weights={weights} are for RGB: take in_channels=3, not {in_channels}, or weights=null")
    design = DESIGNS[layers]
    encoder = Encoder(
        block=partial(design.block, zero_init=zero_init),
        widths=design.widths,
        depths=design.depths,
        strides=strides,
        dilations=dilations,
        output_stride=output_stride,
        stem_width=64,
        stem_kernel=7,
        stem_pool=True,
        in_channels=in_channels,
    )
    if weights is not None:
        load_pretrained(encoder, layers, weights)
    return encoder


def load_pretrained(encoder: Encoder, layers: int, name: str) -> None:
    """Fill `encoder` with torchvision's weights `name`, or those in a file, and note their mean and std on it."""
    pretrained = torchvision_weights(f"resnet{layers}", name)
    renamed = from_torchvision(without_prefix(pretrained.weights, ["conv1.weight"]))
    encoder.load_state_dict(fitted(renamed, encoder.state_dict(), name))
    encoder.mean, encoder.std = pretrained.mean, pretrained.std


def from_torchvision(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of a torchvision ResNet, without its classifier, under the names of `Encoder`."""
    bottlenecks = "layer1.0.conv3.weight" in state
    names = NAMES + (NAMES_IN_BOTTLENECK if bottlenecks else NAMES_IN_BASIC_BLOCK)
    renamed = {}
    for name, tensor in state.items():
        if name.startswith("fc."):
            continue
        for pattern, replacement in names:
            name = re.sub(pattern, replacement, name)
        renamed[name] = tensor
    return renamed
