"""Reading checkpoint files, which may be damaged or hostile."""

import zipfile
from collections.abc import Iterator, Mapping
from os import SEEK_END
from pathlib import Path
from reprlib import repr as short
from typing import Any, BinaryIO

import torch
from torch import Tensor

from ..build import inside
from ..errors import UserError
from .folder import refuse_no_checkpoint
from .older import bring_up_to_date
from .pickles import refuse_pickle

RECORD = "segtrain"  # our entry in Lightning's checkpoint
VERSION = 2
ZIP = b"PK\3\4"  # how a zip archive with members begins


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint file: tensors and plain data, nothing that could run."""
    refuse_no_checkpoint(path)
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
    try:
        bring_up_to_date(content, version)
    except (AttributeError, KeyError, RuntimeError, TypeError) as error:
        raise UserError(f"{path}: not a readable checkpoint ({short(str(error))}): is it damaged?") from None
    return content


def refuse_damage(file: BinaryIO) -> None:
    """Raises UserError unless every member of the archive has the checksum that was stored with it, and the pickle does
    no more than those of checkpoints.

    torch writes members uncompressed, one after the other: others could grow without end as they are read.
    """
    if file.read(len(ZIP)) != ZIP:  # torch would read it as one of its older formats
        raise UserError("it does not begin as torch.save writes it")
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        plain = [m.compress_type == zipfile.ZIP_STORED and m.compress_size == m.file_size for m in members]
        if not all(plain):
            raise UserError("it has compressed members, as torch never writes them")
        if sum(member.file_size for member in members) > file.seek(0, SEEK_END):
            raise UserError("its members are larger than the file")
        if damaged := archive.testzip():
            raise UserError(f"the checksum of {damaged} is wrong")
        pickles = [member for member in members if member.filename.lower().endswith(".pkl")]
        for member in pickles:  # more than one, unless torch wrote it: whichever is read, it was looked through
            refuse_pickle(archive.read(member))


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
        waiting.extend(inside(item))


def weights_of(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """The network's state dict: the moving average where there is one, since that is what was scored."""
    state = content["state_dict"]
    prefix = "average.module." if any(name.startswith("average.module.") for name in state) else "network."
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
