"""Networks and encoders that others wrote, behind the contract of `segtrain.models.FCN`.

A network takes images of any size in uint8, uint16 or float, normalises them itself, and returns logits, in training
with those of its auxiliary head, if it has one: of every `auxiliary_stride`-th row and column, or of all if it does not
say so. An encoder has `.channels` and `.strides`, and `FCN` is built upon it.
Libraries are imported when one of their networks is built. Names are looked up in the library's own list: a name that
someone stored opens no connection and imports nothing.
"""

from .smp import SmpEncoder, SmpNetwork
from .timm import TimmEncoder
from .torchvision import TorchvisionBackbone, TorchvisionEncoder, TorchvisionNetwork

__all__ = ["SmpEncoder", "SmpNetwork", "TimmEncoder", "TorchvisionBackbone", "TorchvisionEncoder", "TorchvisionNetwork"]
