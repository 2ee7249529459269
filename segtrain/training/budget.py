"""The steps that `train.minutes` stands for, by what a step and a validation take on this machine."""

import time
from collections.abc import Collection
from typing import Any, NamedTuple

from lightning.pytorch import Callback, Trainer

from ..errors import UserError
from ..machine.device import wait_for
from ..report.screen import say, working
from ..text import counted
from .bare import trainer_of
from .parts import Parts, assemble

WARM_UP = 2  # steps that are not counted: kernels are chosen, memory is taken
MEASURED = 0.05  # share of the time for which steps are measured, and validations
SHORTEST, LONGEST = 1.0, 20.0  # seconds of that
VALIDATING = 0.25  # share of the time that validations may take


class Costs(NamedTuple):
    """Seconds."""

    step: float  # with reading
    validation: float


class Plan(NamedTuple):
    """How a training is spread over its time."""

    steps: int
    validations: int


def with_steps_in_time(parts: Parts, init: str | None = None, allow: Collection[str] = ()) -> Parts:
    """The parts of a new training with as many steps as take `train.minutes` here, which is said. They are built anew:
    steps were tried with these, and all that depends on their number changes."""
    minutes, train = parts.train.minutes, parts.train
    assert minutes is not None
    if parts.processes > 1:
        raise UserError("train.minutes: steps are measured on one device; type train.steps for several")
    if train.compile:
        raise UserError("train.minutes: steps are measured before they are compiled; type train.steps")
    seconds = 60 * minutes
    with working("measuring steps"):
        costs = measured(parts, min(max(MEASURED * seconds, SHORTEST), LONGEST))
    wanted = max(1, round(train.epochs / train.validate_epochs))
    plan = planned(seconds, costs, wanted)
    each = f"{costs.step:.3g} s each, and {counted(plan.validations, 'validation')} of {costs.validation:.3g} s"
    say(f"train.minutes={minutes:g}: {counted(plan.steps, 'step')} of {each}")
    changed: dict[str, Any] = {"steps": plan.steps}
    if plan.validations < wanted:
        changed["validate_epochs"] = train.epochs / plan.validations
    settings = {**parts.settings, "train": {**parts.settings["train"], **changed}}
    return assemble(settings, parts.data, parts.trust, init=init, allow=allow)


def planned(seconds: float, costs: Costs, validations: int) -> Plan:
    """Steps for so many seconds, with so many validations, or fewer where these took too much of the time."""
    validations = max(1, min(validations, int(VALIDATING * seconds / costs.validation)))
    steps = int((seconds - validations * costs.validation) / costs.step)
    return Plan(max(steps, 1), validations)


def measured(parts: Parts, seconds: float) -> Costs:
    """What a step takes, and a validation, each measured for about so many seconds."""
    timed = Timed(parts.device, seconds)
    trainer_of(parts, [timed]).fit(parts.learner, datamodule=parts.data)
    costs = Costs(timed.seconds / timed.steps, validation(parts, seconds))
    parts.data.stop()
    return costs


class Timed(Callback):
    """Ends a training after so many seconds, and counts its steps but for the first ones.

    Attributes:
        steps: Number of steps.
        seconds: Time of these.
    """

    def __init__(self, device: str, limit: float) -> None:
        self.device, self.limit = device, limit
        self.steps, self.seconds, self._began = 0, 0.0, 0.0

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Count a step, and end the training if it was the last one that there is time for."""
        if batch_idx < WARM_UP:
            wait_for(self.device)
            self._began = time.perf_counter()
            return
        self.steps += 1
        if time.perf_counter() - self._began >= self.limit:
            wait_for(self.device)  # which may be behind
            self.seconds = time.perf_counter() - self._began
            trainer.should_stop = True


def validation(parts: Parts, limit: float) -> float:
    """The seconds of a validation, by some of its batches, of which the first one is computed before the clock starts,
    and alone if it takes so long."""
    loader = parts.data.whole_images("val", trainer_of(parts))
    images = [len(batch) for batch in loader.batch_sampler]

    def seconds(batches: int) -> float:
        began = time.perf_counter()
        trainer_of(parts, limit_val_batches=batches).validate(parts.learner, dataloaders=loader, verbose=False)
        return time.perf_counter() - began

    first = seconds(1)
    batches = max(1, min(len(images), int(limit / first)))
    taken = seconds(batches) if first < limit else first
    return taken * sum(images) / sum(images[:batches])
