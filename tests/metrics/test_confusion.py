import math

import pytest
import torch
from torchmetrics.classification import MulticlassAccuracy, MulticlassJaccardIndex

from segtrain.metrics import (
    ConfusionMatrix,
    accuracy,
    class_iou,
    class_scores,
    confusion,
    mean_iou,
    most_likely,
    summary,
)

VOID = 255


def test_a_matrix_that_can_be_counted_by_hand():
    metric = ConfusionMatrix(3, VOID)
    truth = torch.tensor([[[0, 0, 1, 1, VOID]]], dtype=torch.uint8)
    metric.update(torch.tensor([[[0, 1, 1, 1, 2]]]), truth)
    matrix = metric.compute()
    assert matrix.tolist() == [[1, 1, 0], [0, 2, 0], [0, 0, 0]]
    assert class_iou(matrix).tolist()[:2] == [1 / 2, 2 / 3]
    assert math.isnan(class_iou(matrix)[2])
    assert mean_iou(matrix) == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert accuracy(matrix) == 3 / 4
    assert summary(metric) | {"miou": 0} == {"images": 1, "pixels": 4, "void_pixels": 1, "accuracy": 3 / 4, "miou": 0}


def test_a_class_that_is_only_predicted_counts_as_zero():
    assert class_iou(torch.tensor([[3, 1], [0, 0]])).tolist() == [0.75, 0.0]


@pytest.mark.parametrize("at_once", [confusion.AT_ONCE, 10])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16])
def test_the_mean_is_torchmetrics_jaccard_index(monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, at_once: int):
    monkeypatch.setattr(confusion, "AT_ONCE", at_once)
    generator = torch.Generator().manual_seed(0)
    ours, theirs = ConfusionMatrix(7, VOID), MulticlassJaccardIndex(7, average="macro", ignore_index=VOID)
    pixels = MulticlassAccuracy(7, average="micro", ignore_index=VOID)
    for _ in range(5):
        logits = torch.randn(2, 7, 9, 11, generator=generator)
        truth = torch.randint(0, 8, (2, 9, 11), generator=generator)
        truth[truth == 7] = VOID
        ours.update(logits.argmax(1), truth.to(dtype))
        theirs.update(logits, truth)
        pixels.update(logits, truth)
    assert mean_iou(ours.compute()) == pytest.approx(float(theirs.compute()), abs=1e-6)
    assert accuracy(ours.compute()) == pytest.approx(float(pixels.compute()), abs=1e-6)


def test_batches_and_merging_change_nothing():
    prediction, truth = torch.randint(0, 4, (2, 6, 5, 5))
    whole, parts = ConfusionMatrix(4, VOID), ConfusionMatrix(4, VOID)
    whole.update(prediction, truth)
    for i in range(6):
        parts.update(prediction[i : i + 1], truth[i : i + 1])
    assert torch.equal(whole.compute(), parts.compute())
    assert int(parts.images) == 6


def test_void_that_follows_the_last_class_is_left_out():
    metric = ConfusionMatrix(2, 2)
    metric.update(torch.zeros(1, 1, 3, dtype=torch.long), torch.tensor([[[0, 1, 2]]]))
    assert metric.compute().tolist() == [[1, 0], [1, 0]]
    assert int(metric.void_pixels) == 1


def test_counts_are_exact_beyond_what_float32_holds():
    metric = ConfusionMatrix(2, VOID)
    metric.matrix += 2**24  # what 16.8 million updates would leave
    metric.update(*torch.zeros(2, 1, 1, 1, dtype=torch.long))
    assert int(metric.compute()[0, 0]) == 2**24 + 1


def test_nothing_counted_is_undefined_and_not_zero():
    metric = ConfusionMatrix(2, VOID)
    metric.update(torch.zeros(1, 2, 2, dtype=torch.long), torch.full((1, 2, 2), VOID))
    assert math.isnan(mean_iou(metric.compute()))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_output_that_is_not_finite_is_an_error(value: float):
    metric = ConfusionMatrix(2, VOID)
    logits = torch.zeros(1, 2, 4, 4)
    logits[0, 1, 2, 3] = value
    metric.update(*torch.zeros(2, 1, 4, 4, dtype=torch.long))
    metric.note_broken(logits.bfloat16())
    with pytest.raises(ValueError, match="not finite"):
        metric.compute()


def test_scores_per_class():
    scores = class_scores(torch.tensor([[2, 2], [1, 5]]))
    assert scores["precision"].tolist() == [2 / 3, 5 / 7]
    assert scores["recall"].tolist() == [1 / 2, 5 / 6]
    assert scores["dice"].tolist() == [4 / 7, 10 / 13]
    assert scores["pixels"].tolist() == [4, 6]


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_the_most_likely_class_is_the_first_of_equal_ones_as_numpy_has_it(
    kind: torch.dtype, order: torch.memory_format
):
    logits = torch.randint(0, 4, (2, 11, 30, 41)).to(kind).contiguous(memory_format=order)
    logits[0, 3, :5], logits[0, 7, 2:9] = math.nan, math.inf
    expected = logits.float().numpy().argmax(1)
    assert torch.equal(most_likely(logits), torch.from_numpy(expected))
    assert torch.equal(most_likely(logits[0], 0), torch.from_numpy(expected[0]))
