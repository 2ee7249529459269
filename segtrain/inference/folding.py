"""Batch norm that does not learn is a factor and a summand for each channel: the convolution before it computes both.

Jacob et al. 2018, https://arxiv.org/abs/1712.05877, section 3.2; the arithmetic is torch's own.
"""

from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from itertools import chain, pairwise

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

OWN = {"torch", "segtrain"}  # whose modules call what stands in a sequence as a whole, and nothing in it alone
PLAIN = (nn.Conv2d, nn.ConvTranspose2d)  # and no class made of them, such as one whose weights are computed


@torch.no_grad()
def folded(network: nn.Module) -> nn.Module:
    """A network in evaluation mode without the batch norms that its convolutions can compute: the same answers, up to
    rounding, in less time.

    It has the weights of now. Those that stay as they are belong to both networks; one without such batch norms is
    given back.
    """
    places = list(foldable(network))
    if not places:
        return network
    tensors = {id(tensor): tensor for tensor in chain(network.parameters(), network.buffers())}
    result = deepcopy(network, tensors)
    for sequence, first, second in places:
        layers = result.get_submodule(sequence)
        conv, norm = layers.get_submodule(first), layers.get_submodule(second)
        fused = fuse_conv_bn_eval(conv, norm, transpose=isinstance(conv, nn.ConvTranspose2d))  # type: ignore[arg-type, type-var]
        setattr(layers, first, fused)
        setattr(layers, second, nn.Identity())
    return result


def foldable(network: nn.Module) -> Iterator[tuple[str, str, str]]:
    """The sequences in a network, by their names, with the names in them of a convolution and of the batch norm that
    follows it.

    A module that somebody else wrote may use a convolution apart from its batch norm, so what is inside is left alone.
    """
    uses = Counter(id(module) for _, module in network.named_modules(remove_duplicate=False))
    foreign = [name for name, module in network.named_modules() if type(module).__module__.split(".")[0] not in OWN]
    for name, module in network.named_modules():
        if type(module).forward is not nn.Sequential.forward or any(is_inside(name, other) for other in foreign):
            continue
        for (first, conv), (second, norm) in pairwise(module._modules.items()):
            if takes_over(conv, norm) and uses[id(conv)] == uses[id(norm)] == 1:
                yield name, first, second


def is_inside(name: str, other: str) -> bool:
    """Whether a module of this name is the other one, or a part of it."""
    return not other or name == other or name.startswith(f"{other}.")


def takes_over(conv: nn.Module | None, norm: nn.Module | None) -> bool:
    """Whether a convolution can compute the batch norm that follows it, which nobody looks at in between."""
    if conv is None or type(conv) not in PLAIN or not isinstance(norm, nn.BatchNorm2d):
        return False
    if isinstance(conv, nn.ConvTranspose2d) and conv.groups > 1:  # torch takes its weights for those of one group
        return False
    is_usual = type(norm).forward is nn.BatchNorm2d.forward
    learns = norm.training or norm.running_mean is None
    is_watched = conv._forward_hooks or norm._forward_hooks or norm._forward_pre_hooks
    return is_usual and not learns and not is_watched
