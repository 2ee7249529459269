"""MLflow, https://mlflow.org: a server, or a folder without one."""

import os
import re
from argparse import Namespace
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np
from lightning.pytorch.loggers import MLFlowLogger

from ...errors import UserError
from ...report.screen import say
from ...runs.folder import ROOT
from .choice import LoggedRun
from .outage import Outage
from .told import Told, read

STORE = ROOT / "mlruns"  # no run folder, which may be a stranger's and would say where files are written
ALLOWED = "MLFLOW_ALLOW_FILE_STORE"  # without it, MLflow 3 refuses folders


class MLflow(MLFlowLogger):
    """Scalars and pictures for MLflow, of which a run that goes on repeats none."""

    def __init__(self, told: Told, address: str) -> None:
        super().__init__(tracking_uri=address, run_id=told.run)
        self.told, self.outage = told, Outage("MLflow")

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        with self.outage.survived():
            new = self.told.new(metrics, step or 0)
            if new:
                super().log_metrics({metric_name(tag): metrics[tag] for tag in new}, step)

    def log_picture(self, tag: str, picture: np.ndarray, step: int) -> None:
        """`picture` (H, W, 3) uint8."""
        with self.outage.survived():
            if self.told.new([tag], step):
                self.experiment.log_image(self.told.run, picture, key=tag, step=step)

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Log those that the run has not yet: MLflow takes each of them once."""
        with self.outage.survived():
            known = self.experiment.get_run(self.told.run).data.params
            given = dict(params) if isinstance(params, dict) else vars(params)
            super().log_hyperparams({name: value for name, value in given.items() if name not in known})

    def finalize(self, status: str = "success") -> None:
        with self.outage.survived():
            super().finalize(status)


def open_mlflow(logged: LoggedRun, experiment: str) -> MLflow:
    """Begin a run of MLflow's, or go on with the one that the run folder names. Raises UserError if MLflow refuses."""
    address = os.environ.get("MLFLOW_TRACKING_URI") or f"file:{STORE.resolve()}"
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # in place of 7, for which a training waits minutes
    if address.startswith("file:"):
        os.environ.setdefault(ALLOWED, "true")
    library = import_module("mlflow")
    file = logged.folder / "mlflow.json"
    try:
        client = library.MlflowClient(address)
        run = known_run(client, library, read(file).get("run")) or begun(client, experiment, logged.title)
        client.update_run(run, status="RUNNING")
    except (library.MlflowException, OSError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"logger=mlflow: MLflow refuses ({reason}); MLFLOW_TRACKING_URI says where it is") from None
    say(f"MLflow: run {run}{seen_at(address)}")
    return MLflow(Told(file, run), address)


def known_run(client: Any, library: Any, run: Any) -> str | None:
    """The name of a run, if MLflow knows it."""
    if not isinstance(run, str) or not re.fullmatch(r"\w{1,64}", run):
        return None
    try:
        client.get_run(run)
    except library.MlflowException:
        return None
    return run


def begun(client: Any, experiment: str, title: str) -> str:
    """MLflow's name of a new run in an experiment, which is made if it is not there."""
    existing = client.get_experiment_by_name(experiment)
    identifier = existing.experiment_id if existing else client.create_experiment(experiment)
    return client.create_run(identifier, run_name=title).info.run_id


def seen_at(address: str) -> str:
    """Where it can be looked at; not the address of a server, in which a password may stand."""
    if not address.startswith("file:"):
        return ""
    return f"; watch it: {ALLOWED}=true mlflow ui --backend-store-uri {STORE}"


def metric_name(tag: str) -> str:
    """A tag as MLflow takes it, other characters in the name of a class as their number in Unicode.

    Its slashes are folders of MLflow's, and those in the name of a class are none.
    """
    *groups, name = tag.split("/", 2)
    return "/".join([*groups, re.sub(r"[^A-Za-z0-9_ -]", lambda match: f"_{ord(match[0]):x}_", name)])
