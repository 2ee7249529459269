"""What happens beside training: curves, progress, doubts. `pl_module` is the learner in all hooks."""

import csv
import io
import os
import threading
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from rich.progress import TextColumn

from .. import disk
from ..report.screen import counting_bar, say
from ..runs.metrics_csv import cut_back

SHOWN = ("IoU/val", "IoU/train", "loss/train", "loss/val")  # in the line after a validation
SPEED = "speed/images_per_second"
# TensorBoard sorts its cards by their tags: these have groups of their own there, so that IoU/val is the first one.
IN_TENSORBOARD = {"IoU/train": "IoU_crops/train", "IoU/test": "IoU_final/test"}
print_exception_of_thread = threading.excepthook


def ignore_writers(arguments: threading.ExceptHookArgs) -> None:
    """TensorBoard's thread prints its traceback besides raising the error in the thread that logs."""
    if type(arguments.thread).__name__ != "_AsyncWriterThread":
        print_exception_of_thread(arguments)


class TensorBoard(TensorBoardLogger):
    """Events straight in the run folder, and no `hparams.yaml`, since `config.yaml` says all.

    On resume, TensorBoard forgets what an earlier process wrote from `first_step` on.
    """

    def __init__(self, folder: Path, first_step: int | None = None) -> None:
        threading.excepthook = ignore_writers
        super().__init__(save_dir=folder, name="", version="", default_hp_metric=False, purge_step=first_step)

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        with self._surviving():
            super().log_metrics({IN_TENSORBOARD.get(tag, tag): value for tag, value in metrics.items()}, step)

    def log_picture(self, tag: str, picture: np.ndarray, step: int) -> None:
        """`picture` (H, W, 3) uint8."""
        with self._surviving():
            self.experiment.add_image(tag, picture, step, dataformats="HWC")

    def save(self) -> None:
        """Wait until all points are on the disk."""
        with self._surviving():
            self.experiment.flush()
            for file in Path(self.log_dir).glob("events.out.tfevents*"):
                disk.sync(file)

    def finalize(self, status: str) -> None:
        with self._surviving():
            super().finalize(status)

    @contextmanager
    def _surviving(self) -> Iterator[None]:
        """A full disk ends no training: the curves get a gap, and a new file as soon as one can be written."""
        try:
            yield
        except (OSError, ValueError) as error:
            reason = error if isinstance(error, OSError) else error.__cause__  # Lightning takes it for a wrong value
            if not isinstance(reason, OSError):
                raise
            if self._experiment is not None:
                say(f"TensorBoard's file could not be written ({reason.strerror}): its curves have a gap from here")
                with suppress(OSError):
                    self._experiment.close()
            self._experiment = None


class MetricsTable(Logger):
    """`metrics.csv`: one row per step that logged something, one column per tag; the final score has its own row.

    On resume, the rows that an earlier process wrote from `first_step` on are dropped.
    """

    def __init__(self, path: Path, tags: Sequence[str], first_step: int | None = None) -> None:
        super().__init__()
        self.path, self.columns = path, ["step", *tags]
        self._row: dict[str, float] = {}
        self._rows: list[dict[str, float]] = []  # that wait to be written
        if first_step is not None and path.exists():
            self.columns, problem = cut_back(path, self.columns, first_step)
            if problem:
                say(problem)

    @property
    def name(self) -> str:
        return "metrics"

    @property
    def version(self) -> str:
        return ""

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """The configuration has its own file."""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        if self._row and self._row["step"] != step:
            self._append()
        self._row.update(metrics, step=float(step or 0))

    def save(self) -> None:
        """Wait until all rows are on the disk: a checkpoint that is saved next takes them for logged."""
        self._append()
        with suppress(OSError):  # a disk that is full or gone ends no training
            disk.sync(self.path)

    def _append(self) -> None:
        """Append the row of the step that is over, and those that could not be written before."""
        if self._row:
            self._rows.append({**self._row, "step": int(self._row["step"])})
        self._row = {}
        if not self._rows:
            return
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self.columns, extrasaction="ignore")
        size = self.path.stat().st_size if self.path.exists() else 0
        if not size:
            writer.writeheader()
        writer.writerows(self._rows)
        try:
            with open(self.path, "a", newline="", encoding="utf-8") as file:
                file.write(text.getvalue())
            self._rows = []
        except OSError:  # a full disk ends no training, but half a row must not stay
            with suppress(OSError):
                os.truncate(self.path, size)

    def finalize(self, status: str) -> None:
        self.save()


def tags(class_names: Sequence[str]) -> list[str]:
    """Every scalar tag of a run, in the order in which a person wants to read them."""
    per_class = [f"IoU_class/val/{name}" for name in class_names]
    training = ["loss/train", "optim/lr", "speed/images_per_second", "speed/data_wait"]
    return ["IoU/val", "IoU/train", "IoU/test", "loss/val", "accuracy/val", *training, *per_class]


class Curves(Callback):
    """Every `log_steps` steps: the mean loss since the last point, the learning rate, and the speed.

    Where a validation comes before the next point, what was measured so far is shown, and logged with that point.
    """

    def __init__(self, log_steps: int, batch_size: int) -> None:
        self.log_steps, self.batch_size = log_steps, batch_size

    def _reset(self) -> None:
        self._steps, self._busy, self._waited, self._ended = 0, 0.0, 0.0, time.perf_counter()

    def on_train_start(self, *_: Any) -> None:
        self._reset()

    def on_validation_start(self, trainer: Trainer, pl_module: Any) -> None:
        if self._steps:
            pl_module.shown.update(self._measured(trainer, pl_module))

    def on_validation_end(self, *_: Any) -> None:
        self._ended = time.perf_counter()  # validation is no waiting for data

    def on_train_batch_start(self, *_: Any) -> None:
        self._started = time.perf_counter()
        self._waited += self._started - self._ended

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        """Publish a point where one is due; the last step has one in any case."""
        self._ended = time.perf_counter()
        self._busy += self._ended - self._started
        self._steps += 1
        step = trainer.global_step
        if step % self.log_steps and step < trainer.max_steps:
            return
        pl_module.publish(self._measured(trainer, pl_module))
        pl_module.train_loss.reset()
        self._reset()

    def _measured(self, trainer: Trainer, pl_module: Any) -> dict[str, float]:
        """What is known of the steps since the last point; all processes take part."""
        pl_module.refuse_divergence()
        seconds = self._busy + self._waited
        images = self._steps * self.batch_size
        return {
            "loss/train": float(pl_module.train_loss.compute()),
            "optim/lr": trainer.optimizers[0].param_groups[0]["lr"],
            SPEED: images / seconds,
            "speed/data_wait": self._waited / seconds,
        }


class ProgressBar(Callback):
    """Loss, IoU, images per second and the time left; without a terminal, one line per validation."""

    def __init__(self, steps_per_epoch: float) -> None:
        self.steps_per_epoch = steps_per_epoch
        self.bar = counting_bar(TextColumn("{task.fields[scores]}"))

    def on_train_start(self, trainer: Trainer, *_: Any) -> None:
        self._began, self._first = time.perf_counter(), trainer.global_step
        self.task = self.bar.add_task("training", total=trainer.max_steps, completed=trainer.global_step, scores="")
        self.bar.start()

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        self._draw(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        self._draw(trainer, pl_module)
        say(self._line(trainer, pl_module.shown))

    def _draw(self, trainer: Trainer, pl_module: Any) -> None:
        shown = pl_module.shown
        scores = [
            f"{word} {shown[tag]:.4f}" for word, tag in (("loss", "loss/train"), ("IoU", "IoU/val")) if tag in shown
        ]
        self.bar.update(self.task, completed=trainer.global_step, scores="  ".join([*scores, *speed(shown)]))

    def _line(self, trainer: Trainer, shown: Mapping[str, float]) -> str:
        """What is known after a validation."""
        step = trainer.global_step
        left = (time.perf_counter() - self._began) / max(step - self._first, 1) * (trainer.max_steps - step)
        place = [f"epoch {step / self.steps_per_epoch:.1f}", f"step {step}/{trainer.max_steps}"]
        scores = [f"{tag} {shown[tag]:.4f}" for tag in SHOWN if tag in shown]
        return "  ".join([*place, *scores, *speed(shown), f"{_clock(left)} left"])

    def on_train_end(self, *_: Any) -> None:
        self.bar.stop()

    def on_exception(self, *_: Any) -> None:
        self.bar.stop()


def speed(shown: Mapping[str, float]) -> list[str]:
    """How fast the training is, once that was measured."""
    return [f"{shown[SPEED]:.1f} images/s"] if SPEED in shown else []


class Doubts(Callback):
    """A line after a validation on what the network does not find, where that is no longer what it was."""

    def __init__(self) -> None:
        self._said = ""

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        line = pl_module.verdict.line()
        if line != self._said:
            say(f"  {line or 'each class is found now'}")
        self._said = line


class ScoringBar(Callback):
    """Images scored, and the time left."""

    def __init__(self) -> None:
        self.bar = counting_bar()

    def on_test_start(self, trainer: Trainer, *_: Any) -> None:
        self.task = self.bar.add_task("scoring", total=sum(map(int, trainer.num_test_batches)))
        self.bar.start()

    def on_test_batch_end(self, *_: Any) -> None:
        self.bar.advance(self.task)

    def on_test_end(self, *_: Any) -> None:
        self.bar.stop()
        self.bar.remove_task(self.task)  # another test may follow

    def on_exception(self, *_: Any) -> None:
        self.bar.stop()


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
