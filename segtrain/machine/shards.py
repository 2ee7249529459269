"""The weights of a network shared out: each process holds a part of every one (torch's FSDP2).

What is saved are whole tensors, so that a training goes on in any number of processes, shared out or not.
"""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

GROUP = 1 << 20  # weights, from which on a part of a network is gathered by itself


class WholeCopy:
    """A network of each process for itself, which has no numbers until it is filled from one that is shared out.

    It is no module, so that none is saved with it.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = deepcopy(network).to("meta").eval()

    @torch.no_grad()
    def fill(self, network: nn.Module, device: torch.device) -> None:
        """Take the weights and buffers of the network that is shared out; all processes take part."""
        self.network.to_empty(device=device)
        for own, shared in zip(tensors(self.network), tensors(network), strict=True):
            own.copy_(whole(shared))

    def empty(self) -> None:
        """Let the numbers go."""
        self.network.to("meta")


def share_out(network: nn.Module, mesh: DeviceMesh, group: int = GROUP) -> None:
    """Leave each process of a mesh its part of every weight; parts of `group` weights or more are gathered by
    themselves as they compute, and let go after it."""
    network.to(memory_format=torch.contiguous_format)  # no other is cut
    for module in reversed(listed(network)):  # inner ones first
        if sum(weight.numel() for weight in module.parameters() if not isinstance(weight, DTensor)) >= group:
            fully_shard(module, mesh=mesh)
    fully_shard(network, mesh=mesh)


def listed(network: nn.Module) -> list[nn.Module]:
    """What stands in a list of modules, outer ones first: of these, the program of a network calls each as a whole,
    where it may take a weight alone out of others."""
    members: set[nn.Module] = set()
    for module in network.modules():
        if isinstance(module, nn.Sequential | nn.ModuleList):
            members.update(module.children())
    return [m for m in network.modules() if m in members and not isinstance(m, nn.ModuleList | nn.ModuleDict)]


def tensors(network: nn.Module) -> list[Tensor]:
    """Weights and buffers."""
    return [*network.parameters(), *network.buffers()]


def local(tensor: Tensor) -> Tensor:
    """This process's part of a tensor that is shared out; all of any other."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor that may be shared out; all processes take part."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def gathered(state: Any, *, keep: bool) -> Any:
    """A nest of mappings and lists with whole tensors in place of those that are shared out, in memory of the CPU;
    `None` in their place without `keep`. All processes take part."""
    if isinstance(state, DTensor):
        tensor = whole(state).detach()  # one at a time
        return tensor.cpu() if keep else None
    if isinstance(state, Mapping):
        return {name: gathered(value, keep=keep) for name, value in state.items()}
    if isinstance(state, list):
        return [gathered(value, keep=keep) for value in state]
    return state


@torch.no_grad()
def like(value: Any, owner: Any) -> Any:
    """A whole tensor in its owner's order of memory, and of it this process's part, if the owner is shared out. What is
    not of the owner's shape stays as it is."""
    if not isinstance(value, Tensor) or not isinstance(owner, Tensor) or value.shape != owner.shape:
        return value
    if isinstance(owner, DTensor):
        part = distribute_tensor(value.to(owner.device), owner.device_mesh, owner.placements, src_data_rank=None)
        return torch.empty_like(owner, dtype=value.dtype).copy_(part)  # which has all of the memory
    if value.stride() == owner.stride():
        return value
    return torch.empty_like(owner, dtype=value.dtype, device=value.device).copy_(value)


def state_like(state: Mapping[str, Any], optimizer: Optimizer) -> dict[str, Any]:
    """The whole state of an optimiser, with moments that are like the parameters that they belong to: fused optimisers
    take the same order of memory for granted."""
    owners: dict[int, Tensor] = {}
    for stored, own in zip(state["param_groups"], optimizer.param_groups, strict=True):
        owners.update(zip(stored["params"], own["params"], strict=True))
    moments = dict(state["state"])
    for number, owner in owners.items():
        if isinstance(moments.get(number), Mapping):  # other keys are what an optimiser keeps of all of them
            moments[number] = {name: like(value, owner) for name, value in moments[number].items()}
    return {**state, "state": moments}


def largest(weights: Iterable[Tensor]) -> Tensor:
    """The size of the largest of all weights, or more; not finite if one of them is not. The same in all processes."""
    weights = list(weights)
    parts = [part for part in map(local, weights) if part.numel()]
    size = nn.utils.get_total_norm(parts, torch.inf).to(weights[0].device)
    if any(isinstance(weight, DTensor) for weight in weights):
        torch.distributed.all_reduce(size)  # the sum: what the largest is of NaN and a number depends on their order
    return size
