"""What came of the trials of a search."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from .. import disk
from ..report.screen import columns
from ..text import counted, plain_cell
from .space import text_of
from .trial import SCORE

FILE = "trials.csv"
SHOWN = 5  # best trials
ERROR = "error"  # of a trial that has failed, as the study keeps it
STATES = {
    TrialState.COMPLETE: "done",
    TrialState.PRUNED: "stopped early",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "at work",
}


def words_of(params: Mapping[str, Any]) -> list[str]:
    """The settings of a trial, as they are typed."""
    return [f"{name}={text_of(value)}" for name, value in params.items()]


def folder_of(folder: Path, trial: Trial | FrozenTrial) -> Path:
    """The run folder of a trial in that of a search."""
    return folder / f"trial_{trial.number:03d}"


def of_state(study: Study, state: TrialState) -> list[FrozenTrial]:
    """The trials that have come to this; of those that are done, the best first."""
    trials = study.get_trials(deepcopy=False, states=[state])
    return sorted(trials, key=lambda trial: -trial.values[0]) if state == TrialState.COMPLETE else trials


def write(study: Study, folder: Path, names: Sequence[str]) -> None:
    """All trials, as far as they are; `names` are the settings that vary."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["trial", "state", SCORE, "validations", *names, "folder", "error"])
    for trial in study.get_trials(deepcopy=False):
        scores = trial.intermediate_values.values()
        values = [text_of(trial.params[name]) for name in names]
        error = trial.user_attrs.get(ERROR, "")
        row = [trial.number, STATES[trial.state], max(scores, default=""), len(scores), *values]
        writer.writerow(map(plain_cell, [*row, str(folder_of(folder, trial)), error]))
    disk.write(folder / FILE, text.getvalue())


def table(study: Study, names: Sequence[str]) -> str:
    """How many trials there are of each kind, why some have failed, and the best ones."""
    kinds = {word: of_state(study, state) for state, word in STATES.items()}
    numbers = [f"{len(trials)} {word}" for word, trials in kinds.items() if trials]
    lines = [f"{counted(sum(map(len, kinds.values())), 'trial')}: {', '.join(numbers)}"]
    lines += [f"  trial {trial.number} failed: {trial.user_attrs[ERROR]}" for trial in kinds["failed"]]
    rows = [["  best", SCORE, *names]]
    for trial in kinds["done"][:SHOWN]:
        values = [text_of(trial.params[name]) for name in names]
        rows.append([f"  trial {trial.number}", f"{trial.values[0]:.4f}", *values])
    return "\n".join([*lines, columns(rows)] if kinds["done"] else lines)
