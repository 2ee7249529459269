"""A stored prior correction is applied to a network. A file of its own, since reading one must not import torch."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from .correction import Correction


def correct(network: nn.Module, correction: Correction) -> RemovableHandle:
    """Have a network give corrected logits in evaluation mode, until what is returned is removed.

    It is a hook, so that the network keeps its type and the names of its parameters. In training mode, where a loss is
    what the logits go to, nothing is added.
    """
    return network.register_forward_hook(Shift(correction.offsets))


class Shift:
    """A forward hook that adds a number to the logits of each class."""

    def __init__(self, offsets: tuple[float, ...]) -> None:
        self.offsets = offsets

    def __call__(self, network: nn.Module, inputs: Any, logits: Any) -> Tensor | None:
        return None if network.training else shifted(logits, self.offsets)


def shifted(logits: Tensor, offsets: tuple[float, ...]) -> Tensor:
    """Logits (N, classes, H, W) with a number added to those of each class; in float32, or float64 if they are."""
    added = torch.tensor(offsets, dtype=torch.float32, device=logits.device)
    return logits + added[:, None, None]
