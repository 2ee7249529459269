from functools import partial

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, PolynomialLR

from segtrain.training.schedules import cosine, poly

STEPS = 40


def theirs(make: object) -> list[float]:
    """The factors of one of torch's schedulers over `STEPS` steps."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)
    factors = []
    for _ in range(STEPS):
        factors.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return factors


def test_poly_without_warm_up_is_torchs_polynomial():
    expected = theirs(lambda optimizer: PolynomialLR(optimizer, STEPS, power=0.9))
    assert [poly(step, STEPS, warmup=0.0, power=0.9) for step in range(STEPS)] == pytest.approx(expected)


def test_cosine_without_warm_up_is_torchs_annealing():
    expected = theirs(lambda optimizer: CosineAnnealingLR(optimizer, STEPS))
    assert [cosine(step, STEPS, warmup=0.0) for step in range(STEPS)] == pytest.approx(expected)


@pytest.mark.parametrize(
    "schedule", [partial(poly, warmup=0.1, power=0.9), partial(cosine, warmup=0.1)], ids=["poly", "cosine"]
)
def test_the_warm_up_rises_evenly_to_one_and_then_all_falls_to_zero(schedule: object):
    factors = [schedule(step, 100) for step in range(101)]
    assert factors[:11] == pytest.approx([(step + 1) / 11 for step in range(11)])
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert factors[100] == 0.0


def test_one_step_is_a_schedule_too():
    assert poly(0, 1, warmup=0.05, power=0.9) > 0
