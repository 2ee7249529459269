import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.fabric import Fabric
from lightning.pytorch import Trainer

from segtrain.data.batches.sampler import Share
from segtrain.machine import processes
from tests.commands.conftest import TINY
from tests.losses.test_contract import LOSSES
from tests.machine.conftest import ALONE
from tests.training.test_learner import network

# A network of the user's own, whose batch norm does not learn: with it, processes compute what one alone computes.
FROZEN = """
from torch import nn
from segtrain.models import FCN

class Frozen(FCN):
    def __init__(self, **settings):
        super().__init__(**settings)
        self.train()

    def train(self, mode=True):
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self
"""

# The scores of shapes of many numbers of images, of one network, in `processes` processes.
SCORES = """
import atexit, json, sys
import torch
from lightning.pytorch import Trainer
from segtrain.machine import device as precision
from segtrain.machine import processes
from segtrain.scoring.scorer import Scorer, score_split
from segtrain.data import ShapesData

precision.quiet()
number, file = int(sys.argv[1]), sys.argv[2]
atexit.register(lambda: sys.stdout.write(f"group at the end: {torch.distributed.is_initialized()}\\n"))
quiet = {name: False for name in ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")}
torch.manual_seed(0)
network = torch.nn.Conv2d(3, 6, 3, padding=1)
class Floats(torch.nn.Module):
    def __init__(self): super().__init__(); self.network = network
    def forward(self, image): return self.network(image / 255)
quiet["use_distributed_sampler"] = False
trainer = Trainer(accelerator="cpu", devices=number, strategy=processes.strategy(number), **quiet)
found = {}
for images in (1, 2, 3, 4, 5, 7, 11, 50):
    data = ShapesData(size=[16, 16], train=1, val=1, test=images, variant=0, crop=[16, 16], batch_size=1, workers=0)
    scorer = Scorer(Floats(), class_names=data.classes.names, void=data.classes.void)
    part = score_split(trainer, scorer, data, "test")
    found[images] = {**part.result, "cells": part.images.cells.tolist()}
if trainer.is_global_zero:
    open(file, "w").write(json.dumps(found))
"""

# What two processes say to one another from the end of the first of four steps on, by calls of Python's.
STEPS = """
from collections import Counter
import json, sys
import torch
from lightning.pytorch import Callback, Trainer
from torch.utils.data import DataLoader
from segtrain.machine import device
from segtrain.scoring.scorer import silent_trainer
from segtrain.training.sharded import ShardedLearner
from tests.training.test_learner import batches, learner, network

calls = Counter()
def counted(name):
    call = getattr(torch.distributed, name)
    def noted(*args, **kwargs):
        calls[name] += 1
        return call(*args, **kwargs)
    setattr(torch.distributed, name, noted)

for name in ("barrier", "broadcast", "all_reduce", "all_gather", "broadcast_object_list", "all_gather_object"):
    counted(name)

class Begins(Callback):
    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == 1:
            calls.clear()
        if trainer.global_step == 4 and trainer.is_global_zero:
            open("calls.json", "w").write(json.dumps(calls))

device.quiet()
sharded = sys.argv[1] == "fsdp"
quiet = {"logger": False, "enable_checkpointing": False, "limit_val_batches": 0}
settings = {"accelerator": "cpu", "devices": 2, "max_steps": 4, "callbacks": [Begins()]}
trainer = silent_trainer(Trainer, 2, sharded=sharded, **quiet, **settings)
module = learner(network(), ShardedLearner, ema=0.9)
trainer.fit(module, DataLoader(list(batches(5)), batch_size=None))
"""

# The weights after three steps with each loss, whose batches are shared out and computed in one or two pieces.
LEARNED = """
import os, sys
import torch
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader
from segtrain.machine import device
from segtrain.scoring.scorer import silent_trainer
from tests.losses.test_contract import LOSSES, VOID
from tests.training import test_learner as example

device.quiet()
number, file, rank = int(sys.argv[1]), sys.argv[2], int(os.environ.get("LOCAL_RANK", 0))

def share(batch):
    mask = batch["mask"].where(batch["mask"] != example.VOID, VOID)
    return {name: tensor.chunk(number)[rank] for name, tensor in {**batch, "mask": mask}.items()}

quiet = {"logger": False, "enable_checkpointing": False, "limit_val_batches": 0}
learned = {}
for name, make in LOSSES.items():
    for pieces in (1, 2):
        trainer = silent_trainer(Trainer, number, accelerator="cpu", devices=number, max_steps=3, **quiet)
        module = example.learner(example.network(), loss=make([1.0, 2.0, 0.5]), void=VOID, pieces=pieces)
        trainer.fit(module, DataLoader(list(map(share, example.batches(3))), batch_size=None))
        learned[name, pieces] = module.network.state_dict()
if rank == 0:
    torch.save(learned, file)
"""


@pytest.mark.parametrize("ranks", [1, 2, 3, 5])
@pytest.mark.parametrize("length", [1, 2, 7, 50])
def test_shares_cover_every_batch_once(length: int, ranks: int):
    batches = [[index] for index in range(length)]
    shares = [[index for (index,) in Share(batches, rank, ranks)] for rank in range(ranks)]
    assert sorted(index for share in shares for index in share) == list(range(length))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert all(len(Share(batches, rank, ranks)) >= 1 for rank in range(ranks))  # or Lightning would leave a rank out


@pytest.mark.parametrize(
    ("variables", "main"),
    [
        ({}, True),
        ({"LOCAL_RANK": "0", "NODE_RANK": "0"}, True),
        ({"LOCAL_RANK": "1"}, False),
        ({"RANK": "4", "LOCAL_RANK": "0"}, False),
        ({"NODE_RANK": "1"}, False),
        ({"SLURM_PROCID": "2"}, False),
    ],
)
def test_one_process_speaks_and_writes(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], main: bool):
    for name in processes.RANKS:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert processes.is_main(2) is main
    assert processes.is_main(1)  # alone, whatever some variable says


def test_batch_norm_is_shared_between_gpus_alone():
    with pytest.raises(ValueError, match=r"trainer\.sync_batchnorm=true: batch norm is shared between GPUs only"):
        processes.count({"accelerator": "cpu", "devices": 2, "sync_batchnorm": True})


def status(process: subprocess.Popen[str], seconds: float = 120) -> int:
    """The exit status. Processes that do not end are made to say where they are, in what the failed test shows."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGABRT)
        process.wait()
        raise AssertionError(f"not ended after {seconds} s:\n{(Path.cwd() / 'out.txt').read_text()}") from None


def state(run: Path) -> dict[str, Any]:
    content = torch.load(run / "checkpoints/last.ckpt", weights_only=True)
    moments = content["optimizer_states"][0]["state"]
    return content["state_dict"] | {f"{i}.{k}": torch.as_tensor(v) for i, s in moments.items() for k, v in s.items()}


def second_process(first: int) -> int:
    """The process that Lightning has started from the first one, once it trains."""
    for folder in Path("/proc").iterdir():
        try:
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if parent == first and b"LOCAL_RANK=1" in (folder / "environ").read_bytes().split(b"\0"):
                return int(folder.name)
        except (OSError, IndexError):
            continue
    raise AssertionError("there is no second process")


def wait_for_steps(run: Path, seconds: float = 60) -> None:
    """Returns once a training, which may be resumed, has taken steps."""

    def noted() -> int:
        curves = run / "metrics.csv"
        return len(curves.read_text().splitlines()) if curves.exists() else 0

    before, end = noted(), time.monotonic() + seconds
    while noted() <= before:
        assert time.monotonic() < end, f"no step within {seconds} s"
        time.sleep(0.02)


@pytest.mark.slow
def test_two_processes_in_two_pieces_each_train_what_one_trains(
    train: Callable[..., subprocess.Popen[str]], tmp_path: Path
):
    (tmp_path / "frozen.py").write_text(FROZEN)
    (tmp_path / "conf/model").mkdir(parents=True)
    (tmp_path / "conf/model/frozen.yaml").write_text("defaults: [fcn_tiny, _self_]\n_target_: frozen.Frozen\n")
    words = [word for word in TINY if word != "model=fcn_tiny"]
    words += ["--config-dir=conf", "model=frozen", "train.ema=0.9", "optimizer=sgd", "augment=none"]
    words += ["loss=ce_dice"]  # terms that are counted in pixels and in images
    words += ["teacher=first", "train.freeze_encoder=1", "train.encoder_lr=0.5"]
    assert status(train(*TINY, "train.steps=3", "run_dir=first")) == 0, (tmp_path / "out.txt").read_text()
    for run, devices, pieces in (("one", 1, 1), ("two", 2, 2)):
        shares = [f"trainer.devices={devices}", f"trainer.accumulate_grad_batches={pieces}"]
        process = train(*words, *shares, f"run_dir={run}")
        assert status(process) == 0, (tmp_path / "out.txt").read_text()
    one, two = state(tmp_path / "one"), state(tmp_path / "two")
    assert not one["network.encoder.stem.1.running_mean"].any()  # batch norm did not learn
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(
            two[name], one[name], rtol=1e-4, atol=1e-6, msg=lambda text, name=name: f"{name}: {text}"
        )
    scores = [json.loads((tmp_path / run / "evaluate/test/metrics.json").read_text()) for run in ("one", "two")]
    assert scores[0]["pixels"] == scores[1]["pixels"]


@pytest.mark.slow
def test_two_processes_run_out_of_patience_together(train: Callable[..., subprocess.Popen[str]], tmp_path: Path):
    words = ["train.patience=1", "train.ema=0.9", "optimizer.lr=0.1", "trainer.devices=2", "run_dir=run"]
    assert status(train(*TINY, "train.steps=30", *words)) == 0, (tmp_path / "out.txt").read_text()
    assert (tmp_path / "out.txt").read_text().count("train.patience=1: IoU/val has not improved") == 1
    assert torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)["segtrain"]["finished"]
    assert status(train("resume=run")) == 0
    assert "run is finished" in (tmp_path / "out.txt").read_text()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
def test_a_signal_to_either_process_ends_both_and_the_run_goes_on(
    train: Callable[..., subprocess.Popen[str]], tmp_path: Path
):
    words = [*TINY, "train.steps=60", "train.ema=0.9", "trainer.devices=2", "data.workers=1"]
    assert status(train(*words, "run_dir=whole")) == 0, (tmp_path / "out.txt").read_text()
    assert "; 2 processes on cpu, 32-true" in (tmp_path / "out.txt").read_text()
    stopped = {"killed": (signal.SIGKILL, -9), "first": (signal.SIGTERM, 143), "second": (signal.SIGTERM, 143)}
    going_on = [*words, "run_dir=run"]
    for whom, (number, expected) in stopped.items():
        process = train(*going_on)
        wait_for_steps(tmp_path / "run")
        other = second_process(process.pid)
        os.kill(other if whom == "second" else process.pid, number)
        assert status(process, 30) == expected
        end = time.monotonic() + 30
        while Path(f"/proc/{other}").exists() and time.monotonic() < end:
            time.sleep(0.1)
        assert not Path(f"/proc/{other}").exists()
        going_on = ["resume=run"]
    shutil.copytree(tmp_path / "run", tmp_path / "fewer")
    assert status(train("resume=run")) == 0, (tmp_path / "out.txt").read_text()
    whole, part = state(tmp_path / "whole"), state(tmp_path / "run")
    assert all(torch.equal(whole[name], part[name]) for name in whole)
    assert status(train("resume=fewer", "trainer.devices=1")) == 0, (tmp_path / "out.txt").read_text()
    assert "Traceback" not in (tmp_path / "out.txt").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_a_step_waits_for_other_processes_once_to_add_up_its_counts(tmp_path: Path, strategy: str):
    """Gradients and weights that are shared out go about in threads of torch's own."""
    (tmp_path / "steps.py").write_text(STEPS)
    options = {"cwd": tmp_path, "env": os.environ | ALONE, "timeout": 120, "capture_output": True, "text": True}
    done = subprocess.run([sys.executable, "steps.py", strategy], check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((tmp_path / "calls.json").read_text()) == {"all_reduce": 3}


@pytest.mark.slow
def test_every_loss_teaches_the_same_in_one_and_two_processes_with_one_and_two_pieces(tmp_path: Path):
    (tmp_path / "learned.py").write_text(LEARNED)
    options = {"cwd": tmp_path, "env": os.environ | ALONE, "timeout": 300, "capture_output": True, "text": True}
    found = {}
    for number in (1, 2):
        done = subprocess.run([sys.executable, "learned.py", str(number), f"{number}.pt"], check=False, **options)
        assert done.returncode == 0, done.stdout + done.stderr
        found[number] = torch.load(tmp_path / f"{number}.pt")
    beginning = network().state_dict()
    for name in LOSSES:
        whole = found[1][name, 1]
        assert not torch.equal(whole["0.weight"], beginning["0.weight"])
        for shared in (found[1][name, 2], found[2][name, 1], found[2][name, 2]):
            for part, weights in whole.items():
                torch.testing.assert_close(shared[part], weights, msg=partial("{}: {}".format, f"{name}, {part}"))


def test_lightning_has_the_private_names_that_are_replaced():
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    assert callable(trainer._signal_connector.register_signal_handlers)
    assert callable(trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor)
    assert callable(Fabric(accelerator="cpu")._precision.convert_input)


@pytest.mark.slow
def test_scores_are_the_same_to_the_last_digit_in_one_two_and_three_processes(tmp_path: Path):
    (tmp_path / "scores.py").write_text(SCORES)
    found = []
    options = {"cwd": tmp_path, "env": os.environ | ALONE, "timeout": 300, "capture_output": True, "text": True}
    for number in (1, 2, 3):
        done = subprocess.run([sys.executable, "scores.py", str(number), f"{number}.json"], check=False, **options)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.count("group at the end: False") == number  # or gloo's threads might abort the process
        found.append((tmp_path / f"{number}.json").read_text())
    assert len(json.loads(found[0])) == 8
    assert json.loads(found[0])["7"]["images"] == 7
    assert found[0] == found[1] == found[2]
