"""Networks and their blocks; needs torch alone."""

from .blocks import BasicBlock, Bottleneck, ConvBNReLU, ConvReLU, DepthwiseSeparableConv
from .context import AtrousPyramid, PyramidPooling
from .decoder import Decoder, Upsample, UpsampleByChannel
from .encoder import Encoder
from .fcn import FCN
from .resnet import resnet

__all__ = [
    "FCN",
    "AtrousPyramid",
    "BasicBlock",
    "Bottleneck",
    "ConvBNReLU",
    "ConvReLU",
    "Decoder",
    "DepthwiseSeparableConv",
    "Encoder",
    "PyramidPooling",
    "Upsample",
    "UpsampleByChannel",
    "resnet",
]
