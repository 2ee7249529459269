"""The moving average of the weights."""

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from segtrain.training.average import MovingAverage


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))


def step(net: nn.Module) -> None:
    """Change every weight and every statistic."""
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(torch.randn_like(weight))
    net(torch.randn(2, 3, 5, 5))


def test_the_first_update_copies_the_network():
    net = network()
    average = MovingAverage(net, 0.9)
    step(net)
    average.update_parameters(net)
    for name, value in net.state_dict().items():
        assert average.module.state_dict()[name].equal(value)


def test_from_its_greatest_decay_on_it_is_torchs_own():
    net = network()
    average = MovingAverage(net, 0.1)  # which the ramp reaches with the first update
    oracle = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(0.1), use_buffers=True)
    for _ in range(4):
        step(net)
        average.update_parameters(net)
        oracle.update_parameters(net)
    expected = oracle.state_dict()
    assert average.state_dict().keys() == expected.keys()
    for name, value in average.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, expected[name])


def test_buffers_that_moving_has_parted_are_followed_each():
    """A module moves its buffers one by one, so that one of two modules becomes two."""
    net = nn.Sequential(nn.BatchNorm2d(3), nn.BatchNorm2d(3))
    net[1].running_mean = net[0].running_mean
    average = MovingAverage(net, 0.9)
    net, average = net.double(), average.double()
    average.update_parameters(net)
    for name, value in net.state_dict().items():
        assert average.module.state_dict()[name].equal(value)


@pytest.mark.parametrize("updates", [0, 1, 7])
def test_it_goes_on_counting_where_its_state_was_stored(updates: int):
    net = network()
    whole = MovingAverage(net, 0.9)
    for _ in range(updates):
        step(net)
        whole.update_parameters(net)
    resumed = MovingAverage(network(), 0.9)
    resumed.load_state_dict(whole.state_dict())
    step(net)
    whole.update_parameters(net)
    resumed.update_parameters(net)
    for name, value in whole.state_dict().items():
        assert resumed.state_dict()[name].equal(value)


def test_statistics_that_are_counts_are_copied():
    net = network()
    average = MovingAverage(net, 0.9)
    for _ in range(3):
        step(net)
        average.update_parameters(net)
    assert int(average.module[1].num_batches_tracked) == 3


def test_it_takes_no_gradients():
    assert not any(weight.requires_grad for weight in MovingAverage(network(), 0.9).parameters())
