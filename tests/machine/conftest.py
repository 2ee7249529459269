"""Trainings in processes of their own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLACES = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
ALONE = {"OMP_NUM_THREADS": "1", "PYTHONPATH": PLACES, "PYTHONFAULTHANDLER": "1"}


@pytest.fixture
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., subprocess.Popen[str]]:
    """Starts `segtrain train WORDS`, or another command, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def start(*words: str, command: str = "train") -> subprocess.Popen[str]:
        line = [sys.executable, "-m", "segtrain", command, *words]
        with open(tmp_path / "out.txt", "a") as out:
            return subprocess.Popen(
                line, cwd=tmp_path, env=os.environ | ALONE, stdout=out, stderr=out, text=True, start_new_session=True
            )

    return start
