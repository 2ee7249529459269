from collections.abc import Callable
from pathlib import Path

import pytest

from segtrain.training import learner
from segtrain.training.loggers.mlflow_store import metric_name
from tests.commands.conftest import TINY


class Interruption(Exception):
    """Stands for a power cut."""


def test_a_name_is_one_that_mlflow_takes_and_two_classes_have_two():
    assert metric_name("IoU/val") == "IoU/val"
    assert metric_name("IoU_class/val/traffic light") == "IoU_class/val/traffic light"
    assert metric_name("IoU_class/val/道") == "IoU_class/val/_9053_"
    assert metric_name("IoU_class/val/路/..") == "IoU_class/val/_8def__2f__2e__2e_"


@pytest.mark.slow
def test_a_run_that_goes_on_is_the_same_run_of_mlflows_and_repeats_no_point(
    segtrain: Callable[..., int], monkeypatch: pytest.MonkeyPatch
):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    step = learner.Learner.training_step

    def failing(self: learner.Learner, *args: object, **kwargs: object) -> None:
        if self.trainer.global_step == 5:
            raise Interruption
        step(self, *args, **kwargs)

    words = [*TINY, "logger=mlflow", "train.save_minutes=1e9"]  # the checkpoint is that of step 3, points go up to 4
    with monkeypatch.context() as patch:
        patch.setattr(learner.Learner, "training_step", failing)
        patch.setattr("segtrain.training.checkpoint.Checkpoint.on_exception", lambda *_: None)
        assert segtrain("train", *words, "run_dir=run") == 1
    assert segtrain("train", "resume=run", "logger=mlflow") == 0
    client = mlflow.MlflowClient(f"file:{Path('runs/mlruns').resolve()}")
    (experiment,) = [each for each in client.search_experiments() if each.name == "segtrain"]
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.status, run.info.run_name) == ("FINISHED", "shapes-fcn_tiny")
    history = {
        tag: [point.step for point in client.get_metric_history(run.info.run_id, tag)] for tag in run.data.metrics
    }
    assert (history["loss/train"], history["IoU/val"], history["IoU/test"]) == ([2, 4, 6, 8], [3, 6, 8], [8])
    assert run.data.params["data.batch_size"] == "4"
    pictures = [
        Path(file.path).name.partition("+timestamp")[0] for file in client.list_artifacts(run.info.run_id, "images")
    ]
    assert sorted({name for name in pictures if "val" in name}) == [f"images~val+step+{step}" for step in (3, 6, 8)]
    assert len([name for name in pictures if "train_batch" in name]) == 2  # and a small copy
    assert not list(Path("run").glob("events*"))
