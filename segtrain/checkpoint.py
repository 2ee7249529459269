"""Checkpoint files: when they are written, what is in them, and how a network comes back out."""

import json
import math
import os
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint as CheckpointBase
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import nn

from .build import build, shipped_targets
from .data.classes import ClassTable
from .metrics import mean_iou

RECORD = "segtrain"  # our entry in Lightning's checkpoint
VERSION = 1


class SyncedIO(TorchCheckpointIO):
    """Writes straight to the given path and waits for the disk: `Checkpoint` renames it when it is whole.

    Lightning's own writes through the default temporary directory, which may be another file system.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        with open(path, "wb") as file:
            torch.save(checkpoint, file)
            file.flush()
            os.fsync(file.fileno())

    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True) -> dict[str, Any]:
        return read(Path(path))


class Checkpoint(CheckpointBase):
    """The one owner of a run's checkpoint files: `last`, the `previous` one, and the `best` by IoU/val.

    Lightning runs callbacks of this kind last, so that what is saved is what all others have seen. Nothing is saved
    while a validation is due; after it, always, so that scores and weights in a file belong together.

    Args:
        folder: of the files.
        record: plain data that a reader needs to build the network again: the configuration and the class table.
        save_minutes: between two saves, validations aside.
    """

    def __init__(self, folder: Path, *, record: Mapping[str, Any], save_minutes: float) -> None:
        super().__init__()
        self.folder, self.record, self.save_seconds = folder, dict(record), 60 * save_minutes
        self.batches_done, self.best, self.best_step = 0, -1.0, 0
        self._saved_at = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        return {"batches_done": self.batches_done, "best": self.best, "best_step": self.best_step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.batches_done, self.best = state_dict["batches_done"], state_dict["best"]
        self.best_step = state_dict["best_step"]

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint[RECORD] = {"version": VERSION, "record": json.dumps(self.record), "finished": finished(trainer)}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        self.batches_done += 1
        if finished(trainer):
            trainer.should_stop = True  # which also makes Lightning validate after the last step, whatever the interval
        validation_due = finished(trainer) or self.batches_done % int(trainer.val_check_batch or 1) == 0
        in_pieces = self.batches_done % trainer.accumulate_grad_batches != 0  # gradients wait that no file holds
        if not validation_due and not in_pieces and time.monotonic() - self._saved_at > self.save_seconds:
            self.save(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        score = mean_iou(pl_module.confusion.compute())
        improved = score > self.best or self.best_step == 0  # the first counts even where no class occurs
        if improved:
            self.best, self.best_step = (-1.0 if math.isnan(score) else score), trainer.global_step
        self.save(trainer, best=improved)

    def save(self, trainer: Trainer, *, best: bool = False) -> None:
        """Replace the files one after another, each by a rename, so that every name always holds a whole file."""
        written = self.folder / "last.tmp"
        trainer.save_checkpoint(written)
        if trainer.is_global_zero:
            if best:
                self._link(written, "best")
            if (self.folder / "last.ckpt").exists():
                self._link(self.folder / "last.ckpt", "previous")
            written.replace(self.folder / "last.ckpt")
        self._saved_at = time.monotonic()

    def _link(self, file: Path, name: str) -> None:
        """`name`.ckpt becomes a second name of `file`, or a copy where the file system has no hard links."""
        link = self.folder / f"{name}.tmp"
        link.unlink(missing_ok=True)
        try:
            link.hardlink_to(file)
        except OSError:
            link.write_bytes(file.read_bytes())
        link.replace(self.folder / f"{name}.ckpt")


def finished(trainer: Trainer) -> bool:
    return trainer.global_step >= trainer.max_steps


class Trained(NamedTuple):
    """A trained network, in evaluation mode on the CPU, with its classes and the settings it was trained with."""

    network: nn.Module
    classes: ClassTable
    config: dict[str, Any]


def read(path: Path) -> dict[str, Any]:
    """The content of a checkpoint file: tensors and plain data, nothing that could run.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: for a file that is damaged, or no checkpoint of segtrain.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such checkpoint")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises many types for a damaged file, and names no path
        raise ValueError(f"{path}: not a readable checkpoint ({type(error).__name__}): is it damaged?") from None
    if not isinstance(content, dict) or RECORD not in content:
        raise ValueError(f"{path}: not a checkpoint of segtrain")
    if content[RECORD]["version"] > VERSION:
        raise ValueError(f"{path}: written by a newer segtrain (format {content[RECORD]['version']}); update segtrain")
    return content


def record_of(content: Mapping[str, Any]) -> dict[str, Any]:
    return json.loads(content[RECORD]["record"])


def weights_of(content: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """The network's state dict: the moving average where there is one, since that is what was scored."""
    state = content["state_dict"]
    prefix = "average.module." if any(name.startswith("average.module.") for name in state) else "network."
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def batches_done(content: Mapping[str, Any]) -> int:
    """Training batches that are in a checkpoint's weights."""
    return content["callbacks"][Checkpoint.__qualname__]["batches_done"]


def trusted(allow: Collection[str]) -> frozenset[str]:
    """The `_target_` names that a stored configuration may hold: the shipped ones, and those that the user adds."""
    return shipped_targets() | frozenset(allow)


def restore(content: Mapping[str, Any], trust: Collection[str]) -> Trained:
    """Build the network that a checkpoint describes and fill it; its configuration may name `trust` alone."""
    record = record_of(content)
    network = build(record["model"], trust)
    network.load_state_dict(weights_of(content))
    return Trained(network.eval(), ClassTable.from_spec(record["classes"], "checkpoint"), record["settings"])


def load(path: str | Path, allow: Collection[str] = ()) -> Trained:
    """A trained network from a run folder (its best checkpoint) or a checkpoint file.

    Args:
        allow: `_target_` names besides the shipped ones that the file may name.
    """
    path = Path(path)
    return restore(read(path / "checkpoints" / "best.ckpt" if path.is_dir() else path), trusted(allow))
