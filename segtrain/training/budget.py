"""The steps that `train.max_minutes` leaves of a training, by what a step and a validation take on this machine."""

import math
import time
from itertools import chain, islice
from typing import Any, NamedTuple

import torch
from lightning.pytorch import Trainer

from ..errors import UserError
from ..machine.device import wait_for
from ..machine.memory import give_freed_memory_back
from ..report.screen import say, working
from ..runs.record import Settings
from ..text import counted
from .bare import bare_step, trainer_of
from .parts import Parts

WARM_UP = 2  # steps before those that are measured, and batches that each process reads ahead
MEASURED = 0.05  # of the minutes, for which steps are measured, and again a validation
SHORTEST, LONGEST = 1.0, 20.0  # seconds of that
VALIDATING = 0.5  # of the minutes, at most
FEWEST = 10  # steps


class Costs(NamedTuple):
    """What a training takes on this machine, in seconds."""

    step: float  # with reading
    validation: float


def within_minutes(parts: Parts, settings: Settings) -> Settings:
    """The settings with the most steps that `train.max_minutes` leaves, measured with these parts.

    Raises UserError for minutes that leave hardly any, and where none can be measured.
    """
    minutes, train = parts.train.max_minutes, parts.train
    assert minutes is not None
    refuse_unmeasurable(parts)
    images, size = len(parts.data.source("train")), parts.data.batch_size
    wanted = train.wanted_steps(images, size)
    validations = math.ceil(wanted / train.steps_between(images, size))
    with working("measuring steps"):
        costs = measured(parts, min(max(60 * minutes * MEASURED, SHORTEST), LONGEST), math.ceil(MEASURED * wanted))
    most = fitting_steps(minutes, costs, wanted, validations)
    leaves = "is enough for all" if most == wanted else f"leaves {most:,} of"
    each = f"of {costs.step:.3g} s, with {counted(validations, 'validation')} of {costs.validation:.3g} s"
    say(f"train.max_minutes={minutes:g} {leaves} {wanted:,} steps {each}")
    return {**settings, "train": {**settings["train"], "most_steps": most}}


def refuse_unmeasurable(parts: Parts) -> None:
    """Raises UserError for trainings whose steps cannot be measured before they begin."""
    advice = "type train.max_minutes=null, and train.epochs or train.steps"
    if parts.processes > 1:
        raise UserError(f"train.max_minutes: steps are measured on one device: for several, {advice}")
    if parts.precision.endswith("-true") and parts.precision != "32-true":
        raise UserError(f"train.max_minutes: steps are not measured in {parts.precision}: {advice}")


def fitting_steps(minutes: float, costs: Costs, wanted: int, validations: int) -> int:
    """How many of the steps that are wanted so many minutes leave beside so many validations.

    Raises UserError for minutes that leave hardly any.
    """
    seconds = 60 * minutes
    validating = validations * costs.validation
    if wanted * costs.step + validating <= seconds:
        return wanted
    if validating > VALIDATING * seconds:
        takes = f"{counted(validations, 'validation')} of {costs.validation:.3g} s would take most of it"
        raise UserError(f"train.max_minutes={minutes:g}: {takes}: type more, or a larger train.validate_epochs")
    steps = int((seconds - validating) / costs.step)
    if steps < FEWEST:
        takes = f"a step takes {costs.step:.3g} s here"
        raise UserError(f"train.max_minutes={minutes:g}: {takes}: type more, a smaller batch, or a smaller network")
    return steps


def measured(parts: Parts, seconds: float, steps: int) -> Costs:
    """What a step takes, and a validation, each measured for about so many seconds, and by no more than so many steps,
    or `FEWEST`."""
    trainer = parts.data.trainer = trainer_of(parts)
    warm_up = WARM_UP * (1 + parts.data.readers(trainer))  # as many batches are read ahead
    try:
        batches = islice(parts.data.train_dataloader(), warm_up + max(steps, FEWEST))
        step = bare_step(parts.learner, trainer, batches, parts.device, seconds, warm_up)
        return Costs(step, validation(parts, trainer, seconds))
    finally:
        parts.data.stop()
        give_freed_memory_back()


@torch.inference_mode()
def validation(parts: Parts, trainer: Trainer, limit: float) -> float:
    """The seconds of a validation, by as many pixels as are scored in about `limit` seconds."""
    learner = parts.learner.eval()

    def score(batch: dict[str, Any]) -> float:
        began = time.perf_counter()
        with trainer.precision_plugin.forward_context():
            learner.validation_step({name: tensor.to(parts.device) for name, tensor in batch.items()}, 0)
        wait_for(parts.device)
        return time.perf_counter() - began

    batches = iter(parts.data.whole_images("val", trainer))
    first = next(batches)
    seconds, pixels = score(first), first["mask"].numel()
    if seconds < limit:  # in which memory was taken too: what it takes from now on counts
        began, pixels = time.perf_counter(), 0
        for batch in chain([first], batches):
            score(batch)
            pixels += batch["mask"].numel()
            seconds = time.perf_counter() - began
            if seconds > limit:
                break
    return seconds / pixels * sum(height * width for height, width in parts.data.source("val").sizes)
