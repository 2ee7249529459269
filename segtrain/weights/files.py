"""The weights in a file that someone else's program wrote: safetensors, or what torch.save wrote of a state dict."""

import pickletools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors.torch import load_file
from torch import Tensor

from ..errors import UserError
from .archive import ZIP, read_archive, refuse_hollow
from .pickles import refuse_pickle

WRAPPERS = ("state_dict", "model_state_dict", "model")  # under which trainings keep the weights, beside other things
OLD_PICKLES = 5  # of torch's format before 1.6: magic number, version, sizes of numbers, content, keys of the storages


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a `.safetensors` file, or of a `.pth` or `.pt` file, by their names.

    Raises UserError for a file that is damaged, would run anything, or holds something else than weights.
    """
    if not path.is_file():
        raise UserError(f"weights={path}: there is no such file")
    try:
        content = load_file(path) if path.suffix == ".safetensors" else read_saved(path)
    except Exception as error:  # safetensors, zipfile and torch.load raise many types for a damaged file
        reason = str(error) if isinstance(error, UserError) else type(error).__name__
        raise UserError(f"weights={path}: not a readable file of weights ({reason}): is it damaged?") from None
    return state_dict_of(content, path)


def read_saved(path: Path) -> Any:
    """What torch.save wrote, today or before torch 1.6: a few of torchvision's files are that old."""
    with open(path, "rb") as file:  # one opening, so that what is checked is what is read
        begins = file.read(len(ZIP))
        file.seek(0)
        if begins == ZIP:
            return read_archive(file)
        for _ in range(OLD_PICKLES):
            refuse_pickle(next_pickle(file))
        file.seek(0)
        content = torch.load(file, map_location="cpu", weights_only=True)
        refuse_hollow(content)
        return content


def next_pickle(file: BinaryIO) -> bytes:
    """The bytes of the pickle that begins where `file` stands, which ends up behind it."""
    start = file.tell()
    for _ in pickletools.genops(file):
        pass
    end = file.tell()
    file.seek(start)
    return file.read(end - start)


def state_dict_of(content: Any, path: Path) -> dict[str, Tensor]:
    """The state dict in what a file holds, be it wrapped in other things or not."""
    for name in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    if not isinstance(content, Mapping) or not content:
        raise UserError(f"weights={path}: it holds no weights: expected tensors by name, as state_dict() gives them")
    strange = [name for name, value in content.items() if not isinstance(name, str) or not isinstance(value, Tensor)]
    if strange:
        raise UserError(f"weights={path}: its entry {strange[0]!r:.60} is no tensor: expected what state_dict() gives")
    return dict(content)
