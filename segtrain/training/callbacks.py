"""What happens beside training: curves, progress, doubts. `pl_module` is the learner in all hooks."""

import time
from collections.abc import Mapping
from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.profilers import Profiler
from rich.progress import TextColumn
from torch import Tensor

from ..inference.windows import ignore
from ..report.screen import COMMAND, Countdown, say

SHOWN = ("IoU/val", "IoU/train", "loss/train", "loss/val")  # in the line after a validation
SPEED, WAIT = "speed/images_per_second", "speed/data_wait"
LONG_WAIT = 0.25  # share of the time, of which a person is told
FETCHING = "[_TrainingEpochLoop].train_dataloader_next"  # as Lightning's loop names it to its profiler


class Waiting(Profiler):
    """How long Lightning's loop waits for training batches.

    Attributes:
        seconds: Of all batches together.
        since: When the last batch was first waited for.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seconds, self.since = 0.0, time.perf_counter()

    def start(self, action_name: str) -> None:
        if action_name == FETCHING:
            self.since = time.perf_counter()

    def stop(self, action_name: str) -> None:
        if action_name == FETCHING:
            self.seconds += time.perf_counter() - self.since


class Curves(Callback):
    """Every `log_steps` steps: the mean loss since the last point, the learning rate, and the speed, without the start,
    validations and their pictures, but with saving in between.

    Where a validation comes before the next point, what was measured so far is shown, and logged with that point.
    """

    def __init__(self, log_steps: int, batch_size: int, waiting: Waiting) -> None:
        self.log_steps, self.batch_size, self.waiting = log_steps, batch_size, waiting

    def _reset(self) -> None:
        self._steps, self._paused = 0, 0.0  # since the last point
        self._began, self._waited_before = time.perf_counter(), self.waiting.seconds

    def on_train_start(self, *_: Any) -> None:
        self._reset()
        self._paused_since: float | None = self._began

    def on_validation_start(self, trainer: Trainer, pl_module: Any) -> None:
        if self._steps:
            pl_module.shown.update(self._measured(trainer, pl_module))
        self._paused_since = time.perf_counter()

    def on_train_batch_start(self, *_: Any) -> None:
        if self._paused_since is not None:
            self._paused += self.waiting.since - self._paused_since
            self._paused_since = None

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        """Publish a point where one is due; the last step has one in any case."""
        self._steps += 1
        step = trainer.global_step
        if step % self.log_steps and step < trainer.max_steps:
            return
        pl_module.publish(self._measured(trainer, pl_module))
        pl_module.train_loss.reset()
        self._reset()

    def _measured(self, trainer: Trainer, pl_module: Any) -> dict[str, float]:
        """What is known of the steps since the last point; all processes take part, and a GPU is waited for."""
        pl_module.refuse_divergence()
        loss = float(pl_module.train_loss.compute())
        seconds = time.perf_counter() - self._began - self._paused
        return {
            "loss/train": loss,
            "optim/lr": trainer.optimizers[0].param_groups[0]["lr"],
            SPEED: self._steps * self.batch_size / seconds,
            WAIT: (self.waiting.seconds - self._waited_before) / seconds,
        }


class ProgressBar(Callback):
    """Loss, IoU, images per second and the time left; without a terminal, a line per validation, and others where these
    are rare."""

    def __init__(self, steps_per_epoch: float) -> None:
        self.steps_per_epoch = steps_per_epoch
        self.countdown: Countdown | None = None

    def on_train_start(self, trainer: Trainer, *_: Any) -> None:
        scores = TextColumn("{task.fields[scores]}")
        self.countdown = Countdown("training", trainer.max_steps, scores, done=trainer.global_step, scores="")
        self.countdown.bar.start()

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        countdown = self._drawn(trainer, pl_module.shown)
        if countdown.due():
            countdown.say(self._line(trainer, pl_module.shown, countdown))

    def on_validation_start(self, trainer: Trainer, pl_module: Any) -> None:
        assert self.countdown is not None
        self.validation = Within("validating", images_in(trainer.val_dataloaders), self.countdown)
        pl_module.windows.watch = self.validation.part

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Mapping[str, Tensor], *_: Any
    ) -> None:
        self.validation.done += len(batch["key"])  # of which the windows have told

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        countdown = self._drawn(trainer, pl_module.shown)
        countdown.say(self._line(trainer, pl_module.shown, countdown))

    def _drawn(self, trainer: Trainer, shown: Mapping[str, float]) -> Countdown:
        assert self.countdown is not None
        scores = [
            f"{word} {shown[tag]:.4f}" for word, tag in (("loss", "loss/train"), ("IoU", "IoU/val")) if tag in shown
        ]
        self.countdown.update(trainer.global_step, scores="  ".join([*scores, *speed(shown)]))
        return self.countdown

    def _line(self, trainer: Trainer, shown: Mapping[str, float], countdown: Countdown) -> str:
        """What is known after a validation, or in between."""
        step = trainer.global_step
        place = [f"epoch {step / self.steps_per_epoch:.1f}", f"step {step}/{trainer.max_steps}"]
        scores = [f"{tag} {shown[tag]:.4f}" for tag in SHOWN if tag in shown]
        return "  ".join([*place, *scores, *speed(shown), f"{countdown.left()} left"])

    def on_train_end(self, *_: Any) -> None:
        stop(self.countdown)

    def on_exception(self, *_: Any) -> None:
        stop(self.countdown)


class Within(Countdown):
    """How far a validation is, in the bar of its training in place of the scores; its lines count as ones of that."""

    def __init__(self, what: str, total: int, outer: Countdown) -> None:
        super().__init__(what, total)
        self.outer = outer

    def update(self, done: float, **fields: Any) -> None:
        self.done = done
        self.outer.update(self.outer.done, scores=self.line())

    def due(self) -> bool:
        return super().due() and self.outer.due()  # a short validation has none

    def say(self, text: str) -> None:
        self.outer.say(text)


def images_in(loader: Any) -> int:
    """How many images the batches of a loader of whole images have, in this process."""
    return sum(map(len, loader.batch_sampler))


def stop(countdown: Countdown | None) -> None:
    """Leave a bar as it is, if there is one."""
    if countdown is not None:
        countdown.bar.stop()


def speed(shown: Mapping[str, float]) -> list[str]:
    """How fast the training is, once that was measured."""
    return [f"{shown[SPEED]:.1f} images/s"] if SPEED in shown else []


class Doubts(Callback):
    """A line after a validation on what the network does not find, where that is no longer what it was; and one, once,
    where much of the time goes by waiting for images."""

    def __init__(self) -> None:
        self._said, self._has_waited = "", False

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Both lines, where they are due."""
        line = pl_module.verdict.line()
        if line != self._said:
            say(f"  {line or 'each class is found now'}")
        self._said = line
        waited = pl_module.shown.get(WAIT, 0.0)
        if waited > LONG_WAIT and not self._has_waited:
            self._has_waited = True
            more = f"`{COMMAND} benchmark` with the same settings says what would help"
            say(f"  images are waited for in {100 * waited:.0f} % of the time: {more}")


class ScoringBar(Callback):
    """Images that are computed for what the module calls `doing`, and the time left."""

    def __init__(self) -> None:
        self.countdown: Countdown | None = None

    def on_test_start(self, trainer: Trainer, pl_module: Any) -> None:
        self.countdown = Countdown(pl_module.doing, images_in(trainer.test_dataloaders))
        self.countdown.bar.start()
        pl_module.windows.watch = self.countdown.part

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Mapping[str, Tensor], *_: Any
    ) -> None:
        assert self.countdown is not None
        self.countdown.done += len(batch["key"])  # of which the windows have told

    def on_test_end(self, trainer: Trainer, pl_module: Any) -> None:
        pl_module.windows.watch = ignore  # pictures of the report are no part of the score
        stop(self.countdown)

    def on_exception(self, *_: Any) -> None:
        stop(self.countdown)
