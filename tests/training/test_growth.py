import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands.conftest import TINY

STEPS, EARLY = 2000, 500

# Trains as the command does, and notes the memory of the process every hundred steps.
TRAIN = """
import json
import os
import sys
from pathlib import Path
from segtrain import cli
from segtrain.training.callbacks import Curves

memory, before = {}, Curves.on_train_batch_end

def noted(self, trainer, *others):
    before(self, trainer, *others)
    if trainer.global_step % 100 == 0:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        memory[trainer.global_step] = pages * os.sysconf("SC_PAGE_SIZE")

Curves.on_train_batch_end = noted
sys.argv = ["segtrain", *sys.argv[1:]]
status = cli.main()
Path("memory.json").write_text(json.dumps(memory))
sys.exit(status)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory of a process where Linux says it")
def test_the_memory_of_a_training_does_not_grow(tmp_path: Path) -> None:
    words = [*TINY, f"train.steps={STEPS}", "train.validate_epochs=100", "train.ema=0.9", "run_dir=run"]
    command = [sys.executable, "-c", TRAIN, "train", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    memory = {int(step): size for step, size in json.loads((tmp_path / "memory.json").read_text()).items()}
    assert set(memory) == set(range(100, STEPS + 1, 100))
    later = [size for step, size in memory.items() if step > EARLY]
    assert max(later) <= 1.02 * memory[EARLY]
