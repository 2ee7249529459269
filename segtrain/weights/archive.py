"""What torch.save has written, looked through before it is read: it may be damaged or hostile."""

import zipfile
from collections.abc import Iterator
from os import SEEK_END
from typing import Any, BinaryIO

import torch
from torch import Tensor

from ..build import inside
from ..errors import UserError
from .pickles import refuse_pickle

ZIP = b"PK\3\4"  # how a zip archive with members begins


def read_archive(file: BinaryIO) -> Any:
    """The content of an archive: tensors and plain data, nothing that could run.

    Raises many types of error for a damaged file, since zipfile and torch.load do.
    """
    refuse_damage(file)
    file.seek(0)
    content = torch.load(file, map_location="cpu", weights_only=True)
    refuse_hollow(content)
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


def refuse_hollow(content: Any) -> None:
    """Raises UserError for tensors that are not what they say: without numbers, or with more than the file holds."""
    for tensor in tensors(content):
        dense = tensor.layout is torch.strided and not tensor.is_meta and not tensor.is_quantized
        if not dense or tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise UserError(f"a tensor of {tuple(tensor.shape)} has no data for it")


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
