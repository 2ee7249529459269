import csv
import json

import numpy as np
import pytest
import torch
from torch.nn.functional import one_hot

from segtrain.data.classes import ClassTable
from segtrain.metrics import ConfusionMatrix, summary
from segtrain.report import (
    bars,
    colorize,
    columns,
    displayable,
    log_to,
    mosaic,
    overlay,
    samples,
    say,
    score,
    table,
    write_score,
)

CLASSES = ClassTable.from_spec(
    {
        "ignore": 255,
        "classes": [{"name": "sky", "color": [0, 0, 200]}, {"name": "road", "color": [100, 0, 0]}, {"name": "tree"}],
    }
)


@pytest.fixture
def confusion() -> ConfusionMatrix:
    metric = ConfusionMatrix(3, 255)
    truth = torch.tensor([0] * 4 + [1] * 6 + [255] * 3)
    prediction = torch.tensor([0, 0, 1, 1, 0, 1, 1, 1, 1, 1, 2, 2, 2])
    metric.update(one_hot(prediction, 3).float().T.reshape(1, 3, 1, 13), truth.view(1, 1, 13))
    return metric  # [[2, 2, 0], [1, 5, 0], [0, 0, 0]] and three void pixels


def scored(confusion: ConfusionMatrix) -> dict:
    return score(summary(confusion), confusion.compute(), "val", CLASSES.names)


def test_metrics_json_is_fractions_with_null_for_what_never_occurs(tmp_path, confusion: ConfusionMatrix):
    result = scored(confusion)
    write_score(tmp_path / "evaluate", result, confusion.compute())
    stored = json.loads((tmp_path / "evaluate/metrics.json").read_text())
    assert (stored["split"], stored["images"], stored["pixels"], stored["void_pixels"]) == ("val", 1, 10, 3)
    assert stored["classes"]["sky"] == {"iou": 0.4, "dice": 4 / 7, "precision": 2 / 3, "recall": 0.5, "pixels": 4}
    assert stored["classes"]["tree"] == {"iou": None, "dice": None, "precision": None, "recall": None, "pixels": 0}
    assert stored["miou"] == pytest.approx((0.4 + 5 / 8) / 2)
    assert stored["accuracy"] == 0.7


def test_confusion_csv_has_truth_in_rows_and_names_as_headers(tmp_path, confusion: ConfusionMatrix):
    write_score(tmp_path, scored(confusion), confusion.compute())
    with open(tmp_path / "confusion.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0][1:] == ["sky", "road", "tree"]
    assert rows[2] == ["road", "1", "5", "0"]


def test_the_confusion_picture_is_written_and_not_empty(tmp_path, confusion: ConfusionMatrix):
    from PIL import Image

    write_score(tmp_path, scored(confusion), confusion.compute())
    with Image.open(tmp_path / "confusion.png") as picture:
        assert len(set(picture.convert("L").get_flattened_data())) > 10


def test_the_table_names_every_class_and_marks_what_is_undefined(confusion: ConfusionMatrix):
    lines = table(scored(confusion)).splitlines()
    assert lines[1].split() == ["sky", "0.4000", "0.5714", "0.6667", "0.5000", "4"]
    assert lines[3].split() == ["tree", "-", "-", "-", "-", "0"]
    assert lines[4].split() == ["mIoU", "0.5125", "accuracy", "0.7000"]


def test_colours_and_void():
    assert colorize(np.array([[0, 1, 255]], np.uint8), CLASSES).tolist() == [[[0, 0, 200], [100, 0, 0], [0, 0, 0]]]


def test_an_overlay_is_half_image_and_half_colour():
    image = np.full((3, 1, 1), 100, np.uint8)
    assert overlay(image, np.array([[1]]), CLASSES).tolist() == [[[100, 50, 50]]]


def test_a_mosaic_shows_wrong_pixels_red_and_void_black():
    image = np.full((3, 2, 2), 90, np.uint8)
    truth, prediction = np.array([[0, 1], [255, 1]]), np.array([[0, 0], [0, 1]])
    picture = mosaic([(image, truth, prediction)] * 2, CLASSES, gap=1)
    assert picture.shape == (6, 12, 3)
    assert picture[:2, 9:11].tolist() == [[[30, 30, 30], [255, 0, 0]], [[0, 0, 0], [30, 30, 30]]]


def test_images_of_different_sizes_share_a_mosaic():
    rows = [(np.zeros((3, h, 4), np.uint8), np.zeros((h, 4), int), np.zeros((h, 4), int)) for h in (2, 5)]
    wide = (np.zeros((3, 2, 9), np.uint8), np.zeros((2, 9), int), np.zeros((2, 9), int))
    assert mosaic([*rows, wide], CLASSES, gap=0).shape == (9, 36, 3)


def test_what_is_said_stands_on_the_screen_and_in_the_log(tmp_path, capsys: pytest.CaptureFixture[str]):
    with log_to(tmp_path / "log.txt"):
        say("mIoU [bold] 0.5")
    say("afterwards")
    assert capsys.readouterr().out == "mIoU [bold] 0.5\nafterwards\n"
    assert (tmp_path / "log.txt").read_text().split(" ", 2)[2] == "mIoU [bold] 0.5\n"


def test_bars_are_as_long_as_their_shares_and_never_vanish():
    assert bars([0.5, 0.25, 0.001, 0.0], width=4) == ["████", "██", "▏", ""]
    assert bars([9, 8], width=1) == ["█", "█"]
    assert bars([0.0]) == [""]
    assert bars([]) == []


def test_columns_are_aligned_by_the_width_that_a_terminal_shows():
    assert columns([("class", "n"), ("道", "10")], {1}) == "class   n\n道     10"


def test_samples_show_image_mask_and_both_under_the_names_of_the_classes():
    mask = np.zeros((10, 20), np.uint8)
    mask[:, 10:] = 1
    picture = samples([("a.png", np.full((1, 10, 20), 7, np.uint8), mask)], CLASSES, side=40)
    shown = np.asarray(picture)
    assert shown.shape[1] == 3 * 40 + 2 * 4
    assert (0, 0, 200) in set(map(tuple, shown.reshape(-1, 3).tolist()))
    assert shown[-10, 5].tolist() == [7, 7, 7]
    assert shown[-10, 44 + 5].tolist() == [0, 0, 200]
    assert shown[-10, 44 + 35].tolist() == [100, 0, 0]


def test_void_is_named_where_there_is_some():
    mask = np.zeros((10, 20), np.uint8)
    without = samples([("a.png", np.full((1, 10, 20), 7, np.uint8), mask)], CLASSES, side=200)
    mask[0, 0] = CLASSES.void
    with_void = samples([("a.png", np.full((1, 10, 20), 7, np.uint8), mask)], CLASSES, side=200)
    names = [np.asarray(picture.crop((0, 0, picture.width, 14))) for picture in (without, with_void)]
    assert (names[0] != names[1]).any()


def test_any_channels_and_depth_can_be_shown():
    assert displayable(np.full((1, 2, 3), 9, np.uint8)).shape == (3, 2, 3)
    deep = np.array([[[0, 500], [1000, 250]]] * 5, np.uint16)
    assert displayable(deep)[0].tolist() == [[0, 127], [255, 63]]
