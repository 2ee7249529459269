import numpy as np
import pytest

from segtrain.report.intervals import intervals
from segtrain.report.per_image import PerImage

NAMES = ("road", "car", "sign")


def images_of(matrices: np.ndarray, groups: list[str] | None = None) -> PerImage:
    """Of confusion matrices (images, classes, classes)."""
    image, truth, prediction = matrices.nonzero()
    classes = matrices.shape[1]
    pixels = matrices[image, truth, prediction]
    cells = np.column_stack([image, truth * classes + prediction, pixels])
    return PerImage([f"{i}" for i in range(len(matrices))], NAMES[:classes], cells, groups)


def drawn(rng: np.random.Generator, number: int) -> np.ndarray:
    """(number, 3, 3): images in which classes have other shares and are found more or less often."""
    pixels = rng.multinomial(1000, [0.7, 0.25, 0.05], number)
    pixels = pixels * (rng.random((number, 3)) < [1, 0.8, 0.5])  # the rare class is in every second image
    quality = np.clip(rng.normal([0.9, 0.7, 0.5], 0.15, (number, 3)), 0, 1)
    found = rng.binomial(pixels, quality)
    matrices = np.zeros((number, 3, 3), np.int64)
    for truth in range(3):
        matrices[:, truth, truth] = found[:, truth]
        matrices[:, truth, (truth + 1) % 3] = pixels[:, truth] - found[:, truth]
    return matrices


def scores(matrices: np.ndarray) -> np.ndarray:
    """(classes + 1,): the IoU of each class over all images together, and the mean."""
    whole = matrices.sum(0)
    hits = whole.diagonal()
    iou = hits / (whole.sum(0) + whole.sum(1) - hits)
    return np.append(iou, iou.mean())


@pytest.mark.slow
def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    truth = scores(drawn(rng, 400_000))
    covered = np.zeros(4)
    for seed in range(500):
        found = intervals(images_of(drawn(rng, 200)), seed=seed)
        for i, interval in enumerate([*found.classes, found.miou]):
            covered[i] += interval.low <= truth[i] <= interval.high
    assert (covered >= 0.92 * 500).all(), covered / 500
    assert (covered <= 0.97 * 500).all(), covered / 500


def test_images_that_are_all_alike_leave_no_doubt():
    matrices = np.repeat(np.array([[[90, 10], [5, 95]]]), 60, axis=0)
    found = intervals(images_of(matrices))
    assert list(found.miou) == pytest.approx([scores(matrices)[-1]] * 2)
    assert (found.drawn, found.doubts) == (60, [])


def test_the_interval_is_that_of_a_plain_bootstrap():
    matrices = drawn(np.random.default_rng(1), 80)
    found = intervals(images_of(matrices))
    rng = np.random.default_rng(2)
    plain = [scores(matrices[rng.integers(0, 80, 80)]) for _ in range(4000)]
    expected = np.quantile(plain, [0.025, 0.975], axis=0)
    assert np.array([*found.classes, found.miou]) == pytest.approx(expected.T, abs=0.004)


def test_images_of_a_group_are_drawn_together():
    matrices = drawn(np.random.default_rng(3), 60)
    often = np.repeat(matrices, 4, axis=0)
    alone, grouped = intervals(images_of(often)), intervals(images_of(often, [f"{i // 4:03}" for i in range(240)]))
    assert grouped.drawn == 60
    assert list(grouped.miou) == pytest.approx(list(intervals(images_of(matrices)).miou))
    assert grouped.miou.high - grouped.miou.low > 1.5 * (alone.miou.high - alone.miou.low)


def test_few_images_and_rare_classes_are_doubts():
    assert intervals(images_of(drawn(np.random.default_rng(4), 49))).doubts == ["only 49 images"]
    matrices = drawn(np.random.default_rng(4), 60)
    matrices[19:, 2] = 0
    assert intervals(images_of(matrices)).doubts == ["fewer than 20 images have sign"]
    grouped = intervals(images_of(drawn(np.random.default_rng(4), 60), [f"{i // 10}" for i in range(60)]))
    assert grouped.doubts == ["only 6 groups of images"]
    matrices = drawn(np.random.default_rng(4), 240)
    matrices[57:, 2] = 0
    assert intervals(images_of(matrices)).doubts == []
    grouped = intervals(images_of(matrices, [f"{i // 3:03}" for i in range(240)]))
    assert grouped.doubts == ["fewer than 20 groups have sign"]


def test_a_class_that_never_occurs_has_no_interval():
    matrices = drawn(np.random.default_rng(5), 60)
    matrices[:, 2], matrices[:, :, 2] = 0, 0
    found = intervals(images_of(matrices))
    assert np.isnan(found.classes[2]).all()
    assert not np.isnan(found.miou).any()


def test_images_that_are_all_void_have_no_interval():
    cells = np.array([[0, 9, 50], [1, 9, 20]])
    found = intervals(PerImage(["a", "b"], NAMES, cells))
    assert np.isnan([found.miou, *found.classes]).all()
