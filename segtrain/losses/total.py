"""Several losses as one."""

import inspect
import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from .contract import exact
from .pixels import Weights


class Sum(nn.Module):
    """The terms of several losses, each with a factor.

    Args:
        parts: name -> what makes a loss from `weights` and `ignore_index`, or from the latter alone.
        factors: name -> factor, 0 or more, for each of the parts.
        weights: factors for classes, handed on to the parts that take them.
        ignore_index: mask value of void pixels, handed on to the parts.
    """

    def __init__(
        self,
        *,
        parts: Mapping[str, Callable[..., nn.Module]],
        factors: Mapping[str, float],
        weights: Weights,
        ignore_index: int | None,
    ) -> None:
        super().__init__()
        if not parts or factors.keys() != parts.keys():
            raise ValueError(f"loss.factors names {', '.join(factors) or 'nothing'}: expected {', '.join(parts)}")
        for name, factor in factors.items():
            if not 0 <= factor < math.inf:
                raise ValueError(f"loss.factors.{name}={factor}: expected 0 or more")
        shared = {"weights": weights, "ignore_index": ignore_index}
        self.parts = nn.ModuleDict({name: made_with(shared, make, name) for name, make in parts.items()})
        self.factors = dict(factors)
        self.terms: int = sum(part.terms for part in self.parts.values())  # type: ignore[misc]

    def count(self, mask: Tensor) -> Tensor:  # (N, H, W) -> (terms,)
        return torch.cat([part.count(mask) for part in self.parts.values()])  # type: ignore[operator]

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:  # (N, classes, H, W), (N, H, W) -> (terms,)
        logits = exact(logits)  # once for all parts
        return torch.cat([self.factors[name] * part(logits, mask) for name, part in self.parts.items()])


def made_with(shared: Mapping[str, object], make: Callable[..., nn.Module], name: str) -> nn.Module:
    """A part of a sum, with as many of the shared settings as it takes."""
    if not callable(make) or isinstance(make, nn.Module):
        raise ValueError(
            f"loss.parts.{name}: expected what makes a loss, with _partial_: true, not a {type(make).__name__}"
        )
    taken = inspect.signature(make).parameters
    part = make(**{key: value for key, value in shared.items() if key in taken})
    if not (hasattr(part, "count") and hasattr(part, "terms")):
        raise ValueError(f"loss.parts.{name}: {type(part).__name__} is no loss of segtrain.losses")
    return part
