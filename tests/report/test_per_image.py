import csv
import io

import numpy as np
import pytest
import torch

from segtrain.metrics import ImageMatrices, class_iou, mean_iou
from segtrain.report.per_image import PerImage, per_image_csv, per_image_npz

NAMES = ("sky", "=tree")
VOID = 255


def counted(maps: list[tuple[list[int], list[int]]], keys: list[int]) -> ImageMatrices:
    """Of (prediction, truth) of images, that come two at a time."""
    metric = ImageMatrices(len(NAMES), VOID)
    for start in range(0, len(maps), 2):
        part = maps[start : start + 2]
        prediction = torch.tensor([[row] for row, _ in part])
        logits = torch.nn.functional.one_hot(prediction, len(NAMES)).permute(0, 3, 1, 2).float()
        metric.update(logits, torch.tensor([[row] for _, row in part]), torch.tensor(keys[start : start + 2]))
    return metric


MAPS = [([0, 0, 1, 1], [0, 1, 1, 255]), ([0, 0, 0, 0], [255, 255, 255, 255]), ([1, 1, 1, 0], [1, 1, 0, 0])]


@pytest.fixture
def images() -> PerImage:
    metric = counted(MAPS, [1, 0, 2])
    return PerImage(["a", "b", "c"], NAMES, metric.all_cells().numpy())


def test_every_number_of_hand_made_images(images: PerImage):
    assert images.names == ["a", "b", "c"]
    assert images.truth.tolist() == [[0, 0], [1, 2], [2, 2]]
    assert images.predicted.tolist() == [[0, 0], [2, 1], [1, 3]]
    assert images.hits.tolist() == [[0, 0], [1, 1], [1, 2]]
    assert images.void.tolist() == [4, 1, 0]
    assert images.iou[1:].tolist() == [[1 / 2, 1 / 2], [1 / 2, 2 / 3]]
    assert np.isnan(images.iou[0]).all()


def test_the_images_together_are_the_matrix():
    metric = counted(MAPS, [1, 0, 2])
    images = PerImage([str(i) for i in range(3)], NAMES, metric.all_cells().numpy())
    matrix = metric.compute()
    assert images.truth.sum(0).tolist() == matrix.sum(1).tolist()
    assert images.predicted.sum(0).tolist() == matrix.sum(0).tolist()
    assert images.hits.sum(0).tolist() == matrix.diagonal().tolist()
    assert int(metric.void_pixels) == images.void.sum() == 5
    assert int(metric.images) == len(images) == 3


def test_the_order_of_the_images_changes_nothing():
    one, other = counted(MAPS, [1, 0, 2]), counted([MAPS[2], MAPS[0], MAPS[1]], [2, 1, 0])
    assert torch.equal(one.all_cells(), other.all_cells())


def test_one_row_for_each_image(images: PerImage):
    rows = list(csv.DictReader(io.StringIO(per_image_csv(images))))
    assert [row["image"] for row in rows] == ["a", "b", "c"]
    assert rows[0] == {"image": "a", "pixels": "0", "void_pixels": "4", **dict.fromkeys(list(rows[0])[3:], "")}
    assert rows[2]["accuracy"] == "0.750000"
    assert float(rows[2]["miou"]) == pytest.approx((1 / 2 + 2 / 3) / 2, abs=1e-6)
    assert rows[2]["IoU =tree"] == "0.666667"


def test_other_conventions_can_be_had_from_the_matrices(images: PerImage):
    stored = np.load(io.BytesIO(per_image_npz(images)))
    matrix = torch.zeros(2, 2, dtype=torch.int64)
    for truth, prediction, pixels in zip(stored["truth"], stored["prediction"], stored["pixels"], strict=True):
        matrix[truth, prediction] += pixels
    assert torch.equal(matrix, counted(MAPS, [1, 0, 2]).compute())
    assert mean_iou(matrix) == pytest.approx(float(class_iou(matrix).mean()))
    assert stored["names"].tolist() == ["a", "b", "c"]
    assert stored["void_pixels"].tolist() == [4, 1, 0]


def test_images_of_several_scores_stand_one_after_the_other(images: PerImage):
    both = PerImage.joined([images, images])
    assert both.names == [*images.names, *images.names]
    assert both.truth.tolist() == [*images.truth.tolist()] * 2
    assert both.void.tolist() == [*images.void.tolist()] * 2


def test_a_file_name_that_is_a_formula_stays_a_text(images: PerImage):
    named = PerImage(["=A1", "b", "c"], NAMES, images.cells)
    assert "'=A1" in per_image_csv(named)
