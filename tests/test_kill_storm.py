"""scripts/kill_storm.py: that it notices what it is there for; slow: a small storm, and exact resume without chance."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.tensorboard import SummaryWriter

from tests.conftest import script

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts" / "kill_storm.py"
CLEAN = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}:{SCRIPT.parent}"}
POINTS = {1: 0.5, 2: 0.25, 3: 0.125}


@pytest.fixture(scope="module")
def kill_storm() -> Any:
    return script("kill_storm")


def write_points(run: Path, name: str, points: Mapping[int, float], purge_step: int | None = None) -> None:
    """An event file `name` of TensorBoard's."""
    before = set(run.glob("events.*"))
    with SummaryWriter(str(run), purge_step=purge_step) as writer:
        for step, value in points.items():
            writer.add_scalar("loss/train", value, step)
    (written,) = set(run.glob("events.*")) - before
    written.rename(run / name)


@pytest.fixture
def write_run(tmp_path: Path) -> Callable[..., Path]:
    """Writes a run folder with a file of each kind, TensorBoard's if there are points."""

    def write(weight: torch.Tensor | None = None, rate: float = 0.1, points: Mapping[int, float] = POINTS) -> Path:
        run = tmp_path / f"run_{len(list(tmp_path.iterdir()))}"
        for folder in ("checkpoints", "evaluate/test"):
            (run / folder).mkdir(parents=True)
        content = {
            "state_dict": {"weight": torch.ones(2) if weight is None else weight},
            "optimizer_states": [{"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": rate}]}],
            "lr_schedulers": [{"last_epoch": 3}],
            "callbacks": {"Checkpoint": {"batches_done": 3, "best": 0.5, "best_step": 2}},
            "global_step": 3,
            "segtrain": {"version": 1, "record": "{}", "finished": True},
        }
        for name in ("last", "best"):
            torch.save(content, run / "checkpoints" / f"{name}.ckpt")
        (run / "evaluate" / "test" / "metrics.json").write_text('{"miou": 0.25}')
        (run / "metrics.csv").write_text("step,loss/train,speed/data_wait\n3,0.5,0.1\n")
        (run / "config.yaml").write_text("trainer: {precision: 32-true}")
        if points:
            write_points(run, "events.out.tfevents.1.host.1.0", points)
        return run

    return write


def changed(kill_storm: Any, one: Path, other: Path) -> list[str]:
    """The names of what differs."""
    return [line.partition(":")[0] for line in kill_storm.differences(kill_storm.facts(one), other)]


def test_equal_runs_do_not_differ(kill_storm: Any, write_run: Callable[..., Path]) -> None:
    assert changed(kill_storm, write_run(), write_run()) == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64])
def test_a_flipped_bit_of_a_weight_is_noticed(kill_storm: Any, write_run: Callable[..., Path], dtype: Any) -> None:
    weight = torch.ones(2, dtype=dtype)
    flipped = weight.clone()
    flipped.view(torch.uint8)[0] ^= 1
    names = changed(kill_storm, write_run(weight), write_run(flipped))
    assert names == ["last/state_dict/weight", "best/state_dict/weight"]


def test_the_last_bit_of_a_number_is_noticed(kill_storm: Any, write_run: Callable[..., Path]) -> None:
    names = changed(kill_storm, write_run(), write_run(rate=0.1 + 2**-56))
    assert names == ["last/optimizer_states/0/param_groups/0/lr"]


@pytest.mark.parametrize(
    ("points", "names"),
    [
        ({1: 0.5, 2: 0.25, 3: 0.126}, ["TensorBoard/loss/train/3"]),
        ({1: 0.5, 3: 0.125}, ["TensorBoard/loss/train holds", "TensorBoard/loss/train/2"]),
    ],
)
def test_a_changed_and_a_missing_point_are_noticed(
    kill_storm: Any, write_run: Callable[..., Path], points: dict[int, float], names: list[str]
) -> None:
    assert changed(kill_storm, write_run(), write_run(points=points)) == names


def test_a_resumed_curve_is_read_as_tensorboard_shows_it(kill_storm: Any, write_run: Callable[..., Path]) -> None:
    """Even where both files are of one second, and the names of their processes sort the wrong way round."""
    run = write_run(points={})
    write_points(run, "events.out.tfevents.1.host.9999.0", {1: 0.5, 2: 7.0, 3: 7.0})
    write_points(run, "events.out.tfevents.1.host.10000.0", {2: 0.25, 3: 0.125}, purge_step=2)
    assert changed(kill_storm, write_run(), run) == []


@pytest.mark.parametrize("again", [{2: 0.3}, {1: 0.5}])
def test_a_curve_that_contradicts_itself_is_refused(
    kill_storm: Any, write_run: Callable[..., Path], again: dict[int, float]
) -> None:
    run = write_run(points={1: 0.5, 2: 0.25})
    write_points(run, "events.out.tfevents.2.host.1.0", again)
    with pytest.raises(ValueError, match="loss/train contradict"):
        kill_storm.points(run)


def test_a_score_and_a_row_count_but_not_a_speed(kill_storm: Any, write_run: Callable[..., Path]) -> None:
    run = write_run()
    (run / "metrics.csv").write_text("step,loss/train,speed/data_wait\n3,0.5,0.9\n")
    assert changed(kill_storm, write_run(), run) == []
    (run / "metrics.csv").write_text("step,loss/train,speed/data_wait\n3,0.6,0.1\n")
    (run / "evaluate" / "test" / "metrics.json").write_text('{"miou": 0.5}')
    assert changed(kill_storm, write_run(), run) == ["scores/test/miou", "metrics.csv/0/loss/train"]


@pytest.mark.slow
def test_what_an_interruption_must_not_leave_is_noticed(kill_storm: Any, write_run: Callable[..., Path]) -> None:
    run, output = write_run(), write_run() / "output.txt"
    output.write_text("")
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as orphan:
        found = list(kill_storm.faults(run, orphan.pid, output))
        assert found == [f"outlive it: ['{orphan.pid} (sleep)']"]
        orphan.kill()
    assert list(kill_storm.faults(run, orphan.pid, output)) == []

    output.write_text("Traceback (most recent call last):")
    for name in ("one.tmp", "checkpoints/two.tmp"):
        (run / name).touch()
    damaged = bytearray((run / "checkpoints" / "best.ckpt").read_bytes())
    damaged[damaged.index(torch.ones(2).numpy().tobytes())] ^= 1
    (run / "checkpoints" / "best.ckpt").write_bytes(damaged)
    (run / "evaluate" / "test" / "metrics.json").write_text('{"miou"')
    found = [fault.split()[0] for fault in kill_storm.faults(run, orphan.pid, output)]
    assert found == ["temporary", "best.ckpt", "metrics.json", "Traceback"]


# --- slow -------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_storm_changes_nothing() -> None:
    """A round of five variants, the last of which does what six others do."""
    variants = ["freeze", "patience", "teacher", "fold", "all"]
    command = [sys.executable, str(SCRIPT), "--interruptions", "1", "--seed", "1", "--variants", *variants]
    done = subprocess.run(command, env=CLEAN, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    everything = re.search(r"^together .* (\d+) interruptions, 0 of 5 trials wrong", done.stdout, re.MULTILINE)
    assert everything
    assert int(everything[1]) >= 10


def forked(code: str, folder: Path) -> Any:
    """What `code` says as JSON, in a process that has computed nothing, as forks need it."""
    start = "import json, os, signal, sys, torch, kill_storm\nfrom pathlib import Path\ntorch.set_num_threads(1)\n"
    command = [sys.executable, "-c", f"{start}folder = Path(sys.argv[1])\n{code}", str(folder)]
    done = subprocess.run(command, env=CLEAN, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-5000:]
    return json.loads(done.stdout)


@pytest.mark.slow
def test_the_number_of_workers_changes_nothing(tmp_path: Path) -> None:
    code = """
for workers in ("0", "2", "4"):
    kill_storm.VARIANTS[workers] = f"data.workers={workers} train.ema=0.9"
runs = [kill_storm.reference(workers, folder / workers) for workers in ("0", "2", "4")]
print(json.dumps([run.facts for run in runs]))
"""
    none, two, four = forked(code, tmp_path)
    assert len(none) > 500
    assert none == two == four


@pytest.mark.slow
def test_a_run_that_is_stopped_in_every_step_and_resumed_is_the_same(tmp_path: Path) -> None:
    code = """
from segtrain.training.learner import Learner
undisturbed = kill_storm.reference("EMA", folder / "undisturbed")
begin = Learner.on_train_batch_start
def begin_and_be_stopped(self, batch, batch_idx):
    os.kill(os.getpid(), signal.SIGTERM)
    return begin(self, batch, batch_idx)
Learner.on_train_batch_start = begin_and_be_stopped
statuses, words = [], [*kill_storm.words_of("EMA"), "run_dir=stopped"]
while statuses[-1:] != [0] and len(statuses) < 20:
    pid = kill_storm.start(["train", *words], folder, folder / "output.txt")
    statuses.append(kill_storm.status_after(pid, 30))
    words = ["resume=stopped"]
print(json.dumps([statuses, kill_storm.differences(undisturbed.facts, folder / "stopped")]))
"""
    statuses, differences = forked(code, tmp_path)
    assert statuses == [143] * 12 + [0]  # twelve steps, and then the final score
    assert differences == []
