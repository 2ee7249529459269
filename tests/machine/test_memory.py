import subprocess
import sys

import pytest

# Page faults of taking and freeing 64 MB twenty times, before and after.
FAULTS = """
import resource
import numpy as np
from segtrain.machine.memory import give_freed_memory_back, keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(1 << 26, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(faults())
keep_freed_memory()
np.ones(1 << 26, np.uint8)  # takes the memory
print(faults())
give_freed_memory_back()
print(faults())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is glibc's")
def test_memory_that_is_kept_is_not_fetched_page_by_page_again() -> None:
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True, timeout=120)
    before, kept, given_back = map(int, done.stdout.split())
    assert before > 20 * 16  # 64 MB in huge pages, or in many more small ones
    assert kept < before / 10
    assert given_back > before / 2


def test_without_glibc_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    from segtrain.machine import memory

    monkeypatch.setattr(memory, "LIBC", None)
    memory.keep_freed_memory()
    memory.give_freed_memory_back()
