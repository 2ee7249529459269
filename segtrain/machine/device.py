"""What a machine is good at: its device, and the mixed precision for it."""

import logging
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from ..errors import UserError

# Lightning's names, and `auto`
Precision = Literal["auto", "bf16-mixed", "16-mixed", "32-true", "64-true", "bf16-true", "16-true", 16, 32, 64]
Devices = int | list[int] | Literal["auto"]

# Lightning's hints that a user of segtrain can do nothing about, by how their messages begin.
NOISE = (
    r".*does not have many workers",  # data.workers is chosen by the machine
    r".*isinstance\(treespec, LeafSpec\).*",  # between Lightning and torch
    r"GPU available but not used",  # who types trainer.accelerator=cpu knows
)


@dataclass
class Computing:
    """The `trainer.` settings of a command that uses a trained network; `precision=None` is that of its run."""

    accelerator: str
    precision: Precision | None
    devices: Devices = 1


def quiet() -> None:
    """Silence what Lightning says about itself, and the warnings in `NOISE`."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in NOISE:
        warnings.filterwarnings("ignore", message)


def device_type(accelerator: str) -> str:
    """`cuda` or `cpu` for Lightning's name of an accelerator. Raises UserError for a GPU that is not there."""
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return "cuda"
    if accelerator in ("auto", "cpu"):
        return "cpu"
    raise UserError(f"trainer.accelerator={accelerator}: there is none on this machine; take auto or cpu")


def device_count(devices: Devices, device: str) -> int:
    """How many devices of one machine `trainer.devices` names; on a CPU, each is a process."""
    gpus, cores = torch.cuda.device_count(), os.cpu_count() or 1
    if devices in ("auto", -1):
        return gpus if device == "cuda" else 1
    if device == "cpu" and isinstance(devices, list):
        raise UserError(f"trainer.devices={devices}: a list names GPUs; on a CPU take a number of processes")
    numbers = devices if isinstance(devices, list) else list(range(int(devices)))
    most, there = (gpus, f"{gpus} GPUs") if device == "cuda" else (4 * cores, f"{cores} cores")
    if not numbers or len(set(numbers)) < len(numbers) or not 0 <= min(numbers) <= max(numbers) < most:
        raise UserError(f"trainer.devices={devices}: this machine has {there}; take 1 to {most}, or auto")
    return len(numbers)


def resolve(name: Precision, device: str) -> tuple[str, str]:
    """The precision to use and the reason: `name` as typed, or what suits the device for `auto`."""
    if device == "cpu" and str(name).startswith("16"):
        raise UserError(f"trainer.precision={name}: fp16 needs a GPU; on this CPU take bf16-mixed, 32-true or auto")
    return choose(device) if name == "auto" else (str(name), "as typed")


def typed_or_stored(typed: Precision | None, device: str, stored: str) -> str:
    """The precision to use a trained network in: the one that was typed, else that of its run."""
    return stored if typed is None else resolve(typed, device)[0]


def choose(device: str) -> tuple[str, str]:
    """Lightning's name of the precision for `cuda`, `cpu`, ..., and the reason in words."""
    if device == "cuda":
        name = torch.cuda.get_device_name()
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16-mixed", f"{name} computes in bf16"
        return "16-mixed", f"{name} has no bf16, so fp16 with a loss scaler"
    if device == "cpu":
        found = sorted({"amx_bf16", "avx512_bf16"} & set(cpu_info("flags").split()))
        if found:
            return "bf16-mixed", f"this CPU has {found[0].replace('_', '-').upper()}"
        return "32-true", "this CPU has neither AMX nor AVX512-BF16"
    return "32-true", f"mixed precision is not tried on {device}"


def keep_depth(precision: Any) -> None:
    """Have a precision of Lightning's leave images as they are: one that halves the weights would halve images too,
    which the network normalises first."""
    precision.convert_input = lambda data: data


def device_name(device: str) -> str:
    """The model of the GPU or of the processor, where the system tells."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    model = cpu_info("model name")
    return f"cpu: {model}" if model else device


def cpu_info(name: str) -> str:
    """What Linux says of the first processor under a name such as `flags`; nothing elsewhere."""
    path = Path("/proc/cpuinfo")
    if path.exists():
        for line in path.read_text().splitlines():
            if line.startswith(name):
                return line.partition(":")[2].strip()
    return ""
