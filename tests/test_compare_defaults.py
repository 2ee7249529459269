"""scripts/compare_defaults.py: what it reads of a run; slow: two trainings that a clock ends."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.commands.conftest import TINY
from tests.conftest import script

SCRIPT = Path(__file__).parents[1] / "scripts" / "compare_defaults.py"


@pytest.fixture
def defaults() -> Any:
    return script("compare_defaults")


def test_the_last_validation_counts_with_the_classes_that_it_did_not_find(defaults: Any, tmp_path: Path) -> None:
    lines = ["step,IoU/val,loss/train,IoU_class/val/sky,IoU_class/val/pole,IoU_class/val/rare"]
    lines += ["20,0.5,1,0.9,0.3,0.0", "40,0.6,1,0.95,0.0003,", "60,,1,,,"]
    (tmp_path / "metrics.csv").write_text("\n".join(lines))
    score = defaults.last_score(tmp_path)
    assert score == defaults.Score(40, 0.6, ("pole",))
    assert defaults.row("a/set", [score], [defaults.Score(60, 0.7, ())]) == (
        "| set | 0.600 | 40 | pole | 0.700 | 60 | - |"
    )


@pytest.mark.slow
def test_a_training_ends_by_itself_or_by_the_clock_and_is_not_repeated(tmp_path: Path) -> None:
    before = ["train.steps=1000000"]  # which only the clock ends
    options = ["--minutes", "0.5", "--seeds", "0", "--before", *before, "--out", str(tmp_path)]
    command = [sys.executable, str(SCRIPT), "shapes", *options, "--words", *TINY]
    first = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert first.returncode == 0, first.stderr
    steps = [int(cell) for cell in first.stdout.splitlines()[-1].split(" | ")[2::3]]
    assert steps[0] > steps[1] == 8
    assert (tmp_path / "shapes_after_0" / "evaluate" / "test" / "metrics.json").exists()
    assert not (tmp_path / "shapes_before_0" / "evaluate").exists()
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=20, check=False)
    assert again.stdout == first.stdout
