import math

import torch

from segtrain.metrics import MeanLoss


def test_a_mean_loss_adds_up_the_means_of_its_terms_and_is_undefined_without_any():
    mean = MeanLoss(2)
    mean.update(torch.tensor([3.0, 0.5]), torch.tensor([1.0, 1.0]))
    mean.update(torch.tensor([1.0, 1.5]), torch.tensor([3.0, 1.0]))
    mean.update(torch.tensor([0.0, 0.0]), torch.tensor([0.0, 0.0]))
    assert float(mean.compute()) == 4 / 4 + 2 / 2
    mean.reset()
    mean.update(torch.tensor([0.0, 0.0]), torch.tensor([0.0, 0.0]))
    assert math.isnan(mean.compute())


def test_a_mean_loss_does_not_round_small_batches_away():
    mean = MeanLoss(1)
    mean.update(torch.tensor([2.0**25]), torch.tensor([1.0]))
    mean.update(torch.tensor([1.0]), torch.tensor([0.0]))
    assert float(mean.compute()) == 2**25 + 1
