"""Runs that an older segtrain has made go on, and have the score that they had.

`stopped_0_1_0` was trained on generated shapes by version 0.1.0, whose records named their parts otherwise, and was
stopped after the first of four validations; `expected.json` is what that version made of it. On the machine where it
was made the bits are equal; here the processor may be another one.
"""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

RUN = Path(__file__).parent / "stopped_0_1_0"
EXPECTED = json.loads((RUN / "expected.json").read_text())


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    shutil.copytree(RUN, folder, ignore=shutil.ignore_patterns("*.ckpt", "expected.json"))
    (folder / "checkpoints").mkdir()
    for name in ("best", "last"):  # the same after the first validation
        shutil.copy(RUN / "last.ckpt", folder / "checkpoints" / f"{name}.ckpt")
    return folder


def column(folder: Path, tag: str) -> dict[str, float]:
    with open(folder / "metrics.csv", newline="") as rows:
        return {row["step"]: float(row[tag]) for row in csv.DictReader(rows) if row[tag]}


def scores(folder: Path) -> tuple[float, float]:
    score = json.loads((folder / "evaluate/test/metrics.json").read_text())
    return score["miou"], score["accuracy"]


def test_an_older_run_is_evaluated_to_the_same_number(run: Path, segtrain: Callable[..., int]) -> None:
    assert segtrain("evaluate", f"run={run}", "split=test") == 0
    assert scores(run) == pytest.approx((EXPECTED["miou"], EXPECTED["accuracy"]), abs=2e-3)


def test_an_older_run_goes_on_to_the_same_end(run: Path, segtrain: Callable[..., int]) -> None:
    assert segtrain("train", f"resume={run}") == 0
    for tag in ("loss/train", "loss/val"):
        assert column(run, tag) == pytest.approx(EXPECTED[tag], rel=1e-4)
    assert scores(run) == pytest.approx((EXPECTED["miou"], EXPECTED["accuracy"]), abs=2e-3)
