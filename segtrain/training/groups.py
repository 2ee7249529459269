"""Which parameters an optimiser moves, and how fast."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn
from torch.optim import Optimizer

from .encoder import encoder_of

Groups = list[dict[str, Any]]


def build_optimizer(network: nn.Module, make: Callable[[Groups], Optimizer], encoder_lr: float) -> Optimizer:
    """An optimiser of a network, whose encoder learns at `encoder_lr` times the rate of the rest.

    The rest stands in the first two groups, and an encoder with another rate in two more.
    """
    trained = [p for p in network.parameters() if p.requires_grad]
    apart = {id(p) for p in encoder_of(network, "train.encoder_lr").parameters()} if encoder_lr != 1 else set()
    groups = by_decay([p for p in trained if id(p) not in apart])
    if apart:
        groups += by_decay([p for p in trained if id(p) in apart])
    optimizer = make(groups)
    for group in optimizer.param_groups[2:]:
        group["lr"] *= encoder_lr
    return optimizer


def by_decay(parameters: Sequence[nn.Parameter]) -> Groups:
    """Weight decay on the weights of convolutions alone, as Goyal et al. 2017 and most since do."""
    weights = [p for p in parameters if p.ndim > 1]
    others = [p for p in parameters if p.ndim <= 1]
    return [{"params": weights}, {"params": others, "weight_decay": 0.0}]


def adopt_settings(checkpoint: dict[str, Any], fresh: Optimizer) -> None:
    """Give the stored state of an optimiser the settings of a fresh one; its rates stay where the schedule has them."""
    groups = checkpoint["optimizer_states"][0]["param_groups"]
    for stored, own in zip(groups, fresh.param_groups, strict=True):
        rate, before = own["lr"], stored["initial_lr"]
        stored.update({key: value for key, value in own.items() if key not in ("params", "lr")})
        if rate != before:  # which only allow_changes=true lets happen
            stored["lr"] = stored["lr"] * rate / before if before else rate
            stored["initial_lr"] = rate
    checkpoint["lr_schedulers"][0]["base_lrs"] = [group["lr"] for group in fresh.param_groups]
