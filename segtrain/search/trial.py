"""A trial: `train` in a process of its own, which needs no optuna, and is watched by its files.

So a crash ends the trial alone, its memory is let go, and a trial that is stopped, by whatever, goes on exactly as any
training does.
"""

import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from optuna.study import Study
from optuna.trial import Trial, TrialState

from ..machine.processes import PARENT
from ..machine.signals import STOPPING
from ..runs.folder import lock
from ..runs.metrics_csv import parse
from ..runs.resume import FREE, LOGGER, typed_keys
from ..text import counted
from .study import behind

SCORE = "IoU/val"
LOOK = 0.2  # seconds between two looks at a trial


class Running:
    """A trial at work in its run folder, whose validations become known to the study."""

    def __init__(self, study: Study, trial: Trial, folder: Path, words: Sequence[str], allow: Sequence[str]) -> None:
        self.study, self.trial, self.folder = study, trial, folder
        before = study.get_trials(deepcopy=False)[trial.number].intermediate_values
        self.reported, self.best = len(before), max(before.values(), default=0.0)
        self.reason: str | None = None  # why it is stopped early
        self.process = begin(words, folder, allow)

    def watch(self, is_over: Callable[[], bool], show: Callable[[str], None]) -> TrialState:
        """How it ended: done, stopped early, failed; or still at work, if it was saved because the search is over."""
        asked = False
        try:
            while True:
                ended = self.process.poll() is not None  # before the look: then nothing comes after it
                self._look(show)
                if ended:
                    return self._state(is_over())
                if (self.reason or is_over()) and not asked:
                    self.process.terminate()  # it saves first
                    asked = True
                time.sleep(LOOK)
        finally:
            self.process.kill()  # only where the search itself has failed is it still there
            self.process.wait()

    @property
    def error(self) -> str:
        """Why it has failed, in a line."""
        status, output = self.process.returncode, output_of(self.folder)
        if number := self._signal:
            memory = ", perhaps for lack of memory" if number == signal.SIGKILL else ""
            return f"ended by {signal.Signals(number).name}{memory}"
        lines = output.read_text(encoding="utf-8", errors="replace").splitlines()
        said = [line for line in lines if line.startswith("segtrain: ")]
        return re.sub("^segtrain: (error: )?", "", said[-1]) if said else f"status {status}: {output}"

    @property
    def _signal(self) -> int:
        """The signal that ended the process, by itself or as it asked for; 0 if none did."""
        status = self.process.returncode
        if status < 0:
            return -status
        return status - 128 if status - 128 in STOPPING else 0

    def _look(self, show: Callable[[str], None]) -> None:
        """Report the validations that are new, up to one after which the trial is to be stopped early."""
        found = scores(self.folder)
        for number in range(self.reported + 1, len(found) + 1):
            if self.reason:
                return
            self.best = max(found[:number])
            self.trial.report(found[number - 1], number)
            self.reported = number
            self.reason = behind(self.study, self.trial, number, self.best)
            show(f"trial {self.trial.number}: {SCORE} {self.best:.4f} after {counted(number, 'validation')}")

    def _state(self, is_over: bool) -> TrialState:
        if self._signal in STOPPING and (self.reason or is_over):
            return TrialState.PRUNED if self.reason else TrialState.RUNNING
        return TrialState.FAIL if self.process.returncode or not self.reported else TrialState.COMPLETE


def begin(words: Sequence[str], folder: Path, allow: Sequence[str]) -> "subprocess.Popen[bytes]":
    """Train in a run folder, or go on there; what is printed lies beside the folder.

    The process has a session of its own: of a terminal's signals it learns from us, and it ends when we are killed.
    """
    if (folder / "config.yaml").is_file():
        lock(folder).close()  # raises UserError while another process is at work there
        words = [*filter(is_free, words), f"resume={folder}", f"allow=[{','.join(allow)}]"]
    else:
        words = [*words, f"run_dir={folder}"]
    with open(output_of(folder), "ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "segtrain", "train", *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, PARENT: str(os.getpid())},
            start_new_session=True,
        )


def is_free(word: str) -> bool:
    """Whether a word may be typed for a run that goes on: all else is stored in it."""
    (name,) = typed_keys([word])
    if "=" not in word:  # what stands behind an option
        return not word.startswith("~")
    return name.startswith("-") or name in FREE or name.split(".")[0] in (LOGGER, "hydra")


def output_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.txt")


def scores(folder: Path) -> list[float]:
    """IoU/val of the validations so far, but for those that found no class."""
    file = folder / "metrics.csv"
    rows = parse(file.read_bytes()).rows if file.is_file() else []
    found = [float(row[SCORE]) for row in rows if row.get(SCORE)]
    return [score for score in found if math.isfinite(score)]
