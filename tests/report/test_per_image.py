import csv
import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
import torch

from segtrain.errors import UserError
from segtrain.metrics import ImageMatrices, class_iou, mean_iou
from segtrain.report.per_image import PerImage, per_image_csv, per_image_npz, read_per_image

NAMES = ("sky", "=tree")
VOID = 255


def counted(maps: list[tuple[list[int], list[int]]], keys: list[int]) -> ImageMatrices:
    """Of (prediction, truth) of images, that come two at a time."""
    metric = ImageMatrices(len(NAMES), VOID)
    for start in range(0, len(maps), 2):
        part = maps[start : start + 2]
        prediction = torch.tensor([[row] for row, _ in part])
        metric.update(prediction, torch.tensor([[row] for _, row in part]), torch.tensor(keys[start : start + 2]))
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


@pytest.mark.parametrize("groups", [None, ["x", "y", "x"]])
def test_what_was_written_is_read_again(tmp_path: Path, images: PerImage, groups: list[str] | None):
    path = tmp_path / "per_image.npz"
    path.write_bytes(per_image_npz(dataclasses.replace(images, groups=groups)))
    again = read_per_image(path)
    assert (again.names, again.class_names, again.groups) == (images.names, NAMES, groups)
    assert np.array_equal(again.cells, images.cells)


def arrays(images: PerImage, **changes: object) -> bytes:
    stored = dict(np.load(io.BytesIO(per_image_npz(images))))
    content = io.BytesIO()
    np.savez_compressed(content, **{name: value for name, value in {**stored, **changes}.items() if value is not None})
    return content.getvalue()


@pytest.mark.parametrize(
    "changes",
    [
        {"names": None},
        {"names": np.array([{}, {}, {}], object)},
        {"names": np.array([1, 2, 3])},
        {"image": np.array([0, 7, 1, 1, 2, 2, 2])},
        {"pixels": np.array([1.5])},
        {"pixels": np.array([-1] * 7)},
        {"truth": np.array([9] * 7)},
        {"groups": np.array(["x"])},
        {"void_pixels": np.array([[1]])},
        {"image": np.array("x")},
    ],
)
def test_strange_files_are_refused(tmp_path: Path, images: PerImage, changes: dict[str, object]):
    path = tmp_path / "per_image.npz"
    path.write_bytes(arrays(images, **changes))
    with pytest.raises(UserError, match=r"per_image.npz: no scores of images, or damaged"):
        read_per_image(path)


def test_damaged_files_and_bombs_are_refused(tmp_path: Path, images: PerImage, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "per_image.npz"
    content = per_image_npz(images)
    for damaged in (b"", b"nothing", content[:100], content[:200] + bytes(50) + content[250:]):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="or damaged"):
            read_per_image(path)
    path.write_bytes(arrays(images, void_pixels=np.zeros(1 << 20, np.int64)))
    monkeypatch.setattr("segtrain.report.per_image.MOST_BYTES", 1 << 20)
    with pytest.raises(UserError, match="more than 1 MiB: not read"):
        read_per_image(path)
    with pytest.raises(FileNotFoundError):
        read_per_image(tmp_path / "absent.npz")
