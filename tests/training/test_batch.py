"""`data.batch_size=auto`: larger batches are tried while they pay."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml

from segtrain.report import screen
from segtrain.training import batch
from tests.commands.conftest import TINY


def parts(images: int, size: int = 8) -> Any:
    data = SimpleNamespace(batch_size=size, source=lambda split: range(images))
    return SimpleNamespace(data=data, device="cpu")


@pytest.mark.parametrize(
    ("images", "rates", "expected", "reason"),
    [
        (1000, {8: 100.0, 16: 180.0, 32: 197.0}, 16, "180 images/s, and 197 with 32"),
        (1000, {8: 100.0, 16: 180.0, 32: 200.0, 64: 0.0}, 32, "64 take too much of the GPU's memory"),
        (255, {8: 100.0, 16: 180.0}, 16, "32 would leave an epoch fewer than 8 steps"),
        (1_000_000, {8 << n: 2.0**n for n in range(7)}, 512, "no more than 512 are tried"),
        (10, {8: 100.0}, 8, "16 would leave an epoch fewer than 8 steps"),
    ],
)
def test_a_batch_is_doubled_while_that_pays(
    monkeypatch: pytest.MonkeyPatch, images: int, rates: dict[int, float], expected: int, reason: str
):
    tried = []

    def rate(_: Any, size: int) -> float:
        tried.append(size)
        return rates[size]

    monkeypatch.setattr(batch, "images_per_second", rate)
    assert batch.tried_batch(parts(images)) == (expected, reason)
    assert tried == list(rates)


def test_while_batches_are_tried_it_is_said_how_many_more_there_are_at_most(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(screen, "FIRST_GAP", 0)
    monkeypatch.setattr(batch, "images_per_second", lambda _, size: {8: 100.0, 16: 180.0, 32: 180.0}[size])
    batch.tried_batch(parts(images=1000))  # of which 8 steps of 64 are fewer, and 8 of 128 more
    assert capsys.readouterr().out.splitlines() == [
        "trying batches: 1 of 4, 0:00 left",
        "trying batches: 2 of 4, 0:00 left",
    ]


def test_steps_that_do_not_fit_into_a_gpu_make_no_images(monkeypatch: pytest.MonkeyPatch):
    def full(*_: Any) -> float:
        raise torch.OutOfMemoryError

    loader = SimpleNamespace(dataset=[{"mask": torch.zeros(2)}])
    data = SimpleNamespace(trainer=None, train_dataloader=lambda: loader)
    monkeypatch.setattr(batch, "trainer_of", lambda _: None)
    monkeypatch.setattr(batch, "bare_step", full)
    assert batch.images_per_second(SimpleNamespace(data=data, device="cpu", learner=None), 4) == 0.0


@pytest.mark.slow
def test_a_run_is_that_of_the_number_that_was_found(
    segtrain: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(batch, "SECONDS", 0.01)
    words = [word for word in TINY if not word.startswith(("data.batch_size", "data.train"))]
    assert segtrain("train", *words, "data.train=136", "data.batch_size=auto", "run_dir=run") == 0
    out = capsys.readouterr().out
    size = yaml.safe_load(Path("run/config.yaml").read_text())["data"]["batch_size"]
    assert size in (8, 16)
    assert f"data.batch_size=auto is {size} here" in out
    assert f"batch {size} of" in out
    assert segtrain("train", *words, "data.train=136", f"data.batch_size={size}", "run_dir=typed") == 0
    assert Path("run/evaluate/test/confusion.csv").read_text() == Path("typed/evaluate/test/confusion.csv").read_text()


@pytest.mark.slow
def test_compiled_steps_are_not_tried(segtrain: Callable[..., int], capsys: pytest.CaptureFixture[str]):
    assert segtrain("train", *TINY, "data.batch_size=auto", "train.compile=true", "run_dir=run") == 2
    assert "each try would be compiled anew; find it with train.compile=false, and type it" in capsys.readouterr().err
    assert not Path("run").exists()


def test_several_processes_are_told_to_type_a_number(segtrain: Callable[..., int], capsys: pytest.CaptureFixture[str]):
    assert segtrain("train", *TINY, "data.batch_size=auto", "trainer.devices=2") == 2
    assert "data.batch_size=auto: it is tried on one device" in capsys.readouterr().err
