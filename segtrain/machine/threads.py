"""Threads that read ahead of the main work, and write behind it.

Pillow, zlib and NumPy let other threads run while they work, so that nothing needs to be sent to other processes.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def read_ahead(
    threads: ThreadPoolExecutor, items: Iterable[Item], read: Callable[[Item], Result], number: int
) -> Iterator[tuple[Item, Future[Result]]]:
    """Each item in order, with what is read of it, while up to `number` of those that follow are read."""
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    for item in items:
        waiting.append((item, threads.submit(read, item)))
        if len(waiting) > number:
            yield waiting.popleft()
    while waiting:
        yield waiting.popleft()


class Behind:
    """Work that threads do, whose results are taken in order; at most `number` pieces of it wait at a time."""

    def __init__(self, threads: ThreadPoolExecutor, number: int) -> None:
        self.threads, self.number = threads, number
        self._waiting: deque[tuple[Future[object], Callable[[Future[object]], None]]] = deque()

    def add(self, work: Callable[[], object], take: Callable[[Future[object]], None]) -> None:
        """Do some work; later, in the thread that adds, `take` is given its result or its error."""
        self._waiting.append((self.threads.submit(work), take))
        self._finish(self.number)

    def finish(self) -> None:
        """Wait for all of it."""
        self._finish(0)

    def _finish(self, number: int) -> None:
        while len(self._waiting) > number:
            future, take = self._waiting.popleft()
            take(future)
