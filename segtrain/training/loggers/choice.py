"""The loggers by their names in conf/logger."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger

from ...build import TARGET, is_spec
from ...errors import UserError
from ...report.screen import say
from ...report.screen import tensorboard as tensorboard_program
from .event_files import TensorBoard
from .picture_files import PictureFiles

ROOM = "segtrain.training.loggers"
PAGE = "http://localhost:6006/?smoothing=0#timeseries"  # TensorBoard smooths curves unless it is told so by the address


@dataclass(frozen=True)
class LoggedRun:
    """The run that is logged."""

    folder: Path
    run: str  # its own name, which no other run has
    title: str  # its name for people
    first_step: int | None = None  # from which on a run that goes on logs again


Open = Callable[[LoggedRun], Logger]


def csv() -> Open:
    """Pictures in the run folder, besides `metrics.csv`, which every run has."""
    return lambda logged: PictureFiles(logged.folder / "samples")


def tensorboard() -> Open:
    """TensorBoard's event files in the run folder."""
    return open_tensorboard


def open_tensorboard(logged: LoggedRun) -> TensorBoard:
    """Say how the curves are watched."""
    say(f"watch it: {tensorboard_program()} --logdir {shlex.quote(str(logged.folder))}")
    say(f"  and then at {PAGE}")
    return TensorBoard(logged.folder, logged.first_step)


def wandb(*, project: str, offline: bool) -> Open:
    """Weights & Biases, as the user who is logged in there; `offline` writes to runs/wandb, for `wandb sync`."""
    refuse_missing("wandb")
    from .weights_and_biases import open_wandb  # only now: it takes seconds

    return partial(open_wandb, project=project, offline=offline)


def mlflow(*, experiment: str) -> Open:
    """MLflow: the server that MLFLOW_TRACKING_URI names, else the folder runs/mlruns."""
    refuse_missing("mlflow")
    from .mlflow_store import open_mlflow  # only now: it takes seconds

    return partial(open_mlflow, experiment=experiment)


def refuse_missing(extra: str) -> None:
    """Raises UserError that says how to install an extra, if it is not there."""
    if find_spec(extra) is None:
        raise UserError(f"logger={extra} needs more packages: pip install 'segtrain[{extra}]'")


def typed_word(spec: Any) -> str:
    """What is typed for a logger that is not the usual one; nothing for all others, a stranger's among them."""
    if not is_spec(spec):
        return ""
    return next((f"logger={name}" for name in ("wandb", "mlflow", "csv") if spec[TARGET] == f"{ROOM}.{name}"), "")
