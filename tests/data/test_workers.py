import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch.utils.data import Dataset

from segtrain.data.workers import Loader

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="how processes end is told apart on Linux")

PARENT = """
import os, time
from tests.data.test_workers import Numbers
from segtrain.data.workers import Loader
iterator = iter(Loader(Numbers(), batch_size=1, num_workers=2))
print(*(worker.pid for worker in iterator._workers), flush=True)
time.sleep(60)
"""

STUCK = """
import ctypes
from torch.utils.data import Dataset
from segtrain.data.workers import Loader

class Stuck(Dataset):
    def __len__(self):
        return 1
    def __getitem__(self, index):
        ctypes.PyDLL(None).sleep(600)  # and no other thread of the worker gets its turn

iterator = iter(Loader(Stuck(), num_workers=1, persistent_workers=True))
print(iterator._workers[0].pid, flush=True)
"""

DEAF = """
import os, time
from pathlib import Path
from torch.utils.data import Dataset
from segtrain.data import workers

def hang_once():  # in the child, before anything of ours, as CPython does when it meets a lock that was held
    if not Path("hung").exists():
        Path("hung").write_text(str(os.getpid()))
        time.sleep(600)

class Numbers(Dataset):
    def __len__(self):
        return 6
    def __getitem__(self, index):
        return index

os.register_at_fork(after_in_child=hang_once)
workers.PATIENCE = 2
for persistent in (False, True):
    Path("hung").unlink(missing_ok=True)
    numbers = workers.Loader(Numbers(), num_workers=2, persistent_workers=persistent)
    print([int(number) for _ in range(2) for number in numbers], Path("hung").exists())
workers.TRIES = 0
try:
    iter(workers.Loader(Numbers(), num_workers=2))
except RuntimeError as error:
    print(error)
"""


class Numbers(Dataset[torch.Tensor]):
    def __len__(self) -> int:
        return 200

    def __getitem__(self, index: int) -> torch.Tensor:
        time.sleep(0.002)
        return torch.tensor(index)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_until_gone(pids: list[int], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not any(map(alive, pids)):
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_workers_leave_signals_to_their_parent(number: signal.Signals):
    loader = Loader(Numbers(), batch_size=1, num_workers=2)
    iterator = iter(loader)
    seen = [int(next(iterator))]
    sender = f"import os\nfor pid in {[worker.pid for worker in iterator._workers]}: os.kill(pid, {int(number)})"
    subprocess.run([sys.executable, "-c", sender], check=True)  # from another process, as a terminal sends it
    seen += [int(batch) for batch in iterator]
    assert seen == list(range(200))


def test_signals_can_come_again_once_the_workers_have_begun():
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    iterator = iter(Loader(Numbers(), batch_size=1, num_workers=1))
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before
    del iterator


@pytest.mark.slow
def test_workers_end_with_a_parent_that_was_killed():
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, cwd=Path.cwd())
    assert parent.stdout is not None
    workers = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(workers) == 2
    assert all(map(alive, workers))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert wait_until_gone(workers, 4)


@pytest.mark.slow
def test_a_process_ends_although_a_worker_is_stuck():
    ended = subprocess.run([sys.executable, "-c", STUCK], capture_output=True, text=True, timeout=60, check=True)
    assert wait_until_gone([int(ended.stdout)], 4)
    assert ended.stderr == ""


@pytest.mark.slow
def test_workers_that_do_not_begin_are_begun_again(tmp_path: Path):
    ended = subprocess.run(
        [sys.executable, "-c", DEAF], capture_output=True, text=True, timeout=100, check=True, cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
    )  # fmt: skip
    numbers = [*range(6), *range(6)]
    assert ended.stdout.splitlines()[:2] == [f"{numbers} True"] * 2
    assert "do not begin: data.workers=0" in ended.stdout.splitlines()[2]
    assert wait_until_gone([int((tmp_path / "hung").read_text())], 4)
    assert ended.stderr == ""


def test_workers_end_when_the_loader_is_stopped_although_its_iterator_is_known():
    loader = Loader(Numbers(), batch_size=1, num_workers=2)
    iterator = iter(loader)
    next(iterator)
    workers = [worker.pid for worker in iterator._workers]
    loader.stop()
    assert wait_until_gone(workers, 4)


@pytest.mark.slow
def test_a_worker_obeys_a_sigterm_of_its_parent_alone():
    code = "import os, signal\nfrom segtrain.data.workers import obey\n"
    code += "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\nprint(1, flush=True)\nobey(os.getppid())"
    worker = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert worker.stdout is not None
    worker.stdout.readline()
    subprocess.run([sys.executable, "-c", f"import os; os.kill({worker.pid}, 15)"], check=True)
    time.sleep(0.2)
    assert worker.poll() is None
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=10) == 0
    worker.stdout.close()


def test_without_workers_nothing_has_to_be_stopped():
    loader = Loader(Numbers(), batch_size=100)
    assert len(list(loader)) == 2
    loader.stop()
