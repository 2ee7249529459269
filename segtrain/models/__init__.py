"""Networks and their blocks; needs torch alone."""

from .blocks import Bottleneck, ConvBNReLU, ConvReLU, DepthwiseSeparableConv
from .decoder import Decoder, Upsample
from .encoder import Encoder
from .fcn import FCN
from .resnet import resnet

__all__ = [
    "FCN",
    "Bottleneck",
    "ConvBNReLU",
    "ConvReLU",
    "Decoder",
    "DepthwiseSeparableConv",
    "Encoder",
    "Upsample",
    "resnet",
]
