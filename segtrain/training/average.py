"""The moving average of a network's weights."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ..machine.shards import local


class MovingAverage(nn.Module):
    """A copy of a network that follows it slowly, and takes no gradients.

    The decay grows with the number n of updates as (1 + n) / (10 + n), like that of TensorFlow's
    ExponentialMovingAverage: without this ramp, the average of a short training would be its beginning. The number is
    kept as a Python int too, so that no update waits for the device, which torch's AveragedModel does twice.

    Args:
        decay: The greatest share of the average that stays in an update, 0 to 1.
    """

    n_averaged: Tensor

    def __init__(self, network: nn.Module, decay: float) -> None:
        super().__init__()
        self.module = deepcopy(network).requires_grad_(False)
        self.decay, self.updates = decay, 0
        self.followed: tuple[nn.Module | None, list[Pair]] = None, []  # in the last update
        self.register_buffer("n_averaged", torch.zeros((), dtype=torch.int64))
        self.register_load_state_dict_post_hook(take_count)

    @torch.no_grad()
    def update_parameters(self, network: nn.Module) -> None:
        """Move towards the network; the first update copies it. Where both are shared out, a part follows a part."""
        if self.followed[0] is not network:  # both on their device by now, where moving may have parted what was one
            self.followed = network, list(zip(places(self.module), places(network), strict=True))
        averages, values, counts, counted = [], [], [], []
        for own, place in self.followed[1]:
            average, value = own.tensor(), place.tensor()
            if average.is_floating_point():
                averages.append(average)
                values.append(value)
            else:
                counts.append(average)
                counted.append(value)
        if counts:
            torch._foreach_copy_(counts, counted)  # pyright: ignore[reportPrivateImportUsage]
        n = self.updates
        decay = min(self.decay, (1 + n) / (10 + n)) if n else 0.0
        get_ema_multi_avg_fn(decay)(averages, values, n)
        self.updates += 1
        self.n_averaged += 1


class Slot(NamedTuple):
    """Where a weight or a buffer is, which stays the same when another tensor takes its place, as on another device."""

    tensors: Mapping[str, Any]  # a module's weights, or its buffers: to ask the module itself takes five times as long
    name: str

    def tensor(self) -> Tensor:
        """What is there; of what is shared out, this process's part."""
        return local(self.tensors[self.name])


Pair = tuple[Slot, Slot]  # of the average, and of what it follows


def places(network: nn.Module) -> list[Slot]:
    """The places of all weights and buffers, each once. To look for them in each step would take as long as to average
    them."""
    found: dict[int, Slot] = {}
    for owner in network.modules():
        for tensors in (owner._parameters, owner._buffers):
            for name, tensor in tensors.items():
                if tensor is not None:
                    found.setdefault(id(tensor), Slot(tensors, name))
    return list(found.values())


def take_count(average: MovingAverage, _: Any) -> None:
    """Go on counting where a checkpoint stopped."""
    average.updates = int(average.n_averaged)
