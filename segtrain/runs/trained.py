"""Trained networks, built again from what a checkpoint says of them."""

import textwrap
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from ..build import Spec, Trust, build_part
from ..data.classes import ClassTable
from ..errors import UserError, from_user
from .corrected import correct
from .folder import folder_of, followed
from .portable import PROGRAMS, SAFETENSORS, read_program, read_safetensors, without_correction
from .record import Record, without_pretrained
from .restore import RECORD, read_checkpoint, weights_of
from .temperature import soften

FLOATS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
SPARE = 4  # parameters that are built for each one that stays, at most


class Trained(nn.Module):
    """A trained network, in evaluation mode on the CPU: images (N, C, H, W), uint8 or as in its training, to logits
    (N, classes, H, W). For type checkers: the network is of its own class, and has these attributes besides.

    Attributes:
        classes: The classes in the order of the logits, with names and colours, and the value of void.
        settings: All settings of the training, by groups.
    """

    classes: ClassTable
    settings: dict[str, Any]


class Opened(NamedTuple):
    """A trained network, in evaluation mode on the CPU, with its classes and what else is known of its run."""

    folder: Path
    record: Record
    network: nn.Module
    classes: ClassTable


def load(path: str | Path, allow: Collection[str] = (), *, correction: bool = True) -> Trained:
    """The trained network of a run, which normalises images by itself, with `.classes` and `.settings` unless its own
    class has attributes of these names.

        network = segtrain.load("runs/latest")
        mask, confidence = segtrain.predict(network, "photo.jpg")

    Args:
        path: A run folder (its best checkpoint), a checkpoint, or a file that `export` wrote: `.safetensors`, `.onnx`,
            and `.pt2` with `allow=["pt2"]`, as that is a program.
        allow: `_target_` names besides segtrain's own that the file may hold.
        correction: Whether logits are corrected if the run has a prior correction.

    Raises:
        UserError: For a file that is damaged, no checkpoint, or names what it may not.
        OSError: What the system says of a file.
    """
    path = followed(Path(path))
    file = path / "checkpoints" / "best.ckpt" if path.is_dir() else path
    trained = opened(file, Trust(allow), correction=correction)
    for name, value in {"classes": trained.classes, "settings": trained.record.settings}.items():
        if not hasattr(trained.network, name):
            trained.network.__dict__[name] = value
    return cast(Trained, trained.network)


def opened(file: Path, trust: Trust, *, correction: bool = True, calibration: bool = True) -> Opened:
    """The network in a checkpoint file, whose logits are corrected if a prior correction is stored there, and whose
    probabilities have the temperature that is.

    Without `correction` or `calibration` they are not, and the record has none. Raises UserError if parts do not belong
    together.
    """
    network, record = stored_network(file, trust)
    known = {"channels": record.channels, "pictures": record.pictures}
    network.__dict__["trained_on"] = known  # for segtrain.predict
    classes = ClassTable.from_spec(record.classes, "checkpoint")
    if not correction:
        record = without_correction(record, file)
    if record.correction:
        record.correction.refuse_others(len(classes))
        if file.suffix not in PROGRAMS:  # whose answers are corrected inside
            correct(network, record.correction)
    if not calibration:
        record = replace(record, temperature=None)
    soften(network, record.temperature)
    return Opened(folder_of(file), record, network, classes)


def stored_network(file: Path, trust: Trust) -> tuple[nn.Module, Record]:
    """The network in a checkpoint, or in a file that was exported, and what is known of its run."""
    if file.suffix in PROGRAMS:
        facts, network = read_program(file, trust)
        return network.eval(), facts.record
    if file.suffix == SAFETENSORS:
        facts, weights = read_safetensors(file)
        return filled_network(facts.record.model, weights, trust), facts.record
    content = read_checkpoint(file)
    record = Record.from_json(content[RECORD].get("record"))
    return filled_network(record.model, weights_of(content), trust), record


def filled_network(model: Spec, weights: Mapping[str, Tensor], trust: Trust) -> nn.Module:
    """The network that is described, with these weights.

    It is built without memory, and filled with the file's own tensors: so its size is that of the file, whatever the
    description says.
    """
    with torch.device("meta"), at_most(len(weights)):
        network = network_of(model, trust)
    fill(network, weights)
    if any(tensor.is_meta for tensor in network.buffers()):  # what no file holds has to be computed
        network = network_of(model, trust)
        fill(network, weights)
    return network.eval()


def network_of(model: Spec, trust: Trust) -> nn.Module:
    """The fresh network that is described. Raises UserError if there can be none."""
    try:
        with from_user():
            network = build_part("model", without_pretrained(model), trust)
    except (RuntimeError, TypeError, OverflowError, MemoryError) as error:  # sizes beyond reason
        raise UserError(f"the network that the checkpoint describes cannot be built: {brief(error)}") from None
    if not isinstance(network, nn.Module):
        raise UserError(f"the checkpoint describes a {type(network).__name__} in place of a network")
    return network


def fill(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Give a network its weights. Raises UserError if they are another network's."""
    for name, tensor in network.state_dict().items():
        given = weights[name].dtype if name in weights else tensor.dtype
        if (given in FLOATS) != (tensor.dtype in FLOATS) or given.is_complex:
            raise UserError(f"the weights are not those of the network described: {name} is in {given}")
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
    """Inside, building modules with many more parameters raises UserError, before they fill the memory.

    Some more are built than stay: a classifier that is cut off, an encoder that is tried out.
    """
    left = SPARE * parameters

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
