"""Worker processes that read, and that neither die before their parent nor outlive it."""

import atexit
import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from select import select
from typing import Any
from weakref import ref

from torch.utils.data import DataLoader

GROUP_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
PATIENCE, TRIES = 20, 3  # seconds for all workers to begin, and how often they may
PR_SET_PDEATHSIG = 1  # of Linux' prctl
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None  # here, since a forked process may not load libraries


class Loader(DataLoader[Any]):
    """torch's loader, whose workers leave the signals that a terminal or a scheduler sends to all to their parent."""

    def __init__(self, dataset: Any, *, num_workers: int = 0, inherit: bool = False, **options: Any) -> None:
        """Workers that `inherit` have the memory of this process."""
        self._forks = num_workers > 0 and (inherit or sys.platform == "linux")  # there, as children of their reader
        context = "fork" if self._forks else None
        super().__init__(dataset, num_workers=num_workers, multiprocessing_context=context, **options)
        self._iterator_in_use: Any = None

    def __iter__(self) -> Any:
        """Begins anew if a worker does not begin."""
        for _ in range(TRIES):
            iterator, begun = self._start()
            if self._iterator_in_use is None or self._iterator_in_use() is not iterator:
                self._iterator_in_use = ref(iterator)
                atexit.register(end, self._iterator_in_use)
            if begun:
                return iterator
            self.stop()
            self._iterator = None  # where torch keeps workers that stay
        raise RuntimeError(f"{self.num_workers} processes that read images do not begin: data.workers=0 needs none")

    def _start(self) -> tuple[Any, bool]:
        """An iterator, and whether all its workers have begun.

        Up to Python 3.11.7, a forked process waits for ever if another thread of its parent, such as one of gloo's, was
        just making or deleting its Python state: https://github.com/python/cpython/issues/112275
        """
        read, write = os.pipe() if self._forks else (-1, -1)
        try:
            self.worker_init_fn = partial(begin, parent=os.getpid(), sign=write)
            with held_back():  # a worker begins with its parent's handlers: none may be called before `begin`
                iterator = super().__iter__()
            stayed = self._iterator_in_use is not None and self._iterator_in_use() is iterator
            return iterator, not self._forks or stayed or signs(read, self.num_workers)
        finally:
            for end_of_pipe in (read, write) if self._forks else ():
                os.close(end_of_pipe)

    def stop(self) -> None:
        """End the workers now. Without this they stay for as long as an exception's traceback knows their iterator."""
        if self._iterator_in_use is not None:
            end(self._iterator_in_use)
        self._iterator = None  # which has what was read ahead


def cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def end(reference: ref[Any]) -> None:
    """Shut an iterator's workers down, and kill those that do not obey: Python would wait for them for ever."""
    iterator = reference()
    workers = getattr(iterator, "_workers", ())
    if iterator is not None and workers:
        iterator._shutdown_workers()
    for worker in workers:
        if worker.is_alive():
            worker.kill()


def signs(pipe: int, number: int) -> bool:
    """Whether so many bytes, one from each worker that has begun, come out of a pipe within `PATIENCE` seconds."""
    deadline = time.monotonic() + PATIENCE
    while number and select([pipe], [], [], max(0, deadline - time.monotonic()))[0]:
        number -= len(os.read(pipe, number))
    return not number


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


def begin(worker: int, parent: int, sign: int) -> None:
    """The first thing that a worker does. The signals stay held back: its parent decides what they mean, and learns
    through the pipe `sign`, unless that is -1, that it has begun."""
    sys.excepthook = lambda *error: None  # of the thread that hands out tensors, when the parent was killed
    die_with(parent)
    if hasattr(signal, "sigwaitinfo"):
        threading.Thread(target=obey, args=(parent,), daemon=True).start()
    elif hasattr(signal, "pthread_sigmask"):  # macOS: the sender of a signal stays unknown
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    if sign >= 0:
        os.write(sign, b".")


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


def give_back_memory() -> None:
    """Return memory that is free to the machine, which C's library on Linux does not do by itself."""
    if hasattr(LIBC, "malloc_trim"):
        LIBC.malloc_trim(0)  # type: ignore[union-attr]
