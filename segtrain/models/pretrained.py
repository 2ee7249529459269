"""Weights that an encoder begins with: torchvision's by name, or anyone's in a file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from ..disk import names_weights
from ..weights import downloading, read_weights

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]  # of ImageNet's images, which nearly all weights expect


class Pretrained(NamedTuple):
    """Weights by name, and the mean and standard deviation of each image channel that they expect."""

    weights: Mapping[str, Tensor]
    mean: Sequence[float] = MEAN
    std: Sequence[float] = STD


def torchvision_weights(model: str, name: str) -> Pretrained:
    """torchvision's weights `name` for a `model` of its own, which it downloads and verifies; or those in a file.

    A file does not say what its weights expect: that is taken to be ImageNet's mean and standard deviation.

    Raises:
        ValueError: for weights that torchvision does not have, or a file that cannot be read.
    """
    if names_weights(name):
        return Pretrained(read_weights(Path(name)))
    from torchvision.models import get_model_weights

    enum = get_model_weights(model)
    if name not in enum.__members__:
        known = ", ".join(enum.__members__) or "none"
        raise ValueError(f"weights={name}: torchvision has {known} (or type FILE.safetensors, FILE.pth) for {model}")
    weights = enum[name]
    with downloading(name):  # once in torch's cache, the file is not verified again: so it is read as tensors alone
        state = weights.get_state_dict(progress=True, check_hash=True, weights_only=True)
    preprocessing = weights.transforms()
    return Pretrained(state, list(preprocessing.mean), list(preprocessing.std))
