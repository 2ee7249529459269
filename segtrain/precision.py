"""What a machine is good at: its device, and the mixed precision for it."""

import logging
import warnings
from pathlib import Path
from typing import Any, Literal

import torch

Precision = Literal[
    "auto", "bf16-mixed", "16-mixed", "32-true", "64-true", "bf16-true", "16-true", 16, 32, 64
]  # Lightning's names, and `auto`
# Lightning's hints that a user of segtrain can do nothing about, by how their messages begin.
NOISE = (
    r".*does not have many workers",  # data.workers is chosen by the machine
    r".*isinstance\(treespec, LeafSpec\).*",  # between Lightning and torch
    r"GPU available but not used",  # who types trainer.accelerator=cpu knows
)


def quiet() -> None:
    """Silence what Lightning says about itself, and the warnings in `NOISE`."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in NOISE:
        warnings.filterwarnings("ignore", message)


def device_type(accelerator: str, devices: Any = 1) -> str:
    """`cuda` or `cpu` for Lightning's name of an accelerator.

    Raises:
        ValueError: if a GPU is asked for and there is none, and for more than one device.
    """
    if str(devices) != "1" and not (isinstance(devices, list) and len(devices) == 1):
        raise ValueError(f"trainer.devices={devices}: one device is used so far; take 1, or [2] for the third GPU")
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return "cuda"
    if accelerator in ("auto", "cpu"):
        return "cpu"
    raise ValueError(f"trainer.accelerator={accelerator}: there is none on this machine; take auto or cpu")


def resolve(name: Precision, device: str) -> tuple[str, str]:
    """The precision to use and the reason: `name` as typed, or what suits the device for `auto`."""
    return choose(device) if name == "auto" else (str(name), "as typed")


def choose(device: str) -> tuple[str, str]:
    """Lightning's name of the precision for `cuda`, `cpu`, ..., and the reason in words."""
    if device == "cuda":
        name = torch.cuda.get_device_name()
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16-mixed", f"{name} computes in bf16"
        return "16-mixed", f"{name} has no bf16, so fp16 with a loss scaler"
    if device == "cpu":
        found = sorted({"amx_bf16", "avx512_bf16"} & cpu_flags())
        if found:
            return "bf16-mixed", f"this CPU has {found[0].replace('_', '-').upper()}"
        return "32-true", "this CPU has neither AMX nor AVX512-BF16"
    return "32-true", f"mixed precision is not tried on {device}"


def device_name(device: str) -> str:
    """The model of the GPU or of the processor, where the system tells."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    names = [line.partition(":")[2].strip() for line in cpu_info() if line.startswith("model name")]
    return f"cpu: {names[0]}" if names else device


def cpu_flags() -> set[str]:
    """The processor's feature flags as Linux lists them; none elsewhere."""
    return next((set(line.split()) for line in cpu_info() if line.startswith("flags")), set())


def cpu_info() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []
