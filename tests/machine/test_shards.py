"""Weights that are shared out, in two processes: each is compared with a network that is whole."""

import copy
import math
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule

from segtrain.machine.shards import (
    WholeCopy,
    gathered,
    largest,
    like,
    listed,
    local,
    share_out,
    state_like,
    tensors,
    whole,
)
from segtrain.metrics import FirstNotFinite
from segtrain.training.average import MovingAverage
from segtrain.training.divergence import Diverged, refuse_not_finite

GROUP = 100  # weights, from which on a part is gathered by itself


class Small(nn.Module):
    """Blocks in a list, a bias of fewer numbers than there are processes, and a buffer that is in no checkpoint."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        blocks = [nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU()) for _ in range(2)]
        self.blocks = nn.ModuleList(blocks)
        self.head = nn.Conv2d(4, 1, 1)
        self.register_buffer("scale", torch.tensor(3.0), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        for block in self.blocks:
            image = block(image)
        return self.head(image) * self.scale


def loss(network: nn.Module, rank: int) -> Tensor:
    generator = torch.Generator().manual_seed(rank)
    return network(torch.rand(2, 4, 6, 6, generator=generator)).square().mean()


def trained(network: nn.Module, *ranks: int) -> torch.optim.Optimizer:
    """Two steps on the mean loss over the images of these ranks, with norms of the gradients clipped."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1, fused=True)
    for _ in range(2):
        (sum(loss(network, rank) for rank in ranks) / len(ranks)).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 0.01)
        optimizer.step()
        optimizer.zero_grad()
    return optimizer


def assert_same(one: Any, other: Any) -> None:
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)


def a_shared_network_learns_what_a_whole_one_learns(rank: int, mesh: DeviceMesh) -> None:
    reference, network = (Small().to(memory_format=torch.channels_last) for _ in range(2))
    average, expected = MovingAverage(network, 0.5), MovingAverage(reference, 0.5)
    share_out(network, mesh, GROUP)
    share_out(average.module, mesh, GROUP)
    optimizer, plain = trained(network, rank), trained(reference, 0, 1)
    for _ in range(2):
        average.update_parameters(network)
        expected.update_parameters(reference)
    assert_same([whole(weight) for weight in network.parameters()], list(reference.parameters()))
    assert_same([whole(weight) for weight in average.module.parameters()], list(expected.module.parameters()))
    state = gathered(optimizer.state_dict(), keep=rank == 0)
    if rank == 0:
        assert_same(state, plain.state_dict())
    else:
        assert state["state"][0]["exp_avg"] is None
    again = torch.optim.AdamW(network.parameters(), lr=0.1, fused=True)
    again.load_state_dict(state_like(plain.state_dict(), again))
    assert_same(gathered(again.state_dict(), keep=True), plain.state_dict())
    part = local(again.state_dict()["state"][0]["exp_avg"])
    assert part.is_contiguous()
    assert part.untyped_storage().nbytes() == 4 * part.numel()  # and not those of the whole


def each_process_holds_half(rank: int, mesh: DeviceMesh) -> None:
    network = Small()
    average, size = MovingAverage(network, 0.5), sum(map(Tensor.numel, network.parameters()))
    share_out(network, mesh, GROUP)
    share_out(average.module, mesh, GROUP)
    optimizer = trained(network, rank)
    loss(network, rank).backward()
    kept = [
        [local(weight) for weight in network.parameters()],
        [local(weight.grad) for weight in network.parameters() if weight.grad is not None],
        [local(weight) for weight in average.module.parameters()],
        [local(state["exp_avg"]) for state in optimizer.state.values()],
        [local(state["exp_avg_sq"]) for state in optimizer.state.values()],
    ]
    for held in kept:
        assert size / 2 - 4 < sum(map(Tensor.numel, held)) < size / 2 + 4  # one number cannot be shared


def parts_that_are_large_are_gathered_by_themselves(rank: int, mesh: DeviceMesh) -> None:
    network = Small()
    share_out(network, mesh, GROUP)
    assert [name for name, module in network.named_modules() if isinstance(module, FSDPModule)] == [
        "",
        "blocks.0.0",
        "blocks.1.0",
    ]


def a_copy_is_whole_in_each_process_while_it_is_filled(rank: int, mesh: DeviceMesh) -> None:
    network = Small().to(memory_format=torch.channels_last)
    reference, copied = copy.deepcopy(network), WholeCopy(network)
    share_out(network, mesh, GROUP)
    for _ in range(2):
        copied.fill(network, torch.device("cpu"))
        assert all(map(torch.equal, tensors(copied.network), tensors(reference)))
        assert copied.network.blocks[0][0].weight.is_contiguous(memory_format=torch.channels_last)  # type: ignore[index]
        if rank == 0:  # alone
            assert torch.equal(loss(copied.network, 0), loss(reference, 0))
        copied.empty()
        assert all(tensor.is_meta for tensor in tensors(copied.network))


def a_weight_that_is_not_finite_in_one_process_ends_both(rank: int, mesh: DeviceMesh) -> None:
    for value in (math.nan, math.inf):
        network = Small()
        share_out(network, mesh, GROUP)
        assert largest(network.parameters()).isfinite()
        first = network.get_parameter("blocks.1.0.weight")
        if rank == 1:
            local(first).data[0, 0, 0, 0] = value
        with pytest.raises(Diverged, match=r"the weight blocks\.1\.0\.weight was not finite"):
            refuse_not_finite(FirstNotFinite(), network, 3)


CHECKS = (
    a_shared_network_learns_what_a_whole_one_learns,
    each_process_holds_half,
    parts_that_are_large_are_gathered_by_themselves,
    a_copy_is_whole_in_each_process_while_it_is_filled,
    a_weight_that_is_not_finite_in_one_process_ends_both,
)


def all_checks(rank: int, file: str) -> None:
    torch.set_num_threads(1)
    limit = timedelta(seconds=60)
    torch.distributed.init_process_group("gloo", f"file://{file}", world_size=2, rank=rank, timeout=limit)
    try:
        for check in CHECKS:
            check(rank, init_device_mesh("cpu", (2,)))
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_in_two_processes(tmp_path: Path):
    torch.multiprocessing.spawn(all_checks, (str(tmp_path / "group"),), nprocs=2)


def test_what_is_not_shared_out_stays_as_it_is():
    network, optimizer = Small(), torch.optim.SGD(Small().parameters(), lr=0.1, momentum=0.9)
    weight = network.head.weight
    assert local(weight) is weight
    assert whole(weight) is weight
    assert like(weight, weight) is weight
    assert like(1, weight) == 1
    image = torch.rand(2, 3, 4, 5)
    assert like(image, torch.empty(2, 3, 4, 5, memory_format=torch.channels_last)).stride() == (60, 1, 15, 3)
    state = {"a": [weight, 1], "b": {"c": None}}
    assert gathered(state, keep=False) == state
    assert state_like(optimizer.state_dict(), optimizer) == optimizer.state_dict()
    assert largest(network.parameters()) == max(float(weight.detach().abs().max()) for weight in network.parameters())


def test_what_is_listed_is_called_as_a_whole():
    network = nn.Sequential(nn.ModuleList([nn.Linear(1, 1)]), nn.Sequential(nn.ReLU()), nn.MultiheadAttention(4, 1))
    names = {id(module): name for name, module in network.named_modules()}
    assert [names[id(module)] for module in listed(network)] == ["0.0", "1", "1.0", "2"]  # not "0", nor "2.out_proj"
