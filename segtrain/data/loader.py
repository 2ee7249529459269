"""Worker processes that read, and that neither die before their parent nor outlive it."""

import atexit
import ctypes
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from weakref import ref

from torch.utils.data import DataLoader

GROUP_SIGNALS = [s for name in ("SIGINT", "SIGTERM", "SIGHUP") if (s := getattr(signal, name, None)) is not None]
PR_SET_PDEATHSIG = 1  # of Linux' prctl
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None  # here, since a forked process may not load libraries


class Loader(DataLoader[Any]):
    """torch's loader, whose workers leave the signals that a terminal or a scheduler sends to all to their parent."""

    def __init__(self, dataset: Any, *, num_workers: int = 0, inherit: bool = False, **options: Any) -> None:
        """`inherit`: whether workers need the memory of this process."""
        fork = num_workers > 0 and (inherit or sys.platform == "linux")  # there, a worker is its reader's own child
        super().__init__(
            dataset,
            num_workers=num_workers,
            multiprocessing_context="fork" if fork else None,
            worker_init_fn=partial(begin, parent=os.getpid()),
            **options,
        )
        self._iterator_in_use: Any = None

    def __iter__(self) -> Any:
        with held_back():  # a worker begins with its parent's handlers: none may be called before `begin`
            iterator = super().__iter__()
        if self._iterator_in_use is None or self._iterator_in_use() is not iterator:
            self._iterator_in_use = ref(iterator)
            atexit.register(end, self._iterator_in_use)
        return iterator

    def stop(self) -> None:
        """End the workers now. Without this they stay for as long as an exception's traceback knows their iterator."""
        if self._iterator_in_use is not None:
            end(self._iterator_in_use)


def end(reference: ref[Any]) -> None:
    """Shut the workers of an iterator down, and kill those that do not obey: Python waits for them at its end, for
    ever."""
    iterator = reference()
    workers = getattr(iterator, "_workers", ())
    if iterator is not None and workers:
        iterator._shutdown_workers()
    for worker in workers:
        if worker.is_alive():
            worker.kill()


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
    """The first thing that a worker does. The signals stay held back: its parent decides what they mean."""
    sys.excepthook = lambda *error: None  # of the thread that hands out tensors, when the parent was killed
    die_with(parent)
    if hasattr(signal, "sigwaitinfo"):
        threading.Thread(target=obey, args=(parent,), daemon=True).start()
    elif hasattr(signal, "pthread_sigmask"):  # macOS: the sender of a signal stays unknown
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])


def obey(parent: int) -> None:
    """End on a SIGTERM of the parent's own, with which torch ends workers that are no longer needed."""
    while signal.sigwaitinfo([signal.SIGTERM]).si_pid != parent:
        pass
    os._exit(0)


def die_with(parent: int) -> None:
    """Have Linux kill this process when its parent ends, however that may be. (Elsewhere torch's workers look around
    every five seconds.)"""
    if sys.platform == "linux":
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it was faster
            os.kill(os.getpid(), signal.SIGKILL)
