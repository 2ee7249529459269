"""Learning rates as pure functions of the step: the factor on the optimiser's own `lr`."""

import math

__all__ = ["cosine", "poly"]


def poly(step: int, steps: int, *, warmup: float, power: float) -> float:
    """(1 - progress) ** power after the warm-up (Chen et al. 2017, https://arxiv.org/abs/1606.00915, section 4.1)."""
    if power < 0:
        raise ValueError(f"schedule.power={power}: expected 0 or more")
    return warm(step, steps, warmup) * (1 - progress(step, steps, warmup)) ** power


def cosine(step: int, steps: int, *, warmup: float) -> float:
    """Half a cosine from 1 to 0 after the warm-up (Loshchilov and Hutter 2017, https://arxiv.org/abs/1608.03983)."""
    return warm(step, steps, warmup) * (1 + math.cos(math.pi * progress(step, steps, warmup))) / 2


def warm(step: int, steps: int, warmup: float) -> float:
    """Linear over the first `warmup` share of the steps, never zero; then 1."""
    if not 0 <= warmup <= 1:
        raise ValueError(f"schedule.warmup={warmup}: expected a share of the steps, 0 to 1")
    return min(1.0, (step + 1) / (warmup * steps + 1))


def progress(step: int, steps: int, warmup: float) -> float:
    """0 at the end of the warm-up, 1 at the end of training."""
    first = warmup * steps
    return min(max((step - first) / max(steps - first, 1), 0.0), 1.0)
