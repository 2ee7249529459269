"""Batch norm that does not learn is a factor and a summand for each channel: the convolution before it computes both.

Jacob et al. 2018, https://arxiv.org/abs/1712.05877, section 3.2; the arithmetic is torch's own.
"""

from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

OWN = {"torch", "segtrain"}  # whose modules use no convolution apart from the batch norm that stands behind it
PLAIN = (nn.Conv2d, nn.ConvTranspose2d)  # and no class made of them, such as one whose weights are computed
USUAL = (nn.BatchNorm2d.forward, nn.SyncBatchNorm.forward)  # in place of which a class may have its own


class Folded:
    """Keeps the folded copy of a network for as long as the network's weights stay.

    It is no module, so that a module that has one does not save the copy.
    """

    def __init__(self) -> None:
        self._network: nn.Module | None = None

    def of(self, network: nn.Module) -> nn.Module:
        """The folded copy, with the weights that the network had at the first call since `forget`."""
        if self._network is None:
            self._network = folded(network)
        return self._network

    def forget(self) -> None:
        """Let the copy go, since the network's weights may change."""
        self._network = None


class Place(NamedTuple):
    """Where a convolution computes the batch norm that follows it: the names of a sequence and, in it, of both."""

    sequence: str
    conv: str
    norm: str


@torch.no_grad()
def folded(network: nn.Module) -> nn.Module:
    """A network in evaluation mode without the batch norms that its convolutions can compute: the same answers, up to
    rounding, in less time.

    It has the weights of now, and shares with the network all that stays as it is. A network without such batch norms
    is given back.
    """
    places = list(foldable(network))
    if not places:
        return network
    result = deepcopy(network, shared(network, places))
    for place in places:
        layers = result.get_submodule(place.sequence)
        conv, norm = layers.get_submodule(place.conv), layers.get_submodule(place.norm)
        setattr(layers, place.conv, fused(conv, norm))
        setattr(layers, place.norm, nn.Identity())
    return result


def shared(network: nn.Module, places: list[Place]) -> dict[int, Any]:
    """The modules of a network that contain none of these places, and all tensors, by their ids: what a copy keeps."""
    around = {""}
    for place in places:
        parts = place.sequence.split(".")
        around.update(".".join(parts[:depth]) for depth in range(1, len(parts) + 1))
    kept: dict[int, Any] = {id(module): module for name, module in network.named_modules() if name not in around}
    kept.update({id(tensor): tensor for tensor in network.parameters()})
    kept.update({id(tensor): tensor for tensor in network.buffers()})
    return kept


def fused(conv: Any, norm: Any) -> nn.Module:
    """One convolution for two modules, computed in float32 at least, and in the type of the first one's weights."""
    kind = conv.weight.dtype
    wide = torch.promote_types(kind, torch.float32)
    conv, norm = deepcopy(conv).to(wide), deepcopy(norm).to(wide)
    return fuse_conv_bn_eval(conv, norm, transpose=isinstance(conv, nn.ConvTranspose2d)).to(kind)


def foldable(network: nn.Module) -> Iterator[Place]:
    """Where convolutions of a network can compute the batch norm that follows them.

    A module that somebody else wrote may use a convolution apart from its batch norm, so what is inside is left alone.
    """
    uses = Counter(id(module) for _, module in network.named_modules(remove_duplicate=False))
    foreign = [name for name, module in network.named_modules() if type(module).__module__.split(".")[0] not in OWN]
    for name, module in network.named_modules():
        if type(module).forward is not nn.Sequential.forward or any(is_inside(name, other) for other in foreign):
            continue
        for (first, conv), (second, norm) in pairwise(module._modules.items()):
            if takes_over(conv, norm) and uses[id(conv)] == uses[id(norm)] == 1:
                yield Place(name, first, second)


def is_inside(name: str, other: str) -> bool:
    """Whether a module of this name is the other one, or a part of it."""
    return not other or name == other or name.startswith(f"{other}.")


def takes_over(conv: nn.Module | None, norm: nn.Module | None) -> bool:
    """Whether a convolution can compute the batch norm that follows it, which nobody looks at in between."""
    if conv is None or type(conv) not in PLAIN or not isinstance(norm, nn.BatchNorm2d | nn.SyncBatchNorm):
        return False
    if isinstance(conv, nn.ConvTranspose2d) and conv.groups > 1:  # torch takes its weights for those of one group
        return False
    learns = conv.training or norm.training or norm.running_mean is None
    return type(norm).forward in USUAL and not learns and not is_watched(conv) and not is_watched(norm)


def is_watched(module: nn.Module) -> bool:
    """Whether something is called whenever this module is."""
    return bool(module._forward_hooks or module._forward_pre_hooks)
