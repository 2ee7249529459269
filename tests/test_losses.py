import pytest
import torch
from torch.nn import functional as F

from segtrain.losses import CrossEntropy, class_weights

VOID = 9


def loss(weights: list[float] | None = None, smoothing: float = 0.0) -> CrossEntropy:
    return CrossEntropy(weights=weights, label_smoothing=smoothing, ignore_index=VOID)


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    mask = torch.randint(0, 4, (2, 5, 6), generator=generator)
    mask[mask == 3] = VOID
    return torch.randn(2, 3, 5, 6, generator=generator), mask


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_ratio_is_pytorchs_mean_over_valid_pixels(batch: tuple[torch.Tensor, torch.Tensor], smoothing: float):
    logits, mask = batch
    numerator, denominator = loss(smoothing=smoothing)(logits, mask.to(torch.uint8))
    expected = F.cross_entropy(logits, mask, ignore_index=VOID, label_smoothing=smoothing)
    torch.testing.assert_close(numerator / denominator, expected)
    assert denominator == (mask != VOID).sum()


def test_weights_enter_the_numerator_alone(batch: tuple[torch.Tensor, torch.Tensor]):
    logits, mask = batch
    numerator, denominator = loss([1.0, 2.0, 3.0])(logits, mask)
    each = F.cross_entropy(logits, mask, ignore_index=VOID, reduction="none")
    torch.testing.assert_close(numerator, (each * torch.tensor([1.0, 2, 3, 0, 0, 0, 0, 0, 0, 0])[mask]).sum())
    assert denominator == (mask != VOID).sum()


def test_an_all_void_batch_is_exactly_zero_with_zero_gradients(batch: tuple[torch.Tensor, torch.Tensor]):
    logits = batch[0].requires_grad_()
    numerator, denominator = loss([1.0, 2.0, 3.0], 0.1)(logits, torch.full((2, 5, 6), VOID))
    numerator.backward()
    assert (numerator.item(), denominator.item()) == (0.0, 0.0)
    assert logits.grad is not None
    assert int(logits.grad.count_nonzero()) == 0


def test_half_precision_logits_are_summed_in_float32(batch: tuple[torch.Tensor, torch.Tensor]):
    logits, mask = batch
    assert loss()(logits.bfloat16(), mask)[0].dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_a_loss_whose_weights_were_converted_computes_in_float32(
    batch: tuple[torch.Tensor, torch.Tensor], dtype: torch.dtype
):
    logits, mask = batch
    converted = loss([1.0, 2.0, 3.0]).to(dtype)  # as Lightning does for bf16-true, 16-true and 64-true
    total, pixels = converted(logits.to(dtype), mask.to(torch.uint8))
    assert (total.dtype, pixels.dtype) == (torch.float32, torch.float32)
    torch.testing.assert_close(total, loss([1.0, 2.0, 3.0])(logits.to(dtype), mask)[0])


def test_memory_format_changes_nothing(batch: tuple[torch.Tensor, torch.Tensor]):
    logits, mask = batch
    channels_last = logits.to(memory_format=torch.channels_last)
    assert torch.equal(loss()(logits, mask)[0], loss()(channels_last, mask)[0])


def test_smoothing_beyond_its_range_is_refused():
    with pytest.raises(ValueError, match=r"loss.label_smoothing=1.0"):
        loss(smoothing=1.0)


def test_weights_by_frequency():
    pixels = torch.tensor([10, 30, 60])
    inverse = torch.tensor(class_weights(pixels, "inverse"))
    torch.testing.assert_close(inverse, torch.tensor([10 / 3, 10 / 9, 5 / 9]))
    torch.testing.assert_close(torch.tensor(class_weights(pixels, "median_frequency")), torch.tensor([3.0, 1.0, 0.5]))
    root = torch.tensor(class_weights(pixels, "sqrt"))
    torch.testing.assert_close(root / root[2], torch.tensor([6.0, 2.0, 1.0]).sqrt())
    for weights in (inverse, root):
        torch.testing.assert_close((weights * pixels).sum() / 100, torch.tensor(1.0))


def test_a_class_without_pixels_weighs_as_much_as_the_rarest():
    weights = class_weights(torch.tensor([10, 0, 90]), "inverse")
    assert weights[1] == weights[0]


def test_an_unknown_rule_is_refused():
    with pytest.raises(ValueError, match=r"loss.weights=rare: expected null, inverse, sqrt, median_frequency"):
        class_weights(torch.tensor([1, 2]), "rare")
