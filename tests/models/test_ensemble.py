import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segtrain.models import FCN, Bottleneck, Encoder
from segtrain.models.ensemble import Ensemble, Mirrored, Scaled, resized
from segtrain.runs.temperature import Temperature, soften


class Constant(nn.Module):
    """The same logits for every pixel."""

    def __init__(self, *logits: float) -> None:
        super().__init__()
        self.logits = torch.tensor(logits)

    def forward(self, x: Tensor) -> Tensor:
        return self.logits.view(1, -1, 1, 1).expand(len(x), -1, *x.shape[-2:])


def test_the_answer_is_the_mean_of_the_probabilities_and_not_of_the_logits():
    sure, unsure, other = Constant(math.log(9), 0.0), Constant(0.0, math.log(3)), Constant(0.0, math.log(2))
    together = Ensemble([sure, unsure, other])(torch.zeros(2, 3, 4, 5))
    assert together.shape == (2, 2, 4, 5)
    assert together[0, :, 0, 0].tolist() == pytest.approx([(9 / 10 + 1 / 4 + 1 / 3) / 3, (1 / 10 + 3 / 4 + 2 / 3) / 3])


def test_each_member_has_its_own_temperature_before_the_mean():
    """Odds of 9 become 3 at a temperature of 2, in a mirror too."""
    sure, unsure = Constant(math.log(9), 0.0), Constant(0.0, math.log(3))
    soften(sure, Temperature(2.0, 0.5, 0.25))
    image = torch.zeros(1, 3, 2, 2)
    expected = (3 / 4 + 1 / 4) / 2
    assert Ensemble([sure, unsure])(image)[0, 0].flatten().tolist() == pytest.approx([expected] * 4)
    assert Ensemble([Mirrored(sure), Mirrored(unsure)])(image)[0, 0, 0, 0] == pytest.approx(expected)


@pytest.mark.parametrize("copies", [1, 2, 4])
def test_copies_of_a_network_answer_as_it_does_alone(copies: int):
    torch.manual_seed(0)
    network, image = nn.Conv2d(3, 7, 3), torch.rand(2, 3, 64, 64)
    assert torch.equal(Ensemble([network] * copies)(image).argmax(1), network(image).argmax(1))


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_what_is_not_finite_in_one_member_is_not_finite_in_all(wrong: float):
    together = Ensemble([Constant(0.0, 1.0), Constant(0.0, wrong)])(torch.zeros(1, 3, 2, 2))
    assert not together.mean().isfinite()


def test_low_precision_is_averaged_in_float32():
    both = Ensemble([nn.Conv2d(3, 2, 1).bfloat16(), nn.Conv2d(3, 2, 1).bfloat16()])
    assert both(torch.zeros(1, 3, 2, 2, dtype=torch.bfloat16)).dtype == torch.float32


class Columns(nn.Module):
    """Two classes, of which the first is the likelier, the farther a pixel lies to the right."""

    def forward(self, x: Tensor) -> Tensor:
        column = torch.arange(x.shape[-1], dtype=torch.float32).expand(len(x), 1, *x.shape[-2:])
        return torch.cat([column, torch.zeros_like(column)], dim=1)


def test_a_mirror_answers_for_the_pixels_that_it_shows():
    both = Mirrored(Columns())(torch.zeros(2, 3, 4, 3, dtype=torch.uint8))
    assert both.shape == (2, 2, 4, 3)
    left, middle, right = (1 / (1 + math.exp(-column)) for column in (0, 1, 2))
    assert both[1, 0, 2].tolist() == pytest.approx([(left + right) / 2, middle, (right + left) / 2])
    assert both.sum(1).flatten().tolist() == pytest.approx([1] * 24)


def test_what_is_left_in_a_mirror_is_right_in_the_image():
    both = Mirrored(Constant(0.0, math.log(2), math.log(5)), pairs=[(1, 2)])(torch.zeros(1, 3, 2, 2))
    assert both[0, :, 0, 0].tolist() == pytest.approx([1 / 8, 3.5 / 8, 3.5 / 8])


@pytest.mark.parametrize("kind", [torch.uint8, torch.uint16, torch.float32])
def test_a_mirror_shows_images_of_every_kind(kind: torch.dtype):
    torch.manual_seed(0)
    encoder = Encoder(
        block=partial(Bottleneck, kernel_size=3, expansion=2),
        widths=[8],
        depths=[1],
        strides=[2],
        stem_width=4,
        stem_pool=False,
        in_channels=1,
    )
    network = FCN(encoder=encoder, num_classes=2, skips=1, widths=[4]).eval()
    image = torch.arange(35).view(1, 1, 5, 7).to(kind)
    turned = network(image.flip(-1)).softmax(1).flip(-1)
    padded = torch.cat([image, image[..., -1:]], dim=-1)
    mirrored = network(padded.flip(-1)).softmax(1).flip(-1)[..., :7]
    both = Mirrored(network)(image)
    assert torch.equal(both, (network(image).softmax(1) + mirrored) / 2)
    assert not torch.equal(turned, mirrored)  # its strides begin at another column


def test_a_mirror_of_what_is_not_finite_is_not_finite():
    assert not Mirrored(Constant(0.0, math.nan))(torch.zeros(1, 3, 2, 2)).mean().isfinite()


def test_several_that_see_mirror_images_answer_by_the_mean_of_what_they_answer_alone():
    torch.manual_seed(0)
    image = torch.rand(1, 3, 8, 10)
    members = [Mirrored(nn.Conv2d(3, 4, 3, padding=1)) for _ in range(3)]
    expected = sum(member(image) for member in members) / 3
    torch.testing.assert_close(Ensemble(members)(image), expected)


def test_sizes_answer_by_the_mean_of_their_probabilities_at_the_size_of_the_image():
    torch.manual_seed(0)
    network, image = nn.Conv2d(3, 4, 3, padding=1), torch.rand(2, 3, 12, 10)
    answers = []
    for size in ((6, 5), (12, 10), (18, 15)):
        small = F.interpolate(image, size, mode="bilinear", antialias=True) if size != (12, 10) else image
        answers.append(F.interpolate(network(small).softmax(1), (12, 10), mode="bilinear"))
    torch.testing.assert_close(Scaled(network, [0.5, 1, 1.5])(image), torch.stack(answers).mean(0))


def test_one_size_with_a_mirror_answers_as_the_mirror_does():
    torch.manual_seed(0)
    mirrored, image = Mirrored(nn.Conv2d(3, 4, 3, padding=1)), torch.rand(1, 3, 8, 8)
    torch.testing.assert_close(Scaled(mirrored, [1])(image), mirrored(image))


@pytest.mark.parametrize("kind", [torch.uint8, torch.uint16])
def test_whole_numbers_stay_such_in_another_size(kind: torch.dtype):
    white = torch.iinfo(kind).max
    image = torch.full((1, 3, 4, 6), white, dtype=torch.int32).to(kind)
    larger = resized(image, 1.5)
    assert (larger.dtype, larger.shape) == (kind, (1, 3, 6, 9))
    assert (larger.to(torch.int32) == white).all()
    assert resized(image, 0.01).shape == (1, 3, 1, 1)
