"""How the memory of a CPU is taken and given back."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # parameters of glibc's mallopt
STEP = 1 << 27  # bytes by which the heap grows
USUAL_BLOCKS, USUAL_REST = 65_536, 1 << 17  # glibc's own values of M_MMAP_MAX and M_TRIM_THRESHOLD
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def keep_freed_memory() -> None:
    """Have C's library on Linux keep memory that is freed for what is taken next.

    By itself it gives large blocks back to the system at once, which fills them with zeros, page by page, when they are
    taken again. Each step of a training takes and frees the same gigabyte, and spends a quarter of its time on that
    (docs/benchmarks.md). In return a process may take half as much again, since blocks of other sizes leave gaps.
    """
    if has_mallopt():
        LIBC.mallopt(M_MMAP_MAX, 0)  # type: ignore[union-attr]
        LIBC.mallopt(M_TRIM_THRESHOLD, -1)  # type: ignore[union-attr]
        LIBC.mallopt(M_TOP_PAD, STEP)  # type: ignore[union-attr]


def give_freed_memory_back() -> None:
    """Undo `keep_freed_memory`, and give the system all memory that is free now."""
    if has_mallopt():
        LIBC.mallopt(M_MMAP_MAX, USUAL_BLOCKS)  # type: ignore[union-attr]
        LIBC.mallopt(M_TRIM_THRESHOLD, USUAL_REST)  # type: ignore[union-attr]
        LIBC.mallopt(M_TOP_PAD, 0)  # type: ignore[union-attr]
        LIBC.malloc_trim(0)  # type: ignore[union-attr]


def has_mallopt() -> bool:
    """Whether this is glibc: musl, for one, has no such thing."""
    return hasattr(LIBC, "mallopt") and hasattr(LIBC, "malloc_trim")
