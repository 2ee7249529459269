import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import sigmoid_focal_loss

from segtrain.losses import OHEM, BoundaryCrossEntropy, CrossEntropy, Focal

VOID = 9
Batch = tuple[Tensor, Tensor]


def cross_entropy(weights: list[float] | None = None, smoothing: float = 0.0) -> CrossEntropy:
    return CrossEntropy(weights=weights, label_smoothing=smoothing, ignore_index=VOID)


@pytest.fixture
def batch() -> Batch:
    generator = torch.Generator().manual_seed(0)
    mask = torch.randint(0, 4, (2, 5, 6), generator=generator)
    mask[mask == 3] = VOID
    return torch.randn(2, 3, 5, 6, generator=generator), mask


def each(logits: Tensor, mask: Tensor) -> Tensor:
    return F.cross_entropy(logits, mask, ignore_index=VOID, reduction="none")


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_mean_is_pytorchs_over_valid_pixels(batch: Batch, smoothing: float):
    logits, mask = batch
    loss = cross_entropy(smoothing=smoothing)
    expected = F.cross_entropy(logits, mask, ignore_index=VOID, label_smoothing=smoothing)
    torch.testing.assert_close(loss(logits, mask.to(torch.uint8)) / loss.count(mask), expected[None])
    assert loss.count(mask.to(torch.uint8)).tolist() == [(mask != VOID).sum()]


def test_weights_enter_the_sum_alone(batch: Batch):
    logits, mask = batch
    loss = cross_entropy([1.0, 2.0, 3.0])
    factors = torch.tensor([1.0, 2, 3, 0, 0, 0, 0, 0, 0, 0])[mask]
    torch.testing.assert_close(loss(logits, mask), (each(logits, mask) * factors).sum()[None])
    assert loss.count(mask).tolist() == [(mask != VOID).sum()]


def test_a_rule_without_data_is_refused():
    with pytest.raises(ValueError, match=r"loss.weights=sqrt: without data, expected one number per class"):
        CrossEntropy(weights="sqrt", label_smoothing=0.0, ignore_index=None)


def test_smoothing_beyond_its_range_is_refused():
    with pytest.raises(ValueError, match=r"loss.label_smoothing=1.0"):
        cross_entropy(smoothing=1.0)


def of_probabilities(*probabilities: float) -> Tensor:
    """Logits (1, 2, 1, pixels) that give class 0 these probabilities."""
    p = torch.tensor(probabilities)
    return torch.stack([p.log(), (1 - p).log()])[None, :, None]


def test_of_hard_pixels_those_below_the_threshold_count():
    logits = of_probabilities(0.9, 0.6, 0.5, 0.8)
    loss = OHEM(weights=None, threshold=0.7, kept=0.0, ignore_index=VOID)
    expected = -math.log(0.6) - math.log(0.5)
    assert loss(logits, torch.zeros(1, 1, 4)).item() == pytest.approx(expected)
    assert loss.count(torch.zeros(1, 1, 4)).item() == 4


def test_of_hard_pixels_a_share_of_the_valid_ones_counts_in_any_case():
    logits = of_probabilities(0.9, 0.8, 0.95, 0.99, 0.1)
    mask = torch.tensor([[[0, 0, 0, 0, VOID]]])
    loss = OHEM(weights=None, threshold=0.5, kept=0.3, ignore_index=VOID)  # 1.2 of 4: two
    assert loss(logits, mask).item() == pytest.approx(-math.log(0.8) - math.log(0.9))


def test_all_pixels_are_hard_where_all_are_kept(batch: Batch):
    loss = OHEM(weights=[1.0, 2.0, 3.0], threshold=0.0, kept=1.0, ignore_index=VOID)
    torch.testing.assert_close(loss(*batch), cross_entropy([1.0, 2.0, 3.0])(*batch))


@pytest.mark.parametrize("gamma", [1.0, 2.0, 3.5])
def test_focal_loss_of_two_classes_is_torchvisions(gamma: float):
    generator = torch.Generator().manual_seed(0)
    logits, mask = torch.randn(2, 2, 5, 6, generator=generator), torch.randint(0, 2, (2, 5, 6), generator=generator)
    expected = sigmoid_focal_loss(logits[:, 1] - logits[:, 0], mask.float(), alpha=-1, gamma=gamma, reduction="sum")
    torch.testing.assert_close(Focal(weights=None, gamma=gamma, ignore_index=None)(logits, mask), expected[None])


def test_focal_loss_without_focus_is_cross_entropy(batch: Batch):
    loss = Focal(weights=[1.0, 2.0, 3.0], gamma=0.0, ignore_index=VOID)
    torch.testing.assert_close(loss(*batch), cross_entropy([1.0, 2.0, 3.0])(*batch))


def test_pixels_near_another_class_count_more():
    mask = torch.tensor([[[0, 0, 0, 1, 1, 1, VOID, 0]]])
    loss = BoundaryCrossEntropy(weights=None, factor=3.0, width=1, ignore_index=VOID)
    assert loss.near_boundary(mask)[0, 0].tolist() == [False, False, True, True, False, False, False, False]
    total = loss(torch.zeros(1, 2, 1, 8), mask)
    assert total.item() == pytest.approx((5 + 2 * 3) * math.log(2))


def test_a_wider_band_reaches_across_void():
    mask = torch.tensor([[[1, VOID, 0, 0]]])
    loss = BoundaryCrossEntropy(weights=None, factor=3.0, width=2, ignore_index=VOID)
    assert loss.near_boundary(mask)[0, 0].tolist() == [True, False, True, False]


def test_a_factor_of_one_is_cross_entropy(batch: Batch):
    loss = BoundaryCrossEntropy(weights=None, factor=1.0, width=2, ignore_index=VOID)
    torch.testing.assert_close(loss(*batch), cross_entropy()(*batch))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: OHEM(weights=None, threshold=1.5, kept=0.1, ignore_index=None), "loss.threshold=1.5: expected 0 to 1"),
        (lambda: OHEM(weights=None, threshold=0.5, kept=-1, ignore_index=None), "loss.kept=-1: expected 0 to 1"),
        (lambda: Focal(weights=None, gamma=0.5, ignore_index=None), "loss.gamma=0.5: expected 0, or 1 or more"),
        (lambda: BoundaryCrossEntropy(weights=None, factor=-1, width=1, ignore_index=None), "loss.factor=-1"),
        (lambda: BoundaryCrossEntropy(weights=None, factor=1, width=0, ignore_index=None), "loss.width=0"),
    ],
)
def test_settings_beyond_their_range_are_refused(make: object, message: str):
    assert callable(make)
    with pytest.raises(ValueError, match=message):
        make()
