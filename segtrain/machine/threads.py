"""Work that threads do behind the main one. Pillow, zlib and NumPy let others run while they write."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

MOST = 16  # threads: one of them writes two or three images of 2048 x 1024 a second


class Behind:
    """Work that threads do, whose results are taken in order; as many pieces of it wait at a time as there are threads.

    On an error inside `with`, what has not begun is left.
    """

    def __init__(self, threads: int) -> None:
        self.number = min(threads, MOST)
        self.threads = ThreadPoolExecutor(self.number)
        self._waiting: deque[tuple[Future[object], Callable[[Future[object]], None]]] = deque()

    def __enter__(self) -> "Behind":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self.threads.shutdown(cancel_futures=True)

    def add(self, work: Callable[[], object], take: Callable[[Future[object]], None]) -> None:
        """Do some work; later, in the thread that adds, `take` is given its result or its error."""
        self._waiting.append((self.threads.submit(work), take))
        self._finish(self.number)

    def finish(self) -> None:
        """Wait for all of it."""
        self._finish(0)

    def close(self) -> None:
        """Wait for all of it, and let the threads go."""
        self.finish()
        self.threads.shutdown()

    def _finish(self, number: int) -> None:
        while len(self._waiting) > number:
            future, take = self._waiting.popleft()
            take(future)
