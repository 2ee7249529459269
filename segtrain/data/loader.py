"""Worker processes that read, and that neither die before their parent nor outlive it."""

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch.utils.data import DataLoader

GROUP_SIGNALS = [s for name in ("SIGINT", "SIGTERM", "SIGHUP") if (s := getattr(signal, name, None)) is not None]
PR_SET_PDEATHSIG = 1  # of Linux' prctl


class Loader(DataLoader[Any]):
    """torch's loader, whose workers leave the signals that a terminal or a scheduler sends to all to their parent."""

    def __init__(self, dataset: Any, **options: Any) -> None:
        super().__init__(dataset, worker_init_fn=partial(begin, parent=os.getpid()), **options)

    def __iter__(self) -> Any:
        with held_back():  # a worker begins with its parent's handlers: none may be called before `begin`
            return super().__iter__()


@contextmanager
def held_back() -> Iterator[None]:
    """Inside, signals wait; processes that begin here hold them back until they say otherwise."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, GROUP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def begin(worker: int, parent: int) -> None:
    """The first thing that a worker does."""
    for number in GROUP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, GROUP_SIGNALS)
    die_with(parent)


def die_with(parent: int) -> None:
    """Have Linux kill this process when its parent ends, however that may be. (Elsewhere torch's workers look around
    every five seconds.)"""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it was faster
            os.kill(os.getpid(), signal.SIGKILL)
