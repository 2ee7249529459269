"""How the memory of a CPU is taken and given back."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # parameters of glibc's mallopt
STEP = 1 << 27  # bytes by which the heap grows
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def keep_freed_memory() -> None:
    """Have C's library on Linux keep memory that is freed for what is taken next.

    By itself it gives large blocks back to the system at once, which fills them with zeros, page by page, when they are
    taken again. Each step of a training takes and frees the same gigabyte, and spends a quarter of its time on that
    (docs/benchmarks.md). What the process takes at its worst moment it now has until it ends.
    """
    if hasattr(LIBC, "mallopt"):  # not in musl
        LIBC.mallopt(M_MMAP_MAX, 0)  # type: ignore[union-attr]
        LIBC.mallopt(M_TRIM_THRESHOLD, -1)  # type: ignore[union-attr]
        LIBC.mallopt(M_TOP_PAD, STEP)  # type: ignore[union-attr]
