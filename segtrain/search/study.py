"""optuna's study of a search, in a file: which trials there are, and which values come next."""

import json
import random
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.samplers import TPESampler
from optuna.study import Study
from optuna.trial import Trial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from ..errors import UserError, from_user
from ..runs.resume import FREE, LOGGER, leaves
from ..text import counted
from .space import Space

FILE = "search.db"
SETTINGS = "settings"  # that the search began with


@dataclass
class Prune:
    """The `prune.` settings: when a trial is never stopped early."""

    startup_trials: int  # while fewer than these came to their end
    warmup_validations: int  # before it had more than these


def open_study(folder: Path, settings: Mapping[str, Any], stopping: BasePruner) -> Study:
    """The study in the folder of a search, or a new one. Raises UserError if it began with other settings."""
    file = folder / FILE
    if not file.exists() and any(path.name != ".lock" for path in folder.iterdir()):
        raise UserError(f"{folder} holds something else than a search: name another folder with run_dir=")
    with from_user(SQLAlchemyError, optuna.exceptions.StorageInternalError, where=f"{file}: "):
        study = optuna.create_study(
            storage=f"sqlite:///{file}",
            study_name="search",
            direction="maximize",
            load_if_exists=True,
            pruner=stopping,
        )
    if SETTINGS not in study.user_attrs:
        study.set_user_attr(SETTINGS, settings)
    refuse_others(study.user_attrs[SETTINGS], settings, folder)
    return study


def pruner(prune: Prune | None) -> BasePruner:
    """What decides whether a trial is stopped after a validation; these count from 1."""
    if prune is None:
        return NopPruner()
    with from_user(where="prune: "):
        return MedianPruner(prune.startup_trials, prune.warmup_validations + 1)


def refuse_others(before: Mapping[str, Any], now: Mapping[str, Any], folder: Path) -> None:
    """Raises UserError for the first setting that is not that of the search, and decides on what comes out."""
    old, new = (dict(leaves(json.loads(json.dumps(tree)))) for tree in (before, now))
    for path in dict.fromkeys([*new, *old]):
        name = ".".join(path)
        decides = name == "data.root" or (name not in FREE and path[0] != LOGGER)
        if decides and old.get(path) != new.get(path):
            reason = f"the search there began with {name}={old.get(path)}, not with {new.get(path)}"
            raise UserError(f"{folder}: {reason}: type that again, or another folder as run_dir=")


def next_trial(study: Study, space: Space, seed: int, trials: int) -> Trial | None:
    """The trial that was at work when the search ended, else a new one; `None` if there are `trials` of them.

    What is drawn for a trial depends on its number and on the trials before it, not on when the search was stopped.
    """
    known = study.get_trials(deepcopy=False)
    at_work = [trial for trial in known if trial.state == TrialState.RUNNING]
    if not at_work and len(known) >= trials:
        return None
    trial = Trial(study, at_work[0]._trial_id) if at_work else study.ask()
    for name, values in space.items():
        study.sampler = TPESampler(seed=random.Random(f"{seed} {trial.number} {name}").getrandbits(32))
        suggest(trial, name, values)
    return trial


def suggest(trial: Trial, name: str, values: Any) -> None:
    """Draw a value, unless that was done before."""
    if isinstance(values, CategoricalDistribution):
        trial.suggest_categorical(name, values.choices)
    elif isinstance(values, IntDistribution):
        trial.suggest_int(name, values.low, values.high, step=values.step, log=values.log)
    else:
        trial.suggest_float(name, values.low, values.high, step=values.step, log=values.log)


def behind(study: Study, trial: Trial, validation: int, best: float) -> str | None:
    """Why a trial is to be stopped after so many validations; `None` if it is not."""
    if not trial.should_prune():
        return None
    ended = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
    others = [other.intermediate_values[validation] for other in ended if validation in other.intermediate_values]
    median = statistics.median(others)
    place = f"below {median:.4f}, the median of {len(others)}"
    return f"its best IoU/val of {counted(validation, 'validation')}, {best:.4f}, is {place}"
