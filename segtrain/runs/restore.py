"""Reading checkpoint files, which may be damaged or hostile."""

from collections.abc import Mapping
from pathlib import Path
from reprlib import repr as short
from typing import Any

from torch import Tensor

from ..errors import UserError
from ..weights.archive import read_archive
from .folder import refuse_no_checkpoint
from .older import bring_up_to_date

RECORD = "segtrain"  # our entry in Lightning's checkpoint
VERSION = 2


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint file: tensors and plain data, nothing that could run."""
    refuse_no_checkpoint(path)
    with open(path, "rb") as file:  # one opening, so that what is checked is what is read
        try:
            content = read_archive(file)
        except Exception as error:  # zipfile and torch.load raise many types for a damaged file, and name no path
            reason = str(error) if isinstance(error, UserError) else type(error).__name__
            raise UserError(f"{path}: not a readable checkpoint ({reason}): is it damaged?") from None
    parts = (content.get(RECORD), content.get("state_dict")) if isinstance(content, dict) else ()
    if not parts or not all(isinstance(part, dict) for part in parts):
        raise UserError(f"{path}: not a checkpoint of segtrain")
    version = content[RECORD].get("version")
    if not isinstance(version, int) or version > VERSION:
        raise UserError(f"{path}: written by a newer segtrain (format {version}); update segtrain")
    if not all(isinstance(name, str) and isinstance(w, Tensor) for name, w in content["state_dict"].items()):
        raise UserError(f"{path}: not a readable checkpoint: its weights are not tensors with names")
    try:
        bring_up_to_date(content, version)
    except (AttributeError, KeyError, RuntimeError, TypeError) as error:
        raise UserError(f"{path}: not a readable checkpoint ({short(str(error))}): is it damaged?") from None
    return content


def weights_of(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """The network's state dict: the moving average where there is one, since that is what was scored."""
    state = content["state_dict"]
    prefix = "average.module." if any(name.startswith("average.module.") for name in state) else "network."
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
