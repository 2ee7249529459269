"""TensorBoard's event files."""

import threading
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.tensorboard.summary import hparams

from ... import disk
from ...report.screen import say

# TensorBoard sorts its cards by their tags: these have groups of their own there, so that IoU/val is the first one.
IN_TENSORBOARD = {"IoU/train": "IoU_crops/train", "IoU/test": "IoU_final/test"}
FINAL = "IoU_final/"  # how the tag of a final score begins
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
        self._hyperparameters: dict[str, Any] = {}

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Log scalars; beside a final score TensorBoard shows the hyper-parameters that led to it."""
        shown = {IN_TENSORBOARD.get(tag, tag): value for tag, value in metrics.items()}
        final = {tag: value for tag, value in shown.items() if tag.startswith(FINAL)}
        with self._surviving():
            super().log_metrics(shown, step)
            if final:
                self._write_hyperparameters(final)

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Keep them until there is a final score."""
        self._hyperparameters = dict(params) if isinstance(params, dict) else vars(params)

    def _write_hyperparameters(self, scores: dict[str, float]) -> None:
        writer = self.experiment._get_file_writer()
        for summary in hparams(self._hyperparameters, scores):
            writer.add_summary(summary)

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
