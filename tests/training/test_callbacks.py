import csv
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from segtrain.data import ClassTable
from segtrain.report import screen as report
from segtrain.training import callbacks
from segtrain.training.verdict import judge

CLASSES = ClassTable.from_spec({"ignore": 255, "classes": [{"name": "a", "color": [9, 9, 9]}, {"name": "b"}]})


def rows(path: Path) -> list[list[str]]:
    with open(path, newline="") as file:
        return list(csv.reader(file))


def test_the_table_has_one_row_per_step_and_one_column_per_tag(tmp_path: Path):
    table = callbacks.MetricsTable(tmp_path / "metrics.csv", ["IoU/val", "loss/train"])
    table.log_metrics({"loss/train": 0.5}, 10)
    table.log_metrics({"IoU/val": 0.25}, 10)
    table.log_metrics({"loss/train": 0.4}, 20)
    table.save()
    expected = [["step", "IoU/val", "loss/train"], ["10", "0.25", "0.5"], ["20", "", "0.4"]]
    assert rows(tmp_path / "metrics.csv") == expected


def test_the_table_goes_on_below_what_is_there(tmp_path: Path):
    for step in (1, 2):
        table = callbacks.MetricsTable(tmp_path / "metrics.csv", ["a"])
        table.log_metrics({"a": 1.0}, step)
        table.finalize("success")
    assert [row[0] for row in rows(tmp_path / "metrics.csv")] == ["step", "1", "2"]


def test_iou_is_the_first_group_and_tags_are_unique():
    names = callbacks.tags(["a", "b"])
    assert min(names).startswith("IoU/")
    assert len(names) == len(set(names))
    assert names[-2:] == ["IoU_class/val/a", "IoU_class/val/b"]


def test_tensorboard_writes_into_the_run_folder_itself(tmp_path: Path):
    logger = callbacks.TensorBoard(tmp_path)
    logger.log_metrics({"IoU/val": 0.5}, 3)
    logger.finalize("success")
    (path,) = tmp_path.iterdir()
    assert path.name.startswith("events.out.tfevents")


def test_a_point_holds_the_mean_speed_and_the_share_of_waiting(monkeypatch: pytest.MonkeyPatch):
    clock = iter(np.arange(0, 100, 1.0))
    monkeypatch.setattr(callbacks.time, "perf_counter", lambda: float(next(clock)))
    published: list[dict[str, float]] = []
    optimizer = SimpleNamespace(param_groups=[{"lr": 0.1}])
    trainer = SimpleNamespace(max_steps=100, optimizers=[optimizer], global_step=0)
    loss = SimpleNamespace(compute=lambda: 0.5, reset=lambda: None)
    shown: dict[str, float] = {}
    learner = SimpleNamespace(publish=published.append, train_loss=loss, refuse_divergence=lambda: None, shown=shown)
    curves = callbacks.Curves(log_steps=2, batch_size=8)
    curves.on_train_start()
    for step in range(1, 5):
        trainer.global_step = step
        curves.on_train_batch_start()
        curves.on_train_batch_end(trainer, learner)
    # each step waits one tick and computes one; the tick in which a point is written is nobody's
    expected = {"loss/train": 0.5, "optim/lr": 0.1, "speed/images_per_second": 4.0, "speed/data_wait": 0.5}
    assert published == [expected, expected]
    curves.on_validation_start(trainer, learner)
    assert shown == {}  # the point is of this very step
    trainer.global_step = 5
    curves.on_train_batch_start()
    curves.on_train_batch_end(trainer, learner)
    curves.on_validation_start(trainer, learner)
    assert shown == {**expected, "speed/images_per_second": 4.0}  # before its point is due
    assert len(published) == 2


@pytest.mark.parametrize("terminal", [False, True])
def test_progress_says_scores_speed_and_time_left(monkeypatch: pytest.MonkeyPatch, terminal: bool):
    console = Console(force_terminal=terminal, width=160, record=True, highlight=False, soft_wrap=True)
    monkeypatch.setattr(report, "console", console)
    said: list[str] = []
    monkeypatch.setattr(callbacks, "say", said.append)
    trainer = SimpleNamespace(global_step=0, max_steps=10)
    learner = SimpleNamespace(shown={})
    bar = callbacks.ProgressBar(steps_per_epoch=5)
    bar.on_train_start(trainer)
    trainer.global_step = 5
    learner.shown = {"IoU/val": 0.25, "loss/train": 0.5, "speed/images_per_second": 12.0}
    bar.on_validation_end(trainer, learner)
    bar.on_train_batch_end(trainer, learner)
    bar.on_train_end()
    assert said[0].startswith("epoch 1.0  step 5/10  IoU/val 0.2500  loss/train 0.5000  12.0 images/s  0:00:0")
    screen = console.export_text(clear=False)
    assert ("5/10" in screen and "loss 0.5000  IoU 0.2500  12.0 images/s" in screen) is terminal


def test_the_bar_shows_the_score_of_a_validation_at_once(monkeypatch: pytest.MonkeyPatch):
    console = Console(force_terminal=True, width=160, record=True)
    monkeypatch.setattr(report, "console", console)
    monkeypatch.setattr(callbacks, "say", lambda text: None)
    trainer, learner = SimpleNamespace(global_step=5, max_steps=10), SimpleNamespace(shown={"IoU/val": 0.25})
    bar = callbacks.ProgressBar(steps_per_epoch=5)
    bar.on_train_start(trainer)
    bar.on_train_batch_end(trainer, learner)
    learner.shown["IoU/val"] = 0.125
    bar.on_validation_end(trainer, learner)
    bar.on_train_end()
    assert console.export_text().splitlines()[-1].count("IoU 0.1250") == 1


def test_a_speed_that_is_not_known_yet_is_left_out(monkeypatch: pytest.MonkeyPatch):
    said: list[str] = []
    monkeypatch.setattr(callbacks, "say", said.append)
    trainer = SimpleNamespace(global_step=0, max_steps=10)
    bar = callbacks.ProgressBar(steps_per_epoch=5)
    bar.on_train_start(trainer)
    trainer.global_step = 2
    bar.on_validation_end(trainer, SimpleNamespace(shown={"IoU/val": 0.25}))
    assert said[0].startswith("epoch 0.4  step 2/10  IoU/val 0.2500  0:00:0")


def test_iou_of_the_validation_is_tensorboards_first_card(tmp_path: Path):
    logger = callbacks.TensorBoard(tmp_path)
    for step, tag in enumerate(callbacks.tags(["Aa", "b"])):
        logger.log_metrics({tag: 0.5}, step)
    logger.finalize("success")
    events = EventAccumulator(str(tmp_path)).Reload()
    written = sorted(events.Tags()["scalars"])
    assert written[:2] == ["IoU/val", "IoU_class/val/Aa"]
    assert {"IoU_crops/train", "IoU_final/test"} <= set(written)


def test_rows_are_on_the_disk_before_a_checkpoint_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    waited: list[str] = []
    monkeypatch.setattr(callbacks.disk, "sync", lambda path: waited.append(path.read_text()))
    table = callbacks.MetricsTable(tmp_path / "metrics.csv", ["a"])
    for step in (1, 2):
        table.log_metrics({"a": 0.5}, step)
    assert waited == []  # which takes too long after each row
    table.save()
    assert waited == ["step,a\n1,0.5\n2,0.5\n"]


def test_a_damaged_table_is_said_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "metrics.csv"
    path.write_bytes(b"\0" * 200)
    table = callbacks.MetricsTable(path, ["a"], 30)
    table.log_metrics({"a": 1.0}, 31)
    table.finalize("success")
    assert rows(path) == [["step", "a"], ["31", "1.0"]]
    assert (
        f"1 of its lines cannot be read: the others are kept, and the file as it was, {tmp_path}"
        in capsys.readouterr().out
    )


def test_doubts_are_said_once_and_again_where_they_change(monkeypatch: pytest.MonkeyPatch):
    said: list[str] = []
    monkeypatch.setattr(callbacks, "say", said.append)
    doubts = callbacks.Doubts()
    nothing, good = [[934, 0], [66, 0]], [[930, 4], [6, 60]]
    for rows in (good, nothing, nothing, [[930, 4], [66, 0]], good, good):
        doubts.on_validation_end(None, SimpleNamespace(verdict=judge(torch.tensor(rows), ["ground", "crack"])))
    share = "crack (6.6 % of the pixels)"
    assert said == [
        f"  not found so far: {share}; IoU/val is no better than ground everywhere (0.4670)",
        "  each class is found now",
    ]


def test_a_logger_keeps_tensorboards_thread_quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(threading, "excepthook", callbacks.print_exception_of_thread)
    callbacks.TensorBoard(tmp_path)
    assert threading.excepthook is callbacks.ignore_writers
