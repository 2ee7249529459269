import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from segtrain.benchmark.stopwatch import BETWEEN, PARTS
from segtrain.commands.benchmark import MEASUREMENTS
from segtrain.data.batches.samples import TrainSamples
from segtrain.report import screen

FAST = ("model=fcn_tiny", "data.size=[32,32]", "data.crop=[32,32]", "data.train=16", "data.val=4", "seconds=0.2")


@pytest.mark.slow
def test_all_numbers_are_measured_said_and_written(
    segtrain: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "found.json"
    assert segtrain("benchmark", *FAST, f"out={file}") == 0
    said, found = capsys.readouterr().out, json.loads(file.read_text())
    assert found["sentence"] in said
    rates = [*found["reading"].values(), *found["images_per_second"].values(), *found["scoring"].values()]
    assert len(rates) == 4 + 3 + 3
    assert all(rate > 0 for rate in rates if rate != found["reading"]["workers"])
    parts = found["step"]["parts"]
    assert parts.keys() == {*PARTS, "divisor", "loss", "optimiser", "average", BETWEEN}
    assert sum(parts.values()) == pytest.approx(found["step"]["seconds"])
    assert found["step"]["operations"] > 1e6
    assert found["batch"] == [16, 32, 32]
    assert 0 < found["waited_share"] < 1


@pytest.mark.slow
def test_a_training_that_is_held_up_by_reading_is_told_so(
    segtrain: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    read = TrainSamples.__getitem__

    def read_slowly(samples: TrainSamples, key: int) -> dict[str, Any]:
        time.sleep(0.02)
        return read(samples, key)

    monkeypatch.setattr(TrainSamples, "__getitem__", read_slowly)
    assert segtrain("benchmark", *FAST) == 0
    said = capsys.readouterr().out
    assert "held up by reading: " in said
    (waited,) = re.findall(r"waited for in ([\d.]+) % of the time", said)
    assert float(waited) > 50


@pytest.mark.slow
def test_it_says_how_far_it_is(
    segtrain: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(screen, "FIRST_GAP", 0)
    assert segtrain("benchmark", *FAST) == 0
    lines = re.findall(r"^measuring: (\d+) of (\d+), \d:\d\d left$", capsys.readouterr().out, re.MULTILINE)
    assert lines == [(str(done), str(MEASUREMENTS)) for done in range(1, MEASUREMENTS)]


@pytest.mark.slow
def test_nothing_is_left_but_the_numbers(
    segtrain: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert segtrain("benchmark", *FAST, "train.compile=false", "train.ema=null") == 0
    assert [path.name for path in tmp_path.rglob("*")] == ["benchmark.json"]
    assert "average" not in json.loads((tmp_path / "benchmark.json").read_text())["step"]["parts"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("run_dir=somewhere", "nothing is kept of a benchmark: leave it out"),
        ("seconds=0", "expected a number above 0"),
        ("trainer.devices=2", "one device is measured: take 1"),
        ("trainer.strategy=fsdp", "one device is measured, with all weights: leave it out"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    segtrain: Callable[..., int], capsys: pytest.CaptureFixture[str], words: str, reason: str
) -> None:
    assert segtrain("benchmark", *FAST, words) == 2
    assert reason in capsys.readouterr().err
