"""What every loss keeps to, whichever it is."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segtrain.losses import OHEM, BoundaryCrossEntropy, CrossEntropy, Dice, Focal, Lovasz, Sum, Tversky
from segtrain.losses.contract import MeanOf, as_loss, mean_loss

VOID = 255
Make = Callable[[list[float] | None], Any]


def summed(weights: list[float] | None) -> Sum:
    parts = {"cross_entropy": partial(CrossEntropy, label_smoothing=0.1), "dice": partial(Dice, smooth=1.0)}
    return Sum(factors={"cross_entropy": 0.5, "dice": 2.0}, weights=weights, ignore_index=VOID, parts=parts)


LOSSES: dict[str, Make] = {
    "cross_entropy": lambda weights: CrossEntropy(weights=weights, label_smoothing=0.1, ignore_index=VOID),
    "ohem": lambda weights: OHEM(weights=weights, threshold=0.7, kept=0.1, ignore_index=VOID),
    "focal": lambda weights: Focal(weights=weights, gamma=2.0, ignore_index=VOID),
    "boundary": lambda weights: BoundaryCrossEntropy(weights=weights, factor=3.0, width=1, ignore_index=VOID),
    "dice": lambda _: Dice(smooth=1.0, ignore_index=VOID),
    "tversky": lambda _: Tversky(alpha=0.3, beta=0.7, smooth=1.0, ignore_index=VOID),
    "lovasz": lambda _: Lovasz(ignore_index=VOID),
    "sum": summed,
    "torch": lambda _: MeanOf(nn.CrossEntropyLoss(label_smoothing=0.1), void=VOID),
}
every = pytest.mark.parametrize("make", LOSSES.values(), ids=LOSSES)


def images(number: int, classes: int = 3, size: int = 4, kind: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Logits and masks whose shares of void differ from image to image."""
    generator = torch.Generator().manual_seed(0)
    mask = torch.randint(0, classes, (number, size, size), generator=generator)
    share = torch.linspace(0.1, 0.7, number)[:, None, None]
    mask[torch.rand(mask.shape, generator=generator) < share] = VOID
    return torch.randn(number, classes, size, size, generator=generator).to(kind), mask.to(
        torch.uint8 if classes <= VOID else torch.int16
    )


class WithoutTerms(nn.Module):
    """A loss that counts, but does not say how many sums it gives."""

    def count(self, mask: Tensor) -> Tensor:
        return (mask != VOID).sum().float()[None]

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        return F.cross_entropy(logits, mask.long(), ignore_index=VOID, reduction="sum")[None]


@every
def test_the_gradient_is_that_of_finite_differences(make: Make):
    logits, mask = images(2, kind=torch.float64)
    loss = make([1.0, 2.0, 0.5])
    assert torch.autograd.gradcheck(lambda x: loss(x, mask), logits.requires_grad_())


@every
@pytest.mark.parametrize("kind", [torch.float32, torch.float16, torch.bfloat16])
def test_an_all_void_batch_is_exactly_zero_with_zero_gradients(make: Make, kind: torch.dtype):
    logits, mask = images(2, kind=kind)
    loss = make([1.0, 2.0, 0.5])
    sums, counts = loss(logits.requires_grad_(), mask.fill_(VOID)), loss.count(mask)
    assert (sums.tolist(), counts.tolist()) == ([0.0] * loss.terms, [0.0] * loss.terms)
    total = mean_loss(sums, counts)
    total.backward()
    assert total == 0
    assert logits.grad is not None
    assert int(logits.grad.count_nonzero()) == 0


@every
@pytest.mark.parametrize("pieces", [2, 3, 6])
def test_sums_and_counts_of_pieces_add_up_to_those_of_the_batch(make: Make, pieces: int):
    logits, mask = images(6)
    loss = make([1.0, 2.0, 0.5])
    parts = list(zip(logits.chunk(pieces), mask.chunk(pieces), strict=True))
    torch.testing.assert_close(sum(loss(*part) for part in parts), loss(logits, mask))
    assert torch.equal(sum(loss.count(part) for _, part in parts), loss.count(mask))


@every
@pytest.mark.parametrize(("classes", "size"), [(1, 3), (3, 1), (1000, 5)])
def test_one_class_one_pixel_and_a_thousand_classes_are_finite(make: Make, classes: int, size: int):
    logits, mask = images(3, classes, size)
    mask = mask.to(torch.int16)
    loss = make(None)
    total = mean_loss(loss(logits.requires_grad_(), mask), loss.count(mask))
    total.backward()
    assert total.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@every
def test_certain_logits_are_finite_with_finite_gradients(make: Make):
    logits, mask = images(2)
    logits = (1e4 * logits).requires_grad_()
    make(None)(logits, mask).sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@every
@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_half_precision_is_summed_in_float32(make: Make, kind: torch.dtype):
    logits, mask = images(2, kind=kind)
    loss = make([1.0, 2.0, 0.5])
    halved = make([1.0, 2.0, 0.5])
    if isinstance(halved, nn.Module):
        halved.to(kind)  # as Lightning does for bf16-true and 16-true
    assert halved(logits, mask).dtype == halved.count(mask).dtype == torch.float32
    torch.testing.assert_close(halved(logits, mask), loss(logits.float(), mask))


@every
def test_memory_format_and_the_type_of_the_mask_change_nothing(make: Make):
    logits, mask = images(2)
    loss = make([1.0, 2.0, 0.5])
    other = loss(logits.to(memory_format=torch.channels_last), mask.to(torch.int16))
    assert torch.equal(loss(logits, mask), other)


@every
def test_logits_under_void_have_no_gradient(make: Make):
    logits, mask = images(2)
    make([1.0, 2.0, 0.5])(logits.requires_grad_(), mask).sum().backward()
    assert logits.grad is not None
    assert not logits.grad.transpose(0, 1)[:, mask == VOID].any()


def test_a_sum_has_the_terms_of_its_parts_times_their_factors():
    logits, mask = images(3)
    loss = summed(None)
    expected = torch.cat([0.5 * LOSSES["cross_entropy"](None)(logits, mask), 2 * LOSSES["dice"](None)(logits, mask)])
    torch.testing.assert_close(loss(logits, mask), expected)
    assert loss.count(mask).tolist() == [(mask != VOID).sum(), 3]


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        ({}, "loss.factors names nothing: expected dice"),
        ({"dice": 1.0, "lovasz": 1.0}, "loss.factors names dice, lovasz: expected dice"),
        ({"dice": -1.0}, "loss.factors.dice=-1.0: expected 0 or more"),
    ],
)
def test_a_sum_whose_factors_do_not_fit_is_refused(factors: dict[str, float], message: str):
    with pytest.raises(ValueError, match=message):
        Sum(factors=factors, weights=None, ignore_index=None, parts={"dice": partial(Dice, smooth=1.0)})


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (nn.CrossEntropyLoss, "loss.parts.other: CrossEntropyLoss is no loss of segtrain.losses"),
        (WithoutTerms, "loss.parts.other: WithoutTerms is no loss of segtrain.losses"),
        (
            Dice(smooth=1.0, ignore_index=None),
            "loss.parts.other: expected what makes a loss, with _partial_: true, not a Dice",
        ),
    ],
)
def test_a_sum_takes_what_makes_losses_alone(part: Any, message: str):
    with pytest.raises(ValueError, match=message):
        Sum(factors={"other": 1.0}, weights=None, ignore_index=None, parts={"other": part})


def test_torchs_own_loss_has_torchs_own_mean():
    logits, mask = images(4)
    loss = as_loss(nn.CrossEntropyLoss(), void=VOID, num_classes=3)
    expected = F.cross_entropy(logits, mask.long(), ignore_index=VOID)
    torch.testing.assert_close(mean_loss(loss(logits, mask), loss.count(mask)), expected)


class OneHot(nn.Module):
    """A loss that knows nothing of void."""

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        truth = F.one_hot(target, logits.shape[1]).movedim(-1, 1)
        return (logits.softmax(1) - truth).abs().mean()


class Mistakes(nn.Module):
    """The share of the pixels that are wrong, which has no gradient."""

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return (logits.argmax(1) != target).float().mean()


class PerImage(nn.Module):
    """A sum and a count for each image, in place of one of each."""

    terms = 1

    def count(self, mask: Tensor) -> Tensor:
        return torch.ones(len(mask))

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        return logits.sum((1, 2, 3))


class NeedsPixels(PerImage):
    """A loss that forgets that all of a batch may be void."""

    def count(self, mask: Tensor) -> Tensor:
        return (mask != VOID).sum().float()[None]

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        return logits.amax(1)[mask != VOID].max()[None]


class Choosy(nn.CrossEntropyLoss):
    """A loss that is strict about how it is built."""

    def __init__(self, *, mode: str) -> None:
        assert mode == "multiclass"
        super().__init__()


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (3, "loss: a int cannot be called with logits and mask"),
        (nn.BCELoss(), "loss: BCELoss cannot be computed from logits and mask"),
        (nn.CrossEntropyLoss(reduction="none"), r"loss: CrossEntropyLoss gives sums and counts of shapes"),
        (nn.CrossEntropyLoss(weight=torch.ones(7)), "loss: CrossEntropyLoss cannot be computed"),
        (CrossEntropy(weights=[1.0, 2.0], label_smoothing=0, ignore_index=None), "loss: CrossEntropy cannot be"),
        (OneHot(), r"loss: OneHot cannot be computed from logits and a mask with void pixels \(-100\), which are to"),
        (Mistakes(), r"loss: Mistakes cannot be computed from logits and mask \(.* does not require grad"),
        (PerImage(), r"loss: PerImage gives sums and counts of shapes \(2,\), \(2,\), not \(1,\) each"),
        (NeedsPixels(), "loss: NeedsPixels cannot be computed from logits and a mask that is all void"),
        (WithoutTerms(), "loss: WithoutTerms has `count`, but no `terms`, the number of its sums: see segtrain.losses"),
    ],
)
def test_what_is_no_loss_for_these_classes_is_refused(loss: object, message: str):
    with pytest.raises(ValueError, match=message):
        as_loss(loss, void=VOID, num_classes=3)


@every
def test_each_of_ours_passes_the_trial(make: Make):
    loss = make([1.0, 2.0, 0.5])
    assert as_loss(loss, void=VOID, num_classes=3) is loss


@pytest.mark.parametrize("classes", [1, 300])
def test_void_of_one_class_and_of_more_than_a_byte_holds_is_tried(classes: int):
    void = max(VOID, classes)
    assert as_loss(nn.CrossEntropyLoss(), void=void, num_classes=classes).terms == 1
    with pytest.raises(ValueError, match="a mask with void pixels"):
        as_loss(OneHot(), void=void, num_classes=classes)


@pytest.mark.parametrize("kind", ["DiceLoss", "FocalLoss", "JaccardLoss", "LovaszLoss"])
def test_a_loss_that_ignores_nothing_yet_ignores_void(kind: str):
    make = getattr(pytest.importorskip("segmentation_models_pytorch").losses, kind)
    logits, mask = images(4)
    loss = as_loss(make("multiclass"), void=VOID, num_classes=3)
    expected = make("multiclass", ignore_index=VOID)(logits, mask.long())
    torch.testing.assert_close(mean_loss(loss(logits, mask), loss.count(mask)), expected)
