"""A training whose numbers are no longer numbers ends, and says where that began."""

import math

import torch
from torch import nn

from ..errors import UserError
from ..machine.shards import largest, whole
from ..metrics import FirstNotFinite


class Diverged(UserError):
    """The loss, or a weight, was NaN or infinite, first in this `step`, counted from 0."""

    def __init__(self, step: int, what: str) -> None:
        super().__init__(f"{what} was not finite (NaN or infinite) in step {step + 1}")
        self.step = step


def refuse_not_finite(losses: FirstNotFinite, network: nn.Module, steps: int) -> None:
    """Raises Diverged if one of the `losses` was NaN or infinite, or if a weight is. Waits for the device once.

    `steps` were done so far.
    """
    step = losses.compute() if losses.update_called else losses.step
    first, size = torch.stack([step.double(), largest(network.parameters()).to(step.device).double()]).tolist()
    if first < FirstNotFinite.NEVER:
        raise Diverged(int(first), "the loss")
    if not math.isfinite(size):
        names = [name for name, weight in network.named_parameters() if not whole(weight).isfinite().all()]
        raise Diverged(max(steps - 1, 0), f"the weight {names[0]}")
