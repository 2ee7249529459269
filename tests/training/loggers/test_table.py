import csv
from pathlib import Path

import pytest

from segtrain.runs.metrics_csv import FINAL
from segtrain.training.loggers import table as module
from segtrain.training.loggers.table import MetricsTable, tags


def rows(path: Path) -> list[list[str]]:
    with open(path, newline="") as file:
        return list(csv.reader(file))


def test_the_table_has_one_row_per_step_and_one_column_per_tag(tmp_path: Path):
    table = MetricsTable(tmp_path / "metrics.csv", ["IoU/val", "loss/train"])
    table.log_metrics({"loss/train": 0.5}, 10)
    table.log_metrics({"IoU/val": 0.25}, 10)
    table.log_metrics({"loss/train": 0.4}, 20)
    table.save()
    expected = [["step", "IoU/val", "loss/train"], ["10", "0.25", "0.5"], ["20", "", "0.4"]]
    assert rows(tmp_path / "metrics.csv") == expected


def test_the_table_goes_on_below_what_is_there(tmp_path: Path):
    for step in (1, 2):
        table = MetricsTable(tmp_path / "metrics.csv", ["a"])
        table.log_metrics({"a": 1.0}, step)
        table.finalize("success")
    assert [row[0] for row in rows(tmp_path / "metrics.csv")] == ["step", "1", "2"]


def test_iou_is_the_first_group_and_tags_are_unique():
    names = tags(["a", "b"])
    assert min(names).startswith("IoU/")
    assert len(names) == len(set(names))
    assert names[-2:] == ["IoU_class/val/a", "IoU_class/val/b"]
    assert set(FINAL.values()) < set(names)


def test_rows_are_on_the_disk_before_a_checkpoint_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    waited: list[str] = []
    monkeypatch.setattr(module.disk, "sync", lambda path: waited.append(path.read_text()))
    table = MetricsTable(tmp_path / "metrics.csv", ["a"])
    for step in (1, 2):
        table.log_metrics({"a": 0.5}, step)
    assert waited == []  # which takes too long after each row
    table.save()
    assert waited == ["step,a\n1,0.5\n2,0.5\n"]


def test_a_damaged_table_is_said_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "metrics.csv"
    path.write_bytes(b"\0" * 200)
    table = MetricsTable(path, ["a"], 30)
    table.log_metrics({"a": 1.0}, 31)
    table.finalize("success")
    assert rows(path) == [["step", "a"], ["31", "1.0"]]
    assert (
        f"1 of its lines cannot be read: the others are kept, and the file as it was, {tmp_path}"
        in capsys.readouterr().out
    )


def test_the_table_of_an_older_run_gets_the_columns_that_it_lacks(tmp_path: Path):
    path = tmp_path / "metrics.csv"
    path.write_text("step,IoU/val,IoU/test,loss/train\n10,0.25,,0.5\n20,0.5,,0.4\n")
    table = MetricsTable(path, ["IoU/val", *FINAL.values(), "loss/train"], 20)
    table.log_metrics({"IoU/val": 0.5, "loss/train": 0.4}, 20)
    table.save()
    table.log_metrics({"IoU_final/val": 0.75}, 20)
    table.save()
    header, *others = rows(path)
    assert header == ["step", "IoU/val", "IoU/test", "IoU_final/val", "loss/train"]
    assert others == [["10", "0.25", "", "", "0.5"], ["20", "0.5", "", "", "0.4"], ["20", "", "", "0.75", ""]]
    MetricsTable(path, header[1:], 21)
    assert rows(path)[1:] == others[:2]  # the final score is written again


def test_a_tag_without_a_column_makes_no_row(tmp_path: Path):
    table = MetricsTable(tmp_path / "metrics.csv", ["a"])
    table.log_metrics({"a": 1.0}, 1)
    table.log_metrics({"b": 0.5}, 2)
    table.save()
    assert rows(tmp_path / "metrics.csv") == [["step", "a"], ["1", "1.0"]]
