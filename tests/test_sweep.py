"""Several trainings by one command."""

import csv
import importlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from segtrain.sweep import Job, over_seeds, table
from tests.commands.conftest import TINY

Run = Callable[..., int]
SWEEP = [*TINY, "-m", "seed=0,1", "optimizer.lr=0.001,-1,0.002"]  # of which those with a rate of -1 cannot be trained


def test_the_table_says_what_each_job_alone_has_and_the_mean_over_seeds() -> None:
    jobs = [
        Job(["a=1", "lr=1", "seed=0"], 0, 0.5, "runs/x", None),
        Job(["a=1", "lr=1", "seed=1"], 0, 0.7, "runs/y", None),
        Job(["a=1", "lr=2", "seed=0"], 2, None, None, "no such thing"),
        Job(["a=1", "lr=2", "seed=1"], 0, 0.25, "runs/z", None),
    ]
    assert table(jobs).splitlines() == [
        "4 jobs, 1 of them failed",
        "  lr=1 seed=0  mIoU 0.5000  runs/x",
        "  lr=1 seed=1  mIoU 0.7000  runs/y",
        "  lr=2 seed=0  failed: no such thing",
        "  lr=2 seed=1  mIoU 0.2500  runs/z",
        "mIoU over seeds",
        "  lr=1  0.6000 +- 0.1414 of 2",
    ]
    assert over_seeds(jobs[2:], set()) == []


@pytest.mark.slow
def test_of_six_jobs_two_fail_and_the_same_sweep_again_does_these_alone(
    segtrain: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert segtrain("train", *SWEEP) == 1
    first = rows()
    assert [row["status"] for row in first] == ["0", "2", "0", "0", "2", "0"]
    assert all(float(row["mIoU"]) > 0 for row in first if row["status"] == "0")
    assert "optimizer" in first[1]["error"]
    assert "6 jobs, 2 of them failed" in capsys.readouterr().out
    runs = {row["folder"] for row in first if row["folder"]}
    assert segtrain("train", *SWEEP) == 1
    out = capsys.readouterr().out
    assert out.count("done before: ") == 4
    again = rows()
    assert {row["folder"] for row in again if row["folder"]} == runs
    assert len(list(Path("runs/shapes-fcn_tiny").iterdir())) == 4


@pytest.mark.slow
def test_of_six_jobs_one_crashes_and_five_have_results(
    segtrain: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A crash is any error, not only those that a person can mend."""
    module = importlib.import_module("segtrain.commands.train")
    words = [*TINY, "-m", "seed=0,1", "optimizer.lr=0.001,0.002,0.003"]
    fit = module.fit

    def crashing(parts: Any, *rest: Any) -> int:
        if (parts.settings["seed"], parts.settings["optimizer"]["lr"]) == (1, 0.002):
            raise ZeroDivisionError("by chance")
        return fit(parts, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(module, "fit", crashing)
        assert segtrain("train", *words) == 1
    assert [row["status"] for row in rows()] == ["0", "0", "0", "0", "1", "0"]
    assert rows()[4]["error"] == "by chance"
    capsys.readouterr()
    assert segtrain("train", *words) == 0
    assert capsys.readouterr().out.count("done before: ") == 5
    assert [row["status"] for row in rows()] == ["0"] * 6


@pytest.mark.slow
def test_a_sweep_that_was_killed_goes_on_and_one_that_is_done_begins_anew(segtrain: Run) -> None:
    words = [*TINY, "-m", "seed=0,1"]
    assert segtrain("train", *words) == 0
    (folder,) = Path("runs/multirun").iterdir()
    earlier = folder.with_name("2000-01-01_00-00-00")
    shutil.move(folder, earlier)
    (earlier / "sweep.csv").unlink()  # as if it had been killed in its second job
    (earlier / "jobs" / "1.json").unlink()
    assert segtrain("train", *words) == 0
    assert len(list(Path("runs/shapes-fcn_tiny").iterdir())) == 3
    (folder,) = (other for other in Path("runs/multirun").iterdir() if other != earlier)
    shutil.move(folder, folder.with_name("2001-01-01_00-00-00"))
    assert segtrain("train", *words) == 0
    assert len(list(Path("runs/shapes-fcn_tiny").iterdir())) == 5


def rows() -> list[dict[str, str]]:
    """The table of the newest sweep."""
    newest = max(Path("runs/multirun").iterdir())
    with open(newest / "sweep.csv", newline="") as file:
        return list(csv.DictReader(file))
