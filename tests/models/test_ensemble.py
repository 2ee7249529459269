import math

import pytest
import torch
from torch import Tensor, nn

from segtrain.models.ensemble import Ensemble


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
