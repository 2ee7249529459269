import csv
import json

import numpy as np
import pytest
import torch

from segtrain.metrics import ConfusionMatrix, summary
from segtrain.report import scores
from segtrain.report.per_image import PerImage
from segtrain.report.scores import finish_score, score, table, write_score

NAMES = ("sky", "road", "tree")
NO_IMAGES = PerImage([], NAMES, np.zeros((0, 3), np.int64))


@pytest.fixture
def confusion() -> ConfusionMatrix:
    metric = ConfusionMatrix(3, 255)
    truth = torch.tensor([0] * 4 + [1] * 6 + [255] * 3)
    prediction = torch.tensor([0, 0, 1, 1, 0, 1, 1, 1, 1, 1, 2, 2, 2])
    metric.update(prediction.view(1, 1, 13), truth.view(1, 1, 13))
    return metric  # [[2, 2, 0], [1, 5, 0], [0, 0, 0]] and three void pixels


def scored(confusion: ConfusionMatrix) -> dict:
    return score(summary(confusion), confusion.compute(), "val", NAMES)


def test_metrics_json_is_fractions_with_null_for_what_never_occurs(tmp_path, confusion: ConfusionMatrix):
    result = scored(confusion)
    write_score(tmp_path / "evaluate", result, confusion.compute(), NO_IMAGES)
    assert not (tmp_path / "evaluate/metrics.json").exists()
    finish_score(tmp_path / "evaluate", result)
    stored = json.loads((tmp_path / "evaluate/metrics.json").read_text())
    assert (stored["split"], stored["images"], stored["pixels"], stored["void_pixels"]) == ("val", 1, 10, 3)
    assert stored["classes"]["sky"] == {"iou": 0.4, "dice": 4 / 7, "precision": 2 / 3, "recall": 0.5, "pixels": 4}
    assert stored["classes"]["tree"] == {"iou": None, "dice": None, "precision": None, "recall": None, "pixels": 0}
    assert stored["miou"] == pytest.approx((0.4 + 5 / 8) / 2)
    assert stored["accuracy"] == 0.7


def test_confusion_csv_has_truth_in_rows_and_names_as_headers(tmp_path, confusion: ConfusionMatrix):
    write_score(tmp_path, scored(confusion), confusion.compute(), NO_IMAGES)
    with open(tmp_path / "confusion.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0][1:] == ["sky", "road", "tree"]
    assert rows[2] == ["road", "1", "5", "0"]


def test_the_confusion_picture_is_written_and_not_empty(tmp_path, confusion: ConfusionMatrix):
    from PIL import Image

    write_score(tmp_path, scored(confusion), confusion.compute(), NO_IMAGES)
    with Image.open(tmp_path / "confusion.png") as picture:
        assert len(set(picture.convert("L").get_flattened_data())) > 10


@pytest.mark.parametrize("error", [MemoryError(), ValueError("no font"), OSError(28, "No space left on device")])
def test_a_picture_that_cannot_be_drawn_costs_no_score(
    tmp_path,
    confusion: ConfusionMatrix,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
):
    (tmp_path / "confusion.png").write_bytes(b"that of an earlier score")

    def fail(*_: object) -> bytes:
        raise error

    monkeypatch.setattr(scores, "confusion_picture", fail)
    written = write_score(tmp_path, scored(confusion), confusion.compute(), NO_IMAGES)
    assert written == ["confusion.csv", "per_image.csv", "per_image.npz"]
    assert f"confusion.png: it could not be drawn ({type(error).__name__}" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {*written, "per_image.npz"}


def test_metrics_json_of_an_earlier_score_is_gone_while_a_new_one_is_written(tmp_path, confusion: ConfusionMatrix):
    finish_score(tmp_path, {"miou": 0.5})
    write_score(tmp_path, scored(confusion), confusion.compute(), NO_IMAGES)
    assert not (tmp_path / "metrics.json").exists()


def test_the_table_names_every_class_and_marks_what_is_undefined(confusion: ConfusionMatrix):
    lines = table(scored(confusion)).splitlines()
    assert lines[1].split() == ["sky", "0.4000", "0.5714", "0.6667", "0.5000", "4"]
    assert lines[3].split() == ["tree", "-", "-", "-", "-", "0"]
    assert lines[4].split() == ["mIoU", "0.5125", "accuracy", "0.7000"]


def test_names_that_a_spreadsheet_would_compute_are_texts_in_confusion_csv(tmp_path, confusion: ConfusionMatrix):
    result = score(summary(confusion), confusion.compute(), "val", ("=1+1", "@sum", "-sky"))
    write_score(tmp_path, result, confusion.compute(), NO_IMAGES)
    finish_score(tmp_path, result)
    with (tmp_path / "confusion.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0][1:] == ["'=1+1", "'@sum", "'-sky"]
    assert [row[0] for row in rows[1:]] == ["'=1+1", "'@sum", "'-sky"]
    assert set(json.loads((tmp_path / "metrics.json").read_text())["classes"]) == {"=1+1", "@sum", "-sky"}
