import pytest
import torch
from torch import Tensor

from segtrain.losses import Dice, Lovasz, Tversky

smp = pytest.importorskip("segmentation_models_pytorch")
VOID = 9


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    """Three images of four classes, of which the second one holds two and the third one none."""
    generator = torch.Generator().manual_seed(0)
    mask = torch.randint(0, 4, (3, 5, 6), generator=generator)
    mask[1] %= 2
    mask[torch.rand(mask.shape, generator=generator) < 0.2] = VOID
    mask[2] = VOID
    return torch.randn(3, 4, 5, 6, generator=generator), mask


def present(mask: Tensor) -> list[int]:
    return [value for value in mask.unique().tolist() if value != VOID]


def test_dice_is_that_of_segmentation_models_pytorch_image_by_image(batch: tuple[Tensor, Tensor]):
    logits, mask = batch
    expected = 0.0
    for i in range(2):
        dice = smp.losses.DiceLoss("multiclass", classes=present(mask[i]), smooth=1.0, ignore_index=VOID)
        expected += dice(logits[i : i + 1], mask[i : i + 1]).item()
    loss = Dice(smooth=1.0, ignore_index=VOID)
    assert loss(logits, mask).item() == pytest.approx(expected, rel=1e-5)
    assert loss.count(mask).tolist() == [2]


def test_tversky_is_that_of_segmentation_models_pytorch_image_by_image(batch: tuple[Tensor, Tensor]):
    logits, mask = batch
    expected = 0.0
    for i in range(2):
        theirs = smp.losses.TverskyLoss(
            "multiclass", classes=present(mask[i]), smooth=0.5, ignore_index=VOID, alpha=0.3, beta=0.7
        )
        expected += theirs(logits[i : i + 1], mask[i : i + 1]).item()
    loss = Tversky(alpha=0.3, beta=0.7, smooth=0.5, ignore_index=VOID)
    assert loss(logits, mask).item() == pytest.approx(expected, rel=1e-5)


def test_lovasz_is_that_of_segmentation_models_pytorch_image_by_image(batch: tuple[Tensor, Tensor]):
    logits, mask = batch
    theirs = smp.losses.LovaszLoss("multiclass", per_image=True, ignore_index=VOID)
    expected = 2 * theirs(logits[:2], mask[:2]).item()
    assert Lovasz(ignore_index=VOID)(logits, mask).item() == pytest.approx(expected, rel=1e-5)


def test_lovasz_of_a_certain_answer_is_one_minus_its_iou():
    mask = torch.tensor([[[0, 0, 0, 1, 1, 1]]])
    answer = torch.tensor([[[0, 0, 1, 1, 1, 1]]])
    logits = 100 * torch.nn.functional.one_hot(answer, 2).permute(0, 3, 1, 2).float()
    expected = ((1 - 2 / 3) + (1 - 3 / 4)) / 2
    assert Lovasz(ignore_index=None)(logits, mask).item() == pytest.approx(expected)


def test_dice_of_a_certain_answer_is_one_minus_its_dice():
    mask = torch.tensor([[[0, 0, 0, 1, 1, 1]]])
    answer = torch.tensor([[[0, 0, 1, 1, 1, 1]]])
    logits = 100 * torch.nn.functional.one_hot(answer, 2).permute(0, 3, 1, 2).float()
    expected = ((1 - 4 / 5) + (1 - 6 / 7)) / 2
    assert Dice(smooth=1e-6, ignore_index=None)(logits, mask).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"alpha": -1, "beta": 1, "smooth": 1}, "loss.alpha=-1: expected 0 or more"),
        ({"alpha": 1, "beta": float("inf"), "smooth": 1}, "loss.beta=inf"),
        ({"alpha": 1, "beta": 1, "smooth": 0}, "loss.smooth=0: expected a number above 0"),
    ],
)
def test_settings_beyond_their_range_are_refused(settings: dict[str, float], message: str):
    with pytest.raises(ValueError, match=message):
        Tversky(**settings, ignore_index=None)
