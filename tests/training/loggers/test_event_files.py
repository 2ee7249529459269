import threading
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from segtrain.training.loggers import event_files
from segtrain.training.loggers.event_files import TensorBoard
from segtrain.training.loggers.table import tags


def test_tensorboard_writes_into_the_run_folder_itself(tmp_path: Path):
    logger = TensorBoard(tmp_path)
    logger.log_metrics({"IoU/val": 0.5}, 3)
    logger.finalize("success")
    (path,) = tmp_path.iterdir()
    assert path.name.startswith("events.out.tfevents")


def test_iou_of_the_validation_is_tensorboards_first_card(tmp_path: Path):
    logger = TensorBoard(tmp_path)
    for step, tag in enumerate(tags(["Aa", "b"])):
        logger.log_metrics({tag: 0.5}, step)
    logger.finalize("success")
    events = EventAccumulator(str(tmp_path)).Reload()
    written = sorted(events.Tags()["scalars"])
    assert written[:2] == ["IoU/val", "IoU_class/val/Aa"]
    assert {"IoU_crops/train", "IoU_final/test"} <= set(written)


def test_a_logger_keeps_tensorboards_thread_quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(threading, "excepthook", event_files.print_exception_of_thread)
    TensorBoard(tmp_path)
    assert threading.excepthook is event_files.ignore_writers


@pytest.mark.parametrize(("tag", "shown"), [("IoU/test", "IoU_final/test"), ("IoU_final/val", "IoU_final/val")])
def test_hyperparameters_come_once_with_the_final_score(tmp_path: Path, tag: str, shown: str):
    logger = TensorBoard(tmp_path)
    logger.log_hyperparams({"optimizer.lr": 0.5, "loss": "CrossEntropy"})
    logger.log_metrics({"IoU/val": 0.25}, 3)
    logger.save()
    events = EventAccumulator(str(tmp_path)).Reload()
    assert not any(name.startswith("_hparams_") for name in events.Tags()["tensors"])
    logger.log_metrics({tag: 0.75}, 3)
    logger.finalize("success")
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [(point.step, point.value) for point in events.Scalars(shown)] == [(3, 0.75)]
    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    given = HParamsPluginData.FromString(content).session_start_info.hparams
    assert (given["optimizer.lr"].number_value, given["loss"].string_value) == (0.5, "CrossEntropy")
    content = events.SummaryMetadata("_hparams_/experiment").plugin_data.content
    (metric,) = HParamsPluginData.FromString(content).experiment.metric_infos
    assert metric.name.tag == shown
