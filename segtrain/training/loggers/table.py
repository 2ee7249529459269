"""`metrics.csv`: what a run logs, whatever logger it has beside that."""

import csv
import io
import os
from argparse import Namespace
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger

from ... import disk
from ...report.screen import say
from ...runs.metrics_csv import FINAL, cut_back


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
        own = {tag: value for tag, value in metrics.items() if tag in self.columns}
        if not own:
            return
        if self._row and self._row["step"] != step:
            self._append()
        self._row.update(own, step=float(step or 0))

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
        writer = csv.DictWriter(text, self.columns)
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
    return ["IoU/val", "IoU/train", *FINAL.values(), "loss/val", "accuracy/val", *training, *per_class]
