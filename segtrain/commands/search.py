"""`search`: trainings with other settings each, towards the best IoU/val."""

import json
import math
import re
import shlex
import sys
import time
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Unpack

from optuna.study import Study
from optuna.trial import TrialState
from rich.progress import TextColumn

from ..build import Spec
from ..errors import UserError
from ..machine.signals import Stop, Stopped
from ..report.screen import COMMAND, Countdown, log_to, say
from ..runs import folder as runs
from ..runs.resume import typed_keys
from ..search import table
from ..search.space import Space, opened
from ..search.study import Prune, next_trial, open_study, pruner
from ..search.trial import SCORE, Running
from ..training.defaults import AUTO
from ..training.typed import Typed, stored

OWN = {"trials", "minutes", "prune", "space", "run_dir"}  # settings that `train` does not get


def search(
    *, trials: int, minutes: float | None, prune: Prune | None, space: dict[str, Any], **given: Unpack[Typed]
) -> int:
    """Search, or go on with a search, print what was found, and return the exit status: 1 if trials have failed."""
    if given["resume"] is not None:
        raise UserError(f"resume={given['resume']}: a search goes on where the same command is typed again")
    refuse_batch(given["data"])
    refuse_nothing(trials, minutes)
    settings = {**stored(given), "init": given["init"], "teacher": given["teacher"]}
    space_of_trials = opened(space, settings, typed_keys(given["typed"]))
    words = words_for_train()
    targets = re.findall(r'"_target_": "(.*?)"', json.dumps(settings))  # which the user has just composed
    stopping = pruner(prune)
    folder = Path(given["run_dir"] or runs.ROOT / "search" / given["name"])
    folder.mkdir(parents=True, exist_ok=True)
    with runs.lock(folder):
        study = open_study(folder, {**settings, "space": space, "prune": prune and asdict(prune)}, stopping)
        plan = Plan(study, folder, words, sorted({*given["allow"], *targets}), space_of_trials, given["seed"], trials)
        carry_out(plan, math.inf if minutes is None else 60 * minutes)
        return conclude(plan)


def refuse_batch(data: Spec) -> None:
    """Raises UserError for a batch that would differ from trial to trial."""
    if data.get("batch_size") == AUTO:
        reason = "each trial would find one of its own"
        raise UserError(f"data.batch_size=auto: {reason}; type the number that `train` finds")


def refuse_nothing(trials: int, minutes: float | None) -> None:
    """Raises UserError for a search without trials or time."""
    if trials < 1:
        raise UserError(f"trials={trials}: expected 1 or more")
    if minutes is not None and not minutes > 0:
        raise UserError(f"minutes={minutes:g}: expected a number above 0, or null")


class Plan(NamedTuple):
    """What is done in a search."""

    study: Study
    folder: Path
    words: list[str]  # for every trial
    allow: list[str]  # that a trial may build when it goes on
    space: Space
    seed: int
    trials: int


def words_for_train() -> list[str]:
    """What was typed, without what is the search's own."""
    words = sys.argv[2:]  # the first is the command
    if {"-m", "--multirun"} & set(words):
        raise UserError("-m: a search tries many settings by itself: leave it out, or type train -m")
    return [word for word in words if not is_own(word)]


def is_own(word: str) -> bool:
    """Whether a word is a setting that `train` does not get; an option of Hydra's, or its value, is none."""
    (name,) = typed_keys([word])
    return ("=" in word or word.startswith("~")) and name.split(".")[0] in OWN


def carry_out(plan: Plan, seconds: float) -> None:
    """One trial after the other, until there are enough or the time is over. Raises Stopped after a signal."""
    end = time.monotonic() + seconds
    finished = sum(trial.state.is_finished() for trial in plan.study.get_trials(deepcopy=False))
    now = TextColumn("{task.fields[now]}")
    with closing(Stop()) as stop, Countdown("trials", plan.trials, now, done=finished, now="") as countdown:
        stop.listen()
        while time.monotonic() < end:
            trial = next_trial(plan.study, plan.space, plan.seed, plan.trials)
            if trial is None:
                return
            words = [*plan.words, *table.words_of(trial.params)]
            running = Running(plan.study, trial, table.folder_of(plan.folder, trial), words, plan.allow)
            state = running.watch(lambda: stop.number > 0 or time.monotonic() > end, partial(show, countdown))
            if state == TrialState.RUNNING:
                say(f"stopped in trial {trial.number}: the same command goes on with it")
            else:
                note(plan, running, state)
                countdown.advance()
            if stop.number:
                raise Stopped(stop.number)


def show(countdown: Countdown, text: str) -> None:
    """What is known of the trial at work: beside the bar, or as a line where one is due."""
    countdown.update(countdown.done, now=text)
    if countdown.due():
        countdown.say(text)


def note(plan: Plan, running: Running, state: TrialState) -> None:
    """Have the study know how a trial has ended, and say it."""
    trial, words = running.trial, " ".join(table.words_of(running.trial.params))
    if state == TrialState.FAIL:
        trial.set_user_attr(table.ERROR, running.error)
        say(f"trial {trial.number} failed: {running.error}; {words}")
    elif state == TrialState.PRUNED:
        with log_to(running.folder / "log.txt"):
            say(f"trial {trial.number} is stopped early: {running.reason}; {words}")
    else:
        say(f"trial {trial.number}: {SCORE} {running.best:.4f}; {words}")
    plan.study.tell(trial, running.best if state == TrialState.COMPLETE else None, state)
    table.write(plan.study, plan.folder, list(plan.space))


def conclude(plan: Plan) -> int:
    """Print what was found and how to have it again; the exit status is 1 if trials have failed."""
    say(table.table(plan.study, list(plan.space)))
    say(f"written: {plan.folder / table.FILE}")
    best = table.of_state(plan.study, TrialState.COMPLETE)[:1]
    for trial in best:
        folder = table.folder_of(plan.folder, trial)
        runs.point_latest(folder)
        say(f"best: {folder}, which run=latest is now; the same again:")
        say(f"  {COMMAND} train {shlex.join([*plan.words, *table.words_of(trial.params)])}")
    return 1 if table.of_state(plan.study, TrialState.FAIL) else 0
