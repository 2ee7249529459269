import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from segtrain.metrics import boundary, count_pairs
from segtrain.metrics.boundary import BoundaryCounts, boundary_counts, iou_of, reach_of

VOID = 255


def by_erosion(prediction: np.ndarray, mask: np.ndarray, classes: int) -> list[list[list[int]]]:
    """The same counts, class by class, from the definition: a region without what is left of it by erosion."""
    void, reach = mask == VOID, round(0.02 * math.hypot(*mask.shape)) or 1
    counts, away = np.zeros((2, 3, classes), int), np.zeros(mask.shape, bool)
    for c in range(classes):
        inside = ndimage.binary_erosion((mask == c) | void, np.ones((3, 3)), iterations=reach, border_value=0)
        away |= (mask == c) & inside & ~void
    for c in range(classes):
        regions, bands = [], []
        for region in ((mask == c) & ~void, (prediction == c) & ~void):
            inside = ndimage.binary_erosion(region | void, np.ones((3, 3)), iterations=reach, border_value=0)
            regions.append(region)
            bands.append(region & ~inside)
        inner = [region & away for region in regions]
        for place, (truth, predicted) in enumerate((bands, inner)):
            counts[place, :, c] = (truth & predicted).sum(), truth.sum(), predicted.sum()
    return counts.tolist()


def blobs(height: int, width: int, classes: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return ndimage.gaussian_filter(rng.normal(size=(classes, height, width)), (0, 6, 6)).argmax(0)


@pytest.mark.parametrize("at_once", [boundary.AT_ONCE, 1])
@pytest.mark.parametrize(
    ("height", "width", "classes"), [(60, 80, 4), (150, 200, 11), (1, 70, 3), (9, 3, 2), (260, 200, 3), (30, 30, 1)]
)
def test_the_counts_are_those_of_the_definition(
    monkeypatch: pytest.MonkeyPatch, height: int, width: int, classes: int, at_once: int
) -> None:
    monkeypatch.setattr(boundary, "AT_ONCE", at_once)
    mask, prediction = (blobs(height, width, classes, seed) for seed in (1, 2))
    prediction[:, : width // 2] = mask[:, : width // 2]
    mask[height // 3 : height // 2, width // 4 :] = VOID
    truth = torch.from_numpy(mask).to(torch.uint8)
    counts = boundary_counts(torch.from_numpy(prediction), truth, classes, VOID)
    assert counts.dtype == torch.int64
    assert counts.tolist() == by_erosion(prediction, mask, classes)


@pytest.mark.parametrize("classes", [1, 4, 300])
def test_the_six_counts_are_sums_over_pairs(classes: int) -> None:
    """Of random pixels in random bands, each count is also that of the pixels that it chooses."""
    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(0, classes, (2, 5000))
    true_band, predicted_band, known = rng.random((3, 5000)) < 0.7
    agree, inner = truth == predicted, known & ~true_band
    chosen = [
        (truth, agree & known & true_band & predicted_band),
        (truth, known & true_band),
        (predicted, known & predicted_band),
        (truth, agree & inner),
        (truth, inner),
        (predicted, inner),
    ]
    halves = (2 * predicted + predicted_band, np.where(known, 2 * truth + true_band, -1))
    pairs, void_pixels = count_pairs(*map(torch.from_numpy, halves), 2 * classes, void=-1)
    counts = boundary.counts_of_halves(pairs.view(classes, 2, classes, 2))
    expected = [np.bincount(each[pixels], minlength=classes) for each, pixels in chosen]
    assert np.array_equal(counts.flatten(0, 1).numpy(), expected)
    assert void_pixels == (~known).sum()


@pytest.mark.parametrize("classes", [256, 257, 1000])
def test_contours_do_not_depend_on_the_number_of_classes(classes: int) -> None:
    """The last four of many classes, of which up to 256 fit into a byte, are counted as four are."""
    mask, prediction = (torch.from_numpy(blobs(60, 80, 4, seed)) for seed in (1, 2))
    mask[20:30, 20:] = -1
    counts = boundary_counts(prediction, mask, 4, -1)
    others = boundary_counts(prediction + classes - 4, torch.where(mask < 0, -1, mask + classes - 4), classes, -1)
    assert counts.all()
    assert torch.equal(others[..., -4:], counts)
    assert not others[..., :-4].any()


def square(side: int, low: int, high: int) -> Tensor:
    """Class 1 in the rows and columns from low to below high of an image of class 0."""
    mask = torch.zeros(1, side, side, dtype=torch.int64)
    mask[:, low:high, low:high] = 1
    return mask


def test_a_square_that_is_too_small_by_a_pixel_all_around() -> None:
    """Of 10 x 10 pixels, 36 are at the contour, of 8 x 8 there are 28, and none of these lie in the same place. What is
    away from the contour is the same in both."""
    metric = BoundaryCounts(2, VOID)
    metric.update(square(30, 11, 19), square(30, 10, 20))
    near, inner = metric.compute()
    assert reach_of(30, 30) == 1
    assert near[:, 1].tolist() == [0, 36, 28]
    assert inner[:, 1].tolist() == [64, 64, 64]
    assert iou_of(near)[1] == 0
    assert iou_of(inner)[1] == 1


def test_a_hole_far_from_the_contour_is_no_question_of_outlines() -> None:
    """Of 28 x 28 pixels that are away from contours, 4 x 4 are not found."""
    prediction = torch.zeros(30, 30, dtype=torch.int64)
    prediction[13:17, 13:17] = 1
    near, inner = boundary_counts(prediction, torch.zeros(30, 30), 2, VOID)
    assert inner.tolist() == [[768, 0], [784, 0], [768, 16]]
    assert iou_of(inner)[0] == 768 / 784
    assert near[:, 0].tolist() == [116, 116, 116 + 20]  # around the hole there is a predicted contour


def test_the_border_of_an_image_is_a_contour_and_void_is_none() -> None:
    mask = torch.zeros(1, 10, 12, dtype=torch.uint8)
    mask[:, 4:6, 4:8] = VOID
    counts = boundary_counts(torch.zeros(10, 12, dtype=torch.int64), mask[0], 2, VOID)
    border, void = 2 * (10 + 12) - 4, 2 * 4
    assert counts[..., 0].tolist() == [[border] * 3, [120 - border - void] * 3]
    assert iou_of(counts[0]).tolist()[0] == 1
    assert math.isnan(iou_of(counts[0])[1])


@pytest.mark.parametrize(("height", "width", "reach"), [(360, 480, 12), (10, 10, 1), (3000, 4000, 100)])
def test_near_is_two_per_cent_of_the_diagonal(height: int, width: int, reach: int) -> None:
    assert reach_of(height, width) == reach


def test_images_add_up_and_an_image_of_nothing_adds_nothing() -> None:
    metric = BoundaryCounts(2, VOID)
    metric.update(square(30, 11, 19), square(30, 10, 20))
    one = metric.compute().clone()
    metric.update(square(30, 11, 19), torch.full((1, 30, 30), VOID))
    metric.update(torch.cat([square(30, 11, 19)] * 2), torch.cat([square(30, 10, 20)] * 2))
    assert torch.equal(metric.compute(), 3 * one)


@pytest.mark.parametrize("reach", [1, 2, 3, 4, 7, 8, 40])
def test_the_highest_in_a_square(reach: int) -> None:
    numbers = torch.randint(-50, 50, (13, 17)).to(torch.int16)
    expected = ndimage.maximum_filter(numbers.numpy(), 2 * reach + 1, mode="constant", cval=-9)
    assert torch.equal(boundary.highest(numbers, reach, -9), torch.from_numpy(expected))
