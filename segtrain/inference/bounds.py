"""What a program from a stranger may take of this machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock, Timer
from typing import Any

MEMORY = 8 << 30  # bytes beside those that the process has
SECONDS = 600.0  # for one piece of an image
SIZES = Path("/proc/self/statm")  # of this process, in pages, on Linux
ONE = Lock()  # the limit is the process's, whichever thread sets it


@contextmanager
def bounded_memory() -> Iterator[None]:
    """Inside, the process may take `MEMORY` more than it has; what asks for more fails. On Linux alone."""
    if not SIZES.exists():
        yield
        return
    import resource

    with ONE:
        before, most = resource.getrlimit(resource.RLIMIT_AS)
        taken = int(SIZES.read_text().split()[0]) * resource.getpagesize()
        allowed = [limit for limit in (before, most, taken + MEMORY) if limit != resource.RLIM_INFINITY]
        resource.setrlimit(resource.RLIMIT_AS, (min(allowed), most))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (before, most))


@contextmanager
def bounded_time(options: Any) -> Iterator[None]:
    """Inside, what onnxruntime runs with these options ends after `SECONDS`, between two operators."""
    timer = Timer(SECONDS, setattr, (options, "terminate", True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
