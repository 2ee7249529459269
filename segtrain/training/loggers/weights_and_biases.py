"""Weights & Biases, https://wandb.ai."""

import re
from argparse import Namespace
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np
from lightning.pytorch.loggers import WandbLogger

from ...errors import UserError
from ...report.screen import say
from ...runs.folder import ROOT
from .choice import LoggedRun
from .outage import Outage
from .told import Told

STEP = "trainer/global_step"  # Lightning's name of the axis; W&B's own steps cannot go back on resume


class WandB(WandbLogger):
    """Scalars and pictures for W&B, of which a run that goes on repeats none."""

    def __init__(self, experiment: Any, told: Told) -> None:
        super().__init__(experiment=experiment)
        self.told, self.outage = told, Outage("W&B")

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        with self.outage.survived():
            new = self.told.new(metrics, step or 0)
            if new:
                super().log_metrics({tag: metrics[tag] for tag in new}, step)

    def log_picture(self, tag: str, picture: np.ndarray, step: int) -> None:
        """`picture` (H, W, 3) uint8."""
        with self.outage.survived():
            if self.told.new([tag], step):
                image = import_module("wandb").Image(picture)
                super().log_metrics({tag: image}, step)

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        with self.outage.survived():
            super().log_hyperparams(params)


def open_wandb(logged: LoggedRun, project: str, offline: bool) -> WandB:
    """Begin a run at W&B, or go on with the one of the same name. Raises UserError if W&B refuses."""
    if not re.fullmatch(r"\w{1,64}", logged.run):
        reason = f"its run is named {logged.run[:64]!r}, which W&B does not take"
        raise UserError(f"{logged.folder}: {reason}: is it damaged?")
    library = import_module("wandb")
    ROOT.mkdir(exist_ok=True)
    try:
        experiment = library.init(
            project=project,
            name=logged.title,
            id=logged.run,
            resume=None if offline else "allow",
            dir=str(ROOT),  # no settings are read from a run folder, which may be a stranger's
            mode="offline" if offline else None,
            reinit="finish_previous",  # of a sweep in one process
            settings=library.Settings(silent=True, console="off"),
        )
    except library.errors.Error as error:
        reason = " ".join(str(error).split())
        raise UserError(f"logger=wandb: W&B refuses ({reason}): type wandb login, or logger.offline=true") from None
    experiment.define_metric(STEP)
    experiment.define_metric("*", step_metric=STEP, step_sync=True)
    say(f"W&B: {seen_at(experiment)}")
    return WandB(experiment, Told(logged.folder / "wandb.json", logged.run))


def seen_at(experiment: Any) -> str:
    """Where a run can be looked at, or how it gets there."""
    if experiment.offline:
        return f"offline; it is uploaded by: wandb sync {ROOT}/wandb/offline-run-*-{experiment.id}"
    return experiment.url
