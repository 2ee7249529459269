import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from segtrain.metrics import sizes
from segtrain.metrics.sizes import SizeCounts, iou_of, regions_of, size_counts

VOID = 255
SMALL, MEDIUM, LARGE = 0, 1, 2


def blobs(height: int, width: int, classes: int, seed: int, sigma: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return ndimage.gaussian_filter(rng.normal(size=(classes, height, width)), (0, sigma, sigma)).argmax(0)


@pytest.mark.parametrize(("height", "width", "sigma"), [(60, 80, 0), (60, 80, 1), (90, 40, 3), (1, 50, 1), (50, 1, 1)])
def test_regions_are_those_of_scipy(height: int, width: int, sigma: float) -> None:
    classes = blobs(height, width, 3, seed=1, sigma=sigma)
    regions = regions_of(classes)
    region_of = regions.labels[regions.starts.cumsum().reshape(classes.shape) - 1]
    assert np.array_equal(regions.classes[region_of], classes)
    assert regions.areas.sum() == classes.size
    numbers = 0
    for c in range(3):
        labels, number = ndimage.label(classes == c, np.ones((3, 3)))
        numbers += number
        pairs = np.unique(np.stack([labels, region_of], -1)[classes == c], axis=0)
        assert len(pairs) == number  # each of ours is one of theirs
    assert numbers == len(regions.areas)


def one_by_one(prediction: np.ndarray, mask: np.ndarray, classes: int) -> list:
    """The same counts, object by object and region by region."""
    prediction = np.where(mask == VOID, VOID, prediction)
    counts = np.zeros((classes, 3, 4), int)
    for c in range(classes):
        objects, number = ndimage.label(mask == c, np.ones((3, 3)))
        for i in range(1, number + 1):
            area, found = (objects == i).sum(), ((objects == i) & (prediction == c)).sum()
            counts[c, size_of(area)] += [found, area - found, 0, 1]
        regions, number = ndimage.label(prediction == c, np.ones((3, 3)))
        for i in range(1, number + 1):
            touched = np.bincount(objects[(regions == i) & (objects > 0)], minlength=1)
            area = (objects == touched.argmax()).sum() if touched.any() else (regions == i).sum()
            counts[c, size_of(area), 2] += (regions == i).sum() - touched.sum()
    return counts.tolist()


def size_of(area: int) -> int:
    return SMALL if area < 1024 else MEDIUM if area < 9216 else LARGE


@pytest.mark.parametrize("at_once", [sizes.AT_ONCE, 240 * 7, 1])
@pytest.mark.parametrize(("sigma", "seed"), [(0, 1), (4, 2), (12, 3), (30, 4)])
def test_the_counts_are_those_of_the_definition(
    monkeypatch: pytest.MonkeyPatch, sigma: float, seed: int, at_once: int
) -> None:
    monkeypatch.setattr(sizes, "AT_ONCE", at_once)
    mask = blobs(200, 240, 3, seed, sigma)
    prediction = np.where(np.arange(240) < 120, mask, blobs(200, 240, 3, seed + 10, sigma))
    mask[50:80, 60:200] = VOID
    counts = size_counts(prediction.astype(np.int32), mask.astype(np.int32), 3, VOID)
    assert counts.tolist() == one_by_one(prediction, mask, 3)


def test_two_images_by_hand() -> None:
    """In the first, a square of 40 x 40 is found but for its last row, and predicted two columns too wide; a speck of
    four pixels is alone. In the second, an object of 5 x 5 pixels is missed, and a region of 100 x 100 is wrong."""
    metric = SizeCounts(2, VOID)
    mask, prediction = torch.zeros(2, 120, 120, dtype=torch.uint8), torch.zeros(2, 120, 120, dtype=torch.int64)
    mask[0, 10:50, 10:50] = 1
    prediction[0, 10:49, 10:52] = 1
    prediction[0, 90:92, 90:92] = 1
    mask[1, 112:117, 112:117] = 1
    prediction[1, 5:105, 5:105] = 1
    for predicted, truth in zip(prediction, mask, strict=True):
        metric.update(metric.of(predicted, truth))
    counts = metric.compute()
    assert counts[1].tolist() == [[0, 25, 4, 1], [39 * 40, 40, 39 * 2, 1], [0, 0, 10_000, 0]]
    iou = iou_of(counts)[1].tolist()
    assert iou[:2] == [0, 39 * 40 / (40 * 40 + 39 * 2)]
    assert math.isnan(iou[LARGE])  # there is none


def test_what_is_wrong_goes_to_the_object_that_has_most_of_the_region() -> None:
    mask, prediction = np.zeros((50, 200), np.int32), np.zeros((50, 200), np.int32)
    mask[0:40, 0:40] = 1  # medium
    mask[0:40, 50:55] = 1  # small
    prediction[0:20, 20:60] = 1
    counts = size_counts(prediction, mask, 2, VOID)
    assert counts[1, SMALL].tolist() == [100, 100, 0, 1]
    assert counts[1, MEDIUM].tolist() == [400, 1200, 20 * 15, 1]


def test_what_touches_over_a_corner_is_one_object() -> None:
    mask = np.zeros((80, 80), np.int32)
    mask[0:30, 0:30], mask[30:60, 30:60] = 1, 1
    assert size_counts(mask, mask, 2, VOID)[1].tolist() == [[0, 0, 0, 0], [1800, 0, 0, 1], [0, 0, 0, 0]]


def test_void_is_neither_object_nor_prediction() -> None:
    mask, prediction = np.full((40, 40), VOID, np.int32), np.ones((40, 40), np.int32)
    assert not size_counts(prediction, mask, 2, VOID).any()
    mask[:, :10] = 1
    assert size_counts(prediction, mask, 2, VOID)[1, SMALL].tolist() == [400, 0, 0, 1]
