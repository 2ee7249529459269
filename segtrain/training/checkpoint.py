"""When a training is saved, and under which names: what an exact resume needs. `runs.restore` reads the files.

Every random draw is a function of the seed and a position, so the number of batches done is all that has to be kept
besides Lightning's own state: docs/exact_resume.md. A checkpoint holds

    state_dict                        weights and buffers of the network and its moving average, running metrics
    optimizer_states, lr_schedulers   the optimiser's moments and rates, the schedule's step
    global_step, epoch, loops         Lightning's counters
    MixedPrecision                    in fp16 the state of the loss scaler
    callbacks.Checkpoint              batches done, the best score and its step
    segtrain                          version of the format, the run's record as JSON, whether the training is finished
"""

import io
import math
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint as CheckpointBase
from lightning.pytorch.plugins.io import TorchCheckpointIO

from .. import disk
from ..errors import UserError
from ..machine.signals import Stop, Stopped
from ..metrics import mean_iou
from ..report.screen import say
from ..runs.correction import Correction
from ..runs.record import Record
from ..runs.restore import RECORD, VERSION, read_checkpoint
from ..runs.temperature import Temperature
from ..text import counted


class SyncedIO(TorchCheckpointIO):
    """Writes whole files where it is told to; Lightning's own goes through the default temporary directory."""

    error: OSError | None = None  # why the last file could not be written; not raised here, where other processes wait

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        content = io.BytesIO()  # torch's own writing to a disk that is full may end the process
        torch.save(checkpoint, content)
        try:
            disk.write_through(Path(path), content.getbuffer())
            self.error = None
        except OSError as error:
            self.error = error

    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True) -> dict[str, Any]:
        return read_checkpoint(Path(path))


class Checkpoint(CheckpointBase):
    """The one owner of a run's checkpoint files: `last`, the `previous` one, and the `best` by IoU/val.

    Lightning runs callbacks of this kind last, so that what is saved is what all others have seen. The state is whole
    after each step, unless a validation is due, whose scores belong to the same file as the weights. `folder` is `None`
    in processes that do not write; `failed` says whether the last save could not be written. After `patience`
    validations without a better score the training is over.
    """

    def __init__(
        self, folder: Path | None, *, record: Record, save_minutes: float, patience: int | None = None
    ) -> None:
        super().__init__()
        self.folder, self.record, self.save_seconds = folder, record, 60 * save_minutes
        self.patience = patience
        self.batches_done, self.best, self.best_step = 0, -1.0, 0
        self.failed = False
        self.stop, self.io = Stop(speaks=folder is not None), SyncedIO()
        self._saved_at, self._unsaved = time.monotonic(), False
        self._group: Any = None

    def state_dict(self) -> dict[str, Any]:
        return {"batches_done": self.batches_done, "best": self.best, "best_step": self.best_step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.batches_done, self.best = state_dict["batches_done"], state_dict["best"]
        self.best_step = state_dict["best_step"]

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint[RECORD] = {"version": VERSION, "record": self.record.to_json(), "finished": self.finished(trainer)}

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """The fresh state is saved too: then a run can go on from wherever it stopped, and a disk that cannot be
        written shows before the first step."""
        self.stop.listen()
        if trainer.world_size > 1:
            self._group = torch.distributed.new_group(backend="gloo")
        if self.batches_done == 0:
            self.save(trainer)
        self._end_out_of_patience(trainer)  # a run that goes on to its final score

    def on_train_batch_start(self, *_: Any) -> None:
        self._unsaved = False  # but begun

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Save where the state is whole and the time has come."""
        self.batches_done += 1
        is_last = trainer.global_step >= trainer.max_steps
        if is_last:
            trainer.should_stop = True  # which also makes Lightning validate after the last step, whatever the interval
        validation_due = is_last or self.batches_done % int(trainer.val_check_batch or 1) == 0
        if not validation_due:
            self._unsaved = True
            self._save_or_stop(trainer, due=time.monotonic() - self._saved_at > self.save_seconds)

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Save in any case, so that score and weights are in one file."""
        score = mean_iou(pl_module.confusion.compute())
        before = self.best, self.best_step
        improved = score > self.best or self.best_step == 0  # the first counts even where no class occurs
        if improved:
            self.best, self.best_step = (-1.0 if math.isnan(score) else score), trainer.global_step
        self.save(trainer, best=improved)
        self._end_out_of_patience(trainer)
        if self.failed:
            self.best, self.best_step = before  # as the file `best` has it
        self._save_or_stop(trainer, due=False)

    def finished(self, trainer: Trainer) -> bool:
        """Whether no step is left, where no validation is due."""
        return trainer.global_step >= trainer.max_steps or self._out_of_patience(trainer)

    def _out_of_patience(self, trainer: Trainer) -> bool:
        """This depends on what is saved alone, so that it is known again where a run goes on."""
        if self.patience is None or not self.best_step:
            return False
        return trainer.global_step - self.best_step >= self.patience * int(trainer.val_check_batch or 1)

    def _end_out_of_patience(self, trainer: Trainer) -> None:
        """End before all steps are done, and say why, if it is time."""
        if trainer.global_step >= trainer.max_steps or not self._out_of_patience(trainer):
            return
        trainer.should_stop = True
        score = f"the best is {self.best:.4f}, of step {self.best_step}"
        reason = (
            f"train.patience={self.patience}: IoU/val has not improved in {counted(self.patience or 0, 'validation')}"
        )
        say(f"{reason} ({score}): the training ends after {trainer.global_step} of {trainer.max_steps} steps")

    def on_train_end(self, *_: Any) -> None:
        self.stop.close()

    def on_exception(self, trainer: Trainer, pl_module: Any, exception: BaseException) -> None:
        """Whatever went wrong between two steps, reading an image for instance, costs no step that was done."""
        self.stop.close()
        if self._unsaved and trainer.world_size == 1:
            self.save(trainer)

    def _save_or_stop(self, trainer: Trainer, *, due: bool) -> None:
        """Save if that is due in any process, and end if a signal came to any."""
        save, number = self._agreed(trainer, due, self.stop.number)
        if save or (number and self._unsaved):
            self.save(trainer)
        if number:
            raise Stopped(number)

    def _agreed(self, trainer: Trainer, *values: int) -> list[int]:
        """The largest of each value over all processes."""
        if trainer.world_size == 1:
            return list(values)
        largest = torch.tensor(values)
        torch.distributed.all_reduce(largest, torch.distributed.ReduceOp.MAX, group=self._group)
        return largest.tolist()

    def save(self, trainer: Trainer, *, best: bool = False) -> None:
        """Write the state, give it its names, and say what does not succeed."""
        self._unsaved = False
        trainer.lightning_module.refuse_divergence()  # type: ignore[union-attr, operator]
        for logger in trainer.loggers:  # what a resumed run takes for logged must be on the disk
            logger.save()
        written = self.folder / f"new{disk.TEMPORARY}" if self.folder else ""
        trainer.save_checkpoint(written)  # all processes take part; the first one writes
        self._saved_at = time.monotonic()
        if self.folder:
            self._name(trainer, self.folder, best=best)

    def _name(self, trainer: Trainer, folder: Path, *, best: bool) -> None:
        """Give the file that was written its names, if it could be; from the first step on, training goes on if not."""
        try:
            if self.io.error:
                raise self.io.error
            name_files(folder, folder / f"new{disk.TEMPORARY}", best=best)
            recovered, self.failed = self.failed, False
            if recovered:
                say(f"step {trainer.global_step}: the checkpoint could be written again")
        except OSError as error:
            if not trainer.global_step:  # nothing is lost yet
                raise
            self.failed = True
            reason = error.strerror or str(error)
            consequence = "the earlier ones are intact, training goes on, and the next save tries again"
            say(f"step {trainer.global_step}: no checkpoint could be written ({folder}: {reason}); {consequence}")


def name_files(folder: Path, written: Path, *, best: bool) -> None:
    """Make `written` the `last` checkpoint, and the `best` if it is; the last one so far is then the `previous`.

    At every moment in between, `last` or else `previous` is whole and goes on exactly: `best` comes first, because the
    run that goes on from the one before finds it again.
    """
    last = folder / "last.ckpt"
    if best:
        written.replace(folder / "best.ckpt")
    if last.exists():
        last.replace(folder / "previous.ckpt")
    if best:
        disk.link(folder / "best.ckpt", last)
    else:
        written.replace(last)
    disk.sync_folder(folder)


def store_fitted(file: Path, correction: Correction | None, temperature: Temperature | None) -> None:
    """Have the record in a checkpoint hold what was fitted on val, or none. The file is replaced in one go."""
    content = read_checkpoint(file)
    before = Record.from_json(content[RECORD]["record"])
    record = replace(before, correction=correction, temperature=temperature)
    if record == before:
        return
    content[RECORD]["record"] = record.to_json()
    written = io.BytesIO()
    torch.save(content, written)
    disk.write(file, written.getbuffer())


def batches_done(content: Mapping[str, Any]) -> int:
    """Training batches that are in a checkpoint's weights. Raises UserError if no training wrote it."""
    try:
        return content["callbacks"][Checkpoint.__qualname__]["batches_done"]
    except (KeyError, TypeError):
        reason = "the checkpoint holds no training to go on with; init= starts a new run from its weights"
        raise UserError(reason) from None
