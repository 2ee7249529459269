"""Factors for classes, from how often they occur."""

from torch import Tensor


def class_weights(pixels: Tensor, rule: str) -> list[float]:
    """Weights (classes,) of a rule, from the number of pixels (classes,) of each class.

    `inverse` is 1 / frequency and `sqrt` is 1 / sqrt(frequency), both scaled to a mean of 1 over the pixels.
    `median_frequency` is median frequency / frequency (Eigen and Fergus 2015, https://arxiv.org/abs/1411.4734, section
    6.3.2), which differs from `inverse` in its scale alone. A class without pixels gets the largest weight of all.

    Raises:
        ValueError: for an unknown rule, and if no class has pixels.
    """
    if not pixels.any():
        raise ValueError("every pixel of the training masks is void: look at `ignore` in the class table")
    frequency = pixels.double() / pixels.sum()
    seen = frequency > 0
    median = frequency[seen].median()
    rules = {"inverse": frequency**-1, "sqrt": frequency**-0.5, "median_frequency": median / frequency}
    if rule not in rules:
        raise ValueError(f"loss.weights={rule}: expected null, {', '.join(rules)}, or one number per class")
    weights = rules[rule]
    weights[~seen] = weights[seen].max()
    if rule != "median_frequency":
        weights = weights / (weights * frequency).sum()
    return weights.tolist()
