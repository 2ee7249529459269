"""Trained networks, built again from what a checkpoint says of them."""

import textwrap
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from ..build import build, is_spec, shipped_targets
from ..data.classes import ClassTable
from ..errors import UserError, from_user
from .restore import read, record_of, weights_of


class Trained(NamedTuple):
    """A trained network, in evaluation mode on the CPU, with its classes and the settings it was trained with."""

    network: nn.Module
    classes: ClassTable
    config: dict[str, Any]


def load(path: str | Path, allow: Collection[str] = ()) -> Trained:
    """A trained network from a run folder (its best checkpoint) or a checkpoint file.

    Args:
        allow: `_target_` names besides the shipped ones that the file may name.
    """
    path = Path(path)
    return restore(read(path / "checkpoints" / "best.ckpt" if path.is_dir() else path), trusted(allow))


def trusted(allow: Collection[str]) -> frozenset[str]:
    """The `_target_` names that a stored configuration may hold: the shipped ones, and those that the user adds."""
    return shipped_targets() | frozenset(allow)


def restore(content: Mapping[str, Any], trust: Collection[str]) -> Trained:
    """Build the network that a checkpoint describes and fill it; its configuration may name `trust` alone.

    It is built without memory, and filled with the file's own tensors: so its size is that of the file, whatever the
    description says.

    Raises:
        UserError: if description and weights do not belong together.
    """
    record, weights = record_of(content), weights_of(content)
    with torch.device("meta"), at_most(len(weights)):
        network = network_of(record, trust)
    fill(network, weights)
    if any(tensor.is_meta for tensor in network.buffers()):  # what no file holds has to be computed
        network = network_of(record, trust)
        fill(network, weights)
    classes = ClassTable.from_spec(record["classes"], "checkpoint")
    return Trained(network.eval(), classes, record["settings"])


def network_of(record: Mapping[str, Any], trust: Collection[str]) -> nn.Module:
    """The fresh network that a record describes. Of the shipped names, those of networks alone can be meant."""
    shipped = shipped_targets()
    names = {name for name in trust if name not in shipped or name.startswith("segtrain.models.")}
    if not is_spec(record["model"]):
        raise UserError("the checkpoint describes no network: is it damaged?")
    try:
        with from_user():
            network = build(without_download(record["model"]), names)
    except (RuntimeError, TypeError, OverflowError, MemoryError) as error:  # sizes beyond reason
        raise UserError(f"the network that the checkpoint describes cannot be built: {brief(error)}") from None
    if not isinstance(network, nn.Module):
        raise UserError(f"the checkpoint describes a {type(network).__name__} in place of a network")
    return network


def fill(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Give a network its weights. Raises UserError if they are another network's."""
    try:
        network.load_state_dict(weights, assign=True)
    except RuntimeError as error:
        raise UserError(f"the weights are not those of the network described: {brief(error)}") from None


def brief(error: Exception) -> str:
    """What torch says in many lines, in one: of `load_state_dict`, the first after the name of the class."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return textwrap.shorten(lines[1] if len(lines) > 1 else lines[0], 200)


@contextmanager
def at_most(parameters: int) -> Iterator[None]:
    """Inside, building modules with more parameters raises UserError, before they fill the memory."""
    left = parameters

    def count(*_: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise UserError(f"the checkpoint describes a network larger than its {parameters} tensors of weights")

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


def without_download(model: Any) -> Any:
    """The settings of a model that will be filled from a checkpoint: no part of it fetches pretrained weights."""
    if isinstance(model, Mapping):
        return {key: None if key == "weights" else without_download(value) for key, value in model.items()}
    if isinstance(model, list):
        return [without_download(value) for value in model]
    return model
