"""What a machine is good at: its device, and the mixed precision for it."""

import logging
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as short
from typing import Any, Literal, get_args

import torch

from ..errors import UserError

# Lightning's names, and `auto`
Precision = Literal["auto", "bf16-mixed", "16-mixed", "32-true", "64-true", "bf16-true", "16-true", 16, 32, 64]
Devices = int | list[int] | Literal["auto"]
Sharing = Literal["auto", "ddp", "fsdp"]  # how several devices share a training

# Lightning's hints that a user of segtrain can do nothing about, by how their messages begin.
NOISE = (
    r".*does not have many workers",  # data.workers is chosen by the machine
    r".*isinstance\(treespec, LeafSpec\).*",  # between Lightning and torch
    r"GPU available but not used",  # who types trainer.accelerator=cpu knows
)

# What oneDNN may be limited to, of all that it knows, without bf16
WITHOUT_BF16 = {"SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2", "AVX512_CORE", "AVX512_CORE_VNNI"}


@dataclass
class Computing:
    """The `trainer.` settings of a command that uses a trained network; `precision=None` is that of its run,
    where the machine suits it."""

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
    if device == "cpu" and is_fp16(name):
        raise UserError(f"trainer.precision={name}: fp16 needs a GPU; on this CPU take bf16-mixed, 32-true or auto")
    return choose(device) if name == "auto" else (str(name), "as typed")


def typed_or_stored(typed: Precision | None, device: str, stored: str) -> tuple[str, str | None]:
    """The precision to use a trained network in: the typed one, else that of its run, and in its place fp32 where the
    machine is slow in it or lacks it; then also a line that says so."""
    if typed is not None:
        return resolve(typed, device)[0], None
    if stored not in map(str, get_args(Precision)[1:]):
        raise UserError(f"the run's precision is {short(stored)}, which is none: type trainer.precision=auto")
    reason = unsuited(stored, device)
    if reason is None:
        return stored, None
    typing = "" if is_fp16(stored) else f" (trainer.precision={stored} computes in it all the same)"
    return "32-true", f"precision 32-true, not {stored} as in training: {reason}{typing}"


def unsuited(name: str, device: str) -> str | None:
    """Why a device does not suit a precision that its own choice would not be; `None` where it does."""
    if is_fp16(name):
        return "fp16 needs a GPU" if device == "cpu" else None
    best, reason = choose(device)
    return reason if name.startswith("bf16") and not best.startswith("bf16") else None


def dtype_of_weights(precision: str) -> torch.dtype:
    """What a network's weights are in at a precision; those of its checkpoint may be in another one's."""
    others = {"bf16-true": torch.bfloat16, "16-true": torch.float16, "64-true": torch.float64, "64": torch.float64}
    return others.get(precision, torch.float32)


def is_fp16(name: object) -> bool:
    return str(name).startswith("16")


def choose(device: str) -> tuple[str, str]:
    """Lightning's name of the precision for `cuda`, `cpu`, ..., and the reason in words."""
    if device == "cuda":
        name = torch.cuda.get_device_name()
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16-mixed", f"{name} computes in bf16"
        return "16-mixed", f"{name} has no bf16, so fp16 with a loss scaler"
    if device == "cpu":
        return choose_for_cpu()
    return "32-true", f"mixed precision is not tried on {device}"


def keep_depth(precision: Any) -> None:
    """Have a precision of Lightning's leave images as they are: one that halves the weights would halve images too,
    which the network normalises first."""
    precision.convert_input = lambda data: data


def choose_for_cpu() -> tuple[str, str]:
    found = sorted({"amx_bf16", "avx512_bf16"} & set(cpu_info("flags").split()))
    if not found:
        return "32-true", "this CPU has neither AMX nor AVX512-BF16"
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper()  # torch's kernels use no more of the CPU than this
    if limit in WITHOUT_BF16:
        return "32-true", f"ONEDNN_MAX_CPU_ISA={limit} leaves out AMX and AVX512-BF16"
    return "bf16-mixed", f"this CPU has {found[0].replace('_', '-').upper()}"


def wait_for(device: str) -> None:
    """Return once the device has done all that it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def seed(number: int, device: torch.device) -> None:
    """Seed what is drawn on the CPU and on this process's device, to the numbers of torch.manual_seed; that looks after
    all kinds of devices, and takes longer for each that is not in use: it notes where it was called."""
    torch.default_generator.manual_seed(number)
    if device.type == "cuda":
        torch.cuda.manual_seed(number)


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
