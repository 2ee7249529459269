import math

import pytest
import torch
from torch import Tensor
from torchmetrics.classification import MulticlassCalibrationError

from segtrain.metrics.calibration import (
    BINS,
    FINE,
    UNIT,
    ConfidenceCounts,
    accuracy_without,
    calibration_error,
    reliability,
)

VOID = 255


@pytest.mark.parametrize("spread", [0.5, 2.0, 8.0])
def test_the_error_is_torchmetrics(spread: float) -> None:
    generator = torch.Generator().manual_seed(0)
    ours = ConfidenceCounts(VOID)
    theirs = MulticlassCalibrationError(5, n_bins=BINS, norm="l1", ignore_index=VOID)
    for _ in range(3):
        probabilities = (spread * torch.randn(1, 5, 40, 50, generator=generator)).softmax(1)
        mask = torch.where(torch.rand(1, 40, 50, generator=generator) < 0.5, probabilities.argmax(1), 2)
        mask[:, :3] = VOID
        ours.update(probabilities.amax(1), probabilities.argmax(1), mask)
        theirs.update(probabilities, mask)
    assert calibration_error(ours.compute()) == pytest.approx(float(theirs.compute()), abs=1e-5)


def counted(*pixels: tuple[float, bool]) -> Tensor:
    """Counts of pixels (probability of the answer, whether it is right)."""
    metric = ConfidenceCounts(VOID)
    confidence, right = zip(*pixels, strict=True)
    metric.update(torch.tensor([[confidence]]), torch.tensor([[right]]).long(), torch.ones(1, 1, len(right)))
    return metric.compute()


def test_an_error_by_hand() -> None:
    """Of two pixels at 0.6, one is right; the two at 1 are right."""
    counts = counted((0.6, True), (0.6, False), (1.0, True), (1.0, True))
    assert calibration_error(counts) == pytest.approx(0.05)
    pixels, right, confidence = reliability(counts)
    assert (pixels[12], right[12], confidence[12]) == (2, 0.5, pytest.approx(0.6))
    assert (pixels[-1], right[-1], confidence[-1]) == (2, 1, 1)
    assert math.isnan(right[0])
    assert pixels.sum() == 4


def test_sums_do_not_depend_on_order() -> None:
    pixels = [(number / 97, number % 3 == 0) for number in range(97)]
    counts = counted(*pixels)
    assert torch.equal(counts, counted(*pixels[::-1]))
    assert torch.equal(counts, counted(*pixels[:40]) + counted(*pixels[40:]))
    assert counts[2].sum() == sum(round(UNIT * torch.tensor(share).item()) for share, _ in pixels)


def test_accuracy_without_the_least_sure() -> None:
    """Ten pixels: at 0.25 two wrong ones, at 0.5 one of two, at 0.75 six right ones."""
    counts = counted(*[(0.25, False)] * 2, (0.5, True), (0.5, False), *[(0.75, True)] * 6)
    assert accuracy_without(counts, 0) == (0.7, pytest.approx(0.25, abs=1 / FINE))
    assert accuracy_without(counts, 0.2) == (pytest.approx(7 / 8), pytest.approx(0.5, abs=1 / FINE))
    assert accuracy_without(counts, 0.3)[0] == pytest.approx(6.5 / 7)  # half of the bin, half right
    assert accuracy_without(counts, 0.5) == (1, pytest.approx(0.75, abs=1 / FINE))


def test_void_counts_nowhere_and_nothing_is_undefined() -> None:
    metric = ConfidenceCounts(VOID)
    metric.update(torch.rand(1, 4, 4), torch.zeros(1, 4, 4), torch.full((1, 4, 4), VOID))
    assert not metric.compute().any()
    assert math.isnan(calibration_error(metric.compute()))
    assert all(map(math.isnan, accuracy_without(metric.compute(), 0.1)))
