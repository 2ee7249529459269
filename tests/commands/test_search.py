"""`search`: with a stand-in for the processes of its trials, which decides by the number of the trial; slow: with real
ones."""

import csv
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from segtrain.errors import UserError
from segtrain.runs.folder import lock
from segtrain.search import trial
from tests.commands.conftest import TINY

Run = Callable[..., int]
Popen = subprocess.Popen
FOLDER = Path("runs/search/shapes-fcn_tiny")
FAST = ["model=fcn_tiny", "space.augment=null", "prune.startup_trials=2", "prune.warmup_validations=0"]
STAND_IN = """
import os, signal, sys, time
from pathlib import Path

words = dict(word.partition("=")[::2] for word in sys.argv[1:])
folder = Path(words.get("run_dir") or words["resume"])
number, resumes = int(folder.name[-3:]), "resume" in words
how = os.environ.get(f"TRIAL_{number}", "done")
if how == "fails":
    print("segtrain: error: data.crop: too large", file=sys.stderr)
    sys.exit(2)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
folder.mkdir(parents=True, exist_ok=True)
(folder / "config.yaml").touch()
rows = [f"{step},{0.1 * step + 0.01 * number:.2f}" for step in (1, 2, 3)]
if how == "low":
    rows = ["1,0.01"]
(folder / "metrics.csv").write_text("\\n".join(["step,IoU/val", *rows, ""]))
if how == "low" or (how in ("stops", "ends", "waits") and not resumes):
    if how == "stops":
        os.kill(os.getppid(), signal.SIGTERM)
    if how == "ends":
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)
"""


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """In place of trainings, something that ends at once, or as TRIAL_<number> says; what was typed for each."""
    typed: list[list[str]] = []

    def begin(words: list[str], **options: Any) -> Any:
        assert words[1:4] == ["-m", "segtrain", "train"]
        typed.append(words[4:])
        return Popen([sys.executable, "-c", STAND_IN, *words[4:]], **options)

    monkeypatch.setattr(trial.subprocess, "Popen", begin)
    monkeypatch.setattr(trial, "LOOK", 0.01)
    return typed


def rows(folder: Path = FOLDER) -> list[dict[str, str]]:
    with open(folder / "trials.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_trials_that_fail_or_fall_behind_do_not_end_the_others(
    segtrain: Run, stand_in: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, how in ((1, "fails"), (3, "low"), (4, "ends")):
        monkeypatch.setenv(f"TRIAL_{number}", how)
    assert segtrain("search", *FAST, "trials=6") == 1
    out, found = capsys.readouterr().out, rows()
    assert [row["state"] for row in found] == ["done", "failed", "done", "stopped early", "failed", "done"]
    assert found[1]["error"] == "data.crop: too large"
    assert found[4]["error"] == "ended by SIGKILL, perhaps for lack of memory"
    assert [float(row["IoU/val"]) for row in (found[0], found[2], found[3], found[5])] == [0.3, 0.32, 0.01, 0.35]
    assert "6 trials: 3 done, 1 stopped early, 2 failed" in out
    reason = "stopped early: its best IoU/val of 1 validation, 0.0100, is below 0.1100, the median of 2"
    assert reason in (FOLDER / "trial_003" / "log.txt").read_text()
    assert (Path("runs/latest")).read_text().strip() == "search/shapes-fcn_tiny/trial_005"
    best = next(line for line in out.splitlines() if line.startswith("  python -m segtrain train model=fcn_tiny"))
    values = [word for word in stand_in[5] if word.startswith(("optimizer.", "loss="))]
    assert best.split()[5:] == values
    assert len(values) == 3
    assert "optimizer.lr=" + found[5]["optimizer.lr"] in values


@pytest.mark.slow
def test_a_search_that_a_signal_stopped_goes_on_with_its_trial_and_draws_as_if_nothing_had_happened(
    segtrain: Run, stand_in: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*FAST, "trials=4", "trainer.accelerator=cpu", "+model.encoder.in_channels=3"]
    assert segtrain("search", *words, "run_dir=whole") == 0
    monkeypatch.setenv("TRIAL_1", "stops")
    assert segtrain("search", *words) == 143
    assert "stopped in trial 1: the same command goes on with it" in capsys.readouterr().out
    begun = len(stand_in)
    assert segtrain("search", *words) == 0
    again = stand_in[begun]
    assert again[:2] == ["trainer.accelerator=cpu", f"resume={FOLDER}/trial_001"]
    assert "segtrain.models.FCN" in again[2]
    found, whole = rows(), rows(Path("whole"))
    assert len(found) == 4
    assert [list(row.values())[:6] for row in found] == [list(row.values())[:6] for row in whole]
    assert segtrain("search", *words) == 0
    assert len(stand_in) == begun + 3


@pytest.mark.slow
def test_when_the_time_is_over_the_trial_at_work_is_kept_for_the_next_call(
    segtrain: Run, stand_in: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIAL_0", "waits")
    assert segtrain("search", *FAST, "trials=1", "minutes=0.02") == 0
    assert segtrain("search", *FAST, "trials=1") == 0
    assert [row["state"] for row in rows()] == ["done"]
    assert len(stand_in) == 2


@pytest.mark.slow
def test_other_settings_in_the_same_folder_are_refused_but_more_trials_are_not(
    segtrain: Run, stand_in: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert segtrain("search", *FAST, "trials=1") == 0
    began_with = {"seed=1": "seed=0", "space.loss=[dice]": "space.loss=[", "prune=null": "prune.startup_trials=2"}
    for word, before in began_with.items():
        capsys.readouterr()
        assert segtrain("search", *FAST, "trials=1", word) == 2
        error = capsys.readouterr().err
        assert f"the search there began with {before}" in error
        assert len(error.splitlines()) == 1
    assert segtrain("search", *FAST, "trials=2", "data.workers=0") == 0
    assert len(stand_in) == 2


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["-m"], "-m: a search tries many settings by itself"),
        (["run_dir=taken"], "taken holds something else than a search"),
        (["run_dir=broken"], "search.db: "),
        (["prune.startup_trials=-1"], "prune: "),
    ],
)
def test_what_cannot_be_searched_is_refused(
    words: list[str], reason: str, segtrain: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("taken/config.yaml", "broken/search.db"):
        Path(name).parent.mkdir()
        Path(name).write_text("no database" * 100)
    assert segtrain("search", *FAST, *words) != 0
    error = capsys.readouterr().err
    assert reason in error
    assert len(error.splitlines()) == 1


def test_without_optuna_the_extra_is_named(
    segtrain: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith(("segtrain.search", "segtrain.commands.search"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert segtrain("search") == 2
    assert "pip install 'segtrain[search]'" in capsys.readouterr().err


@pytest.mark.slow
def test_a_search_killed_within_a_trial_takes_it_along_and_goes_on_to_the_same_score(
    segtrain: Run, tmp_path: Path
) -> None:
    words = [*TINY, "train.steps=60", "trials=1"]
    assert segtrain("search", *words, "run_dir=whole") == 0
    search = Popen([sys.executable, "-m", "segtrain", "search", *words], cwd=tmp_path, stdout=subprocess.DEVNULL)
    folder = FOLDER / "trial_000"
    wait_for(lambda: len(trial.scores(folder)) > 1)
    search.kill()
    search.wait()
    wait_for(lambda: is_free(folder))
    assert len(trial.scores(folder)) < 20
    assert segtrain("search", *words) == 0
    assert "going on with" in (folder / "log.txt").read_text()
    row, whole = rows() + rows(Path("whole"))
    assert (row["state"], row["validations"], row["IoU/val"]) == ("done", "20", whole["IoU/val"])


def is_free(folder: Path) -> bool:
    """Whether no training is at work in a run folder."""
    try:
        lock(folder).close()
    except UserError:
        return False
    return True


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
