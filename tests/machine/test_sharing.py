"""`trainer.strategy=fsdp`, compared with trainings whose processes hold all weights."""

import json
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.commands.conftest import TINY
from tests.machine.test_processes import FROZEN, state, status, wait_for_steps

Train = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """Of a training that is the same in any number of processes, up to rounding."""
    (tmp_path / "frozen.py").write_text(FROZEN)
    (tmp_path / "conf/model").mkdir(parents=True)
    (tmp_path / "conf/model/frozen.yaml").write_text("defaults: [fcn_tiny, _self_]\n_target_: frozen.Frozen\n")
    tiny = [word for word in TINY if word != "model=fcn_tiny"]
    return [*tiny, "--config-dir=conf", "model=frozen", "optimizer=sgd", "augment=none", "train.ema=0.9"]


def done(process: subprocess.Popen[str]) -> None:
    assert status(process) == 0, Path("out.txt").read_text()


def stopped(process: subprocess.Popen[str], run: Path) -> None:
    """End a training by a signal, once it has taken steps."""
    wait_for_steps(run)
    process.send_signal(signal.SIGTERM)
    assert status(process, 30) == 143, Path("out.txt").read_text()


def assert_close(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert list(one) == list(other)
    for name, tensor in one.items():
        torch.testing.assert_close(
            tensor, other[name], rtol=1e-4, atol=1e-6, msg=lambda text, name=name: f"{name}: {text}"
        )


@pytest.mark.slow
def test_shared_weights_learn_what_whole_ones_learn(train: Train, tmp_path: Path, words: list[str]):
    words += ["model.encoder.widths=[8,8,16,512]"]  # of which the last block is gathered by itself
    words += ["trainer.devices=2", "trainer.accumulate_grad_batches=2", "trainer.gradient_clip_val=0.1"]
    words += ["model.auxiliary=true", "train.freeze_encoder=1", "train.encoder_lr=0.5", "data.val=12"]
    done(train(*words, "run_dir=whole"))
    done(train(*words, "trainer.strategy=fsdp", "run_dir=shared"))
    assert_close(state(tmp_path / "shared"), state(tmp_path / "whole"))
    file = tmp_path / "shared/evaluate/test/metrics.json"
    trained = json.loads(file.read_text())
    shutil.rmtree(file.parent)
    turn_weights_around(tmp_path / "shared/checkpoints/best.ckpt")
    done(train("resume=shared", "allow=[frozen.Frozen]"))  # no step is left, but the score of the best weights
    of_best = json.loads(file.read_text())
    assert of_best["miou"] != trained["miou"]
    done(train("run=shared", "allow=[frozen.Frozen]", command="evaluate"))
    assert json.loads(file.read_text())["miou"] == of_best["miou"]


def turn_weights_around(checkpoint: Path) -> None:
    """Make the best weights others than the last ones, which are the same in a training as short as this."""
    content = torch.load(checkpoint, weights_only=True)
    for tensor in content["state_dict"].values():
        if tensor.ndim == 4:
            tensor.neg_()
    torch.save(content, checkpoint)


@pytest.mark.slow
def test_shared_weights_go_on_to_the_same_bits(train: Train, tmp_path: Path):
    words = [*TINY, "train.steps=40", "train.ema=0.9", "trainer.devices=2", "trainer.strategy=fsdp"]
    done(train(*words, "run_dir=whole"))
    stopped(train(*words, "run_dir=part"), tmp_path / "part")
    assert torch.load(tmp_path / "part/checkpoints/last.ckpt", weights_only=True)["global_step"] < 40
    done(train("resume=part"))
    whole, part = state(tmp_path / "whole"), state(tmp_path / "part")
    assert whole.keys() == part.keys()
    assert all(torch.equal(whole[name], part[name]) for name in whole)
    file = tmp_path / "whole/evaluate/test/metrics.json"
    trained = json.loads(file.read_text())
    done(train("run=whole", command="evaluate"))
    assert json.loads(file.read_text()) == trained


@pytest.mark.slow
def test_a_training_goes_on_shared_out_or_not(train: Train, tmp_path: Path, words: list[str]):
    words += ["train.steps=40", "train.ema=null"]
    done(train(*words, "run_dir=one"))
    stopped(train(*words, "trainer.devices=2", "run_dir=run"), tmp_path / "run")
    stopped(train("resume=run", "trainer.strategy=fsdp", "allow=[frozen.Frozen]"), tmp_path / "run")
    assert torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)["global_step"] < 40
    done(train("resume=run", "trainer.devices=1", "trainer.strategy=auto", "allow=[frozen.Frozen]"))
    assert_close(state(tmp_path / "run"), state(tmp_path / "one"))


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["bf16-mixed", "32-true"])
def test_a_gpu_trains_shared_weights(train: Train, tmp_path: Path, precision: str):
    tiny = [word for word in TINY if not word.startswith("trainer.")]
    words = ["trainer.accelerator=gpu", f"trainer.precision={precision}", "train.ema=0.9", "model.auxiliary=true"]
    done(train(*tiny, *words, "trainer.strategy=fsdp", "run_dir=run"))
    file = tmp_path / "run/evaluate/test/metrics.json"
    trained = json.loads(file.read_text())
    done(train("run=run", command="evaluate"))
    assert json.loads(file.read_text()) == trained
    for strategy, steps in (("auto", 12), ("fsdp", 16)):
        done(train("resume=run", f"trainer.strategy={strategy}", f"train.steps={steps}", "allow_changes=true"))
    assert torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)["global_step"] == 16
