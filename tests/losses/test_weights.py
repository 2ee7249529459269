import pytest
import torch

from segtrain.losses.weights import class_weights


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
