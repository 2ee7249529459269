"""What a device can do at best, in a precision."""

import time
from collections.abc import Callable
from statistics import median

import torch

from ..machine.device import wait_for

SIDES = {"cpu": 2048, "cuda": 8192}  # of the matrices, by the type of the device
COPIED = {"cpu": 1 << 27, "cuda": 1 << 30}  # bytes
TRIES = 5


def matrix_rate(device: str, kind: torch.dtype) -> float:
    """Floating-point operations a second in the product of two matrices of numbers of this kind."""
    side = SIDES[device]
    left, right = (torch.rand(side, side, device=device).to(kind) for _ in range(2))
    return 2 * side**3 / seconds(lambda: left @ right, device)


def copy_rate(device: str) -> float:
    """Bytes a second that are read and written while memory is copied."""
    source = torch.zeros(COPIED[device], dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * source.nbytes / seconds(lambda: target.copy_(source), device)


def seconds(work: Callable[[], object], device: str, tries: int = TRIES) -> float:
    """How long some work takes: the median of several tries, after one to warm up."""
    work()
    times = []
    for _ in range(tries):
        wait_for(device)
        began = time.perf_counter()
        work()
        wait_for(device)
        times.append(time.perf_counter() - began)
    return median(times)
