"""Reading checkpoint files, which may be damaged or hostile, and building their networks."""

import json
import re
import textwrap
import zipfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from .build import build, is_spec, shipped_targets
from .data.classes import ClassTable
from .errors import UserError, from_user

RECORD = "segtrain"  # our entry in Lightning's checkpoint
VERSION = 1


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


def read(path: Path) -> dict[str, Any]:
    """The content of a checkpoint file: tensors and plain data, nothing that could run.

    Raises:
        FileNotFoundError: if there is none.
        UserError: for a file that is damaged, or no checkpoint of segtrain.
    """
    if re.match(r"\w+:/", str(path)) and not path.exists():  # as pathlib writes https://
        raise UserError(f"{path}: remote checkpoints are not read; download the file, and name it here")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such checkpoint")
    with open(path, "rb") as file:  # one opening, so that what is checked is what is read
        try:
            refuse_damage(file)
            file.seek(0)
            content = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # zipfile and torch.load raise many types for a damaged file, and name no path
            reason = str(error) if isinstance(error, UserError) else type(error).__name__
            raise UserError(f"{path}: not a readable checkpoint ({reason}): is it damaged?") from None
    parts = (content.get(RECORD), content.get("state_dict")) if isinstance(content, dict) else ()
    if not parts or not all(isinstance(part, dict) for part in parts):
        raise UserError(f"{path}: not a checkpoint of segtrain")
    version = content[RECORD].get("version")
    if not isinstance(version, int) or version > VERSION:
        raise UserError(f"{path}: written by a newer segtrain (format {version}); update segtrain")
    refuse_hollow(path, content)
    return content


def refuse_damage(file: BinaryIO) -> None:
    """Raises UserError unless every member of the archive has the checksum that was stored with it.

    torch writes members uncompressed: others could grow without end as they are read.
    """
    with zipfile.ZipFile(file) as archive:
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise UserError("it has compressed members, as torch never writes them")
        if damaged := archive.testzip():
            raise UserError(f"the checksum of {damaged} is wrong")


def refuse_hollow(path: Path, content: Any) -> None:
    """Raises UserError for tensors that are not what they say: without numbers, or with more than the file holds."""
    for tensor in tensors(content):
        dense = tensor.layout is torch.strided and not tensor.is_meta and not tensor.is_quantized
        if not dense or tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise UserError(f"{path}: not a readable checkpoint: a tensor of {tuple(tensor.shape)} has no data for it")
    if not all(isinstance(name, str) and isinstance(w, Tensor) for name, w in content["state_dict"].items()):
        raise UserError(f"{path}: not a readable checkpoint: its weights are not tensors with names")


def tensors(value: Any) -> Iterator[Tensor]:
    """All tensors in a nest of mappings and sequences, which may contain itself."""
    waiting, seen = [value], set()
    while waiting:
        item = waiting.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, Tensor):
            yield item
        elif isinstance(item, Mapping):
            waiting.extend(item.values())
        elif isinstance(item, list | tuple | set):
            waiting.extend(item)


def record_of(content: Mapping[str, Any]) -> dict[str, Any]:
    """What was noted about the run: its settings, model, loss, precision, classes, and the fingerprint of its data.

    Raises:
        UserError: if it is not there, or nested beyond reason.
    """
    try:
        record = json.loads(content[RECORD]["record"])
    except (KeyError, TypeError, ValueError, RecursionError):
        record = None
    if not isinstance(record, dict) or not {"settings", "model", "classes"} <= record.keys():
        raise UserError("the checkpoint's record of its settings cannot be read: is it damaged?")
    return record


def weights_of(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """The network's state dict: the moving average where there is one, since that is what was scored."""
    state = content["state_dict"]
    prefix = "average.module." if any(name.startswith("average.module.") for name in state) else "network."
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


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
