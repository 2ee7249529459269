"""Weights from a file under the names that a network has for them."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..text import enumerated

CLASSIFIERS = ("fc.", "classifier.", "head.", "head_dist.", "last_linear.")  # how libraries call what is left out
COUNTER = "num_batches_tracked"  # of batch norm; files from before torch 0.4.1 lack it
SHOWN = 3  # names in a message


def fitted(
    weights: Mapping[str, Tensor],
    own: Mapping[str, Tensor],
    source: str,
    *,
    classifiers: Sequence[str] = CLASSIFIERS,
) -> dict[str, Tensor]:
    """The `weights` for the state dict `own` of an encoder, which may be part of a larger network in the file.

    Args:
        source: the name or file of the weights, for messages.
        classifiers: how names begin that an encoder has no use for.

    Raises:
        ValueError: if some are missing, there are others besides, or their shapes differ.
    """
    found = without_prefix(weights, list(own))
    missing = [name for name in own if name not in found and not name.endswith(COUNTER)]
    others = [name for name in found if name not in own and not name.startswith(tuple(classifiers))]
    if missing or others:
        lacks = [f"it lacks {enumerated(missing, SHOWN)}"] if missing else []
        holds = [f"it holds {enumerated(others, SHOWN)} besides"] if others else []
        raise ValueError(f"weights={source} are not those of this encoder: {'; '.join(lacks + holds)}")
    for name, tensor in own.items():
        if name in found and found[name].shape != tensor.shape:
            shapes = f"{list(found[name].shape)}, expected {list(tensor.shape)}"
            raise ValueError(f"weights={source} are not those of this encoder: {name} is {shapes}")
    return {name: found.get(name, torch.zeros(tensor.shape, dtype=tensor.dtype)) for name, tensor in own.items()}


def without_prefix(weights: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
    """The part of `weights` with the prefix, such as `encoder.`, under which most of `names` stand; without it.

    Among equals, the shortest one: often it is none, and these are all.
    """
    anchor = names[0]
    ends = [name for name in weights if name == anchor or name.endswith(f".{anchor}")]
    prefixes = sorted({name.removesuffix(anchor) for name in ends}, key=len)
    hits = {prefix: sum(f"{prefix}{name}" in weights for name in names) for prefix in prefixes}
    best = max(hits, key=lambda prefix: hits[prefix], default="")
    return {name.removeprefix(best): tensor for name, tensor in weights.items() if name.startswith(best)}
