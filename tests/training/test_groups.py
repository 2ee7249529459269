from functools import partial

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from segtrain.training.groups import adopt_settings, build_optimizer
from tests.training.test_encoder import InTwo

SGD = partial(torch.optim.SGD, lr=0.2, momentum=0.9, weight_decay=0.01)


def content(optimizer: torch.optim.Optimizer) -> dict:
    """What a checkpoint holds of an optimiser half way through a schedule that ends at 0."""
    scheduler = LambdaLR(optimizer, lambda step: 1 - step / 10)
    for _ in range(5):
        optimizer.step()
        scheduler.step()
    return {"optimizer_states": [optimizer.state_dict()], "lr_schedulers": [scheduler.state_dict()]}


def test_an_encoder_at_the_rate_of_the_rest_is_in_the_same_two_groups():
    """Older runs have stored these."""
    groups = build_optimizer(InTwo(), SGD, 1.0).param_groups
    assert [(len(g["params"]), g["lr"], g["weight_decay"]) for g in groups] == [(2, 0.2, 0.01), (4, 0.2, 0.0)]


def test_an_encoder_at_another_rate_has_groups_of_its_own():
    network = InTwo()
    groups = build_optimizer(network, SGD, 0.1).param_groups
    assert [g["weight_decay"] for g in groups] == [0.01, 0.0, 0.01, 0.0]
    assert [g["lr"] for g in groups] == pytest.approx([0.2, 0.2, 0.02, 0.02])
    own = {id(weight) for group in groups[2:] for weight in group["params"]}
    assert own == {id(weight) for weight in network.encoder.parameters()}
    assert sum(len(group["params"]) for group in groups) == len(list(network.parameters()))


def test_stored_rates_stay_where_the_schedule_has_them():
    stored = content(build_optimizer(InTwo(), SGD, 0.1))
    adopt_settings(stored, build_optimizer(InTwo(), SGD, 0.1))
    assert [g["lr"] for g in stored["optimizer_states"][0]["param_groups"]] == pytest.approx([0.1, 0.1, 0.01, 0.01])


def test_changed_rates_are_followed_from_where_the_schedule_is():
    stored = content(build_optimizer(InTwo(), SGD, 0.1))
    adopt_settings(stored, build_optimizer(InTwo(), partial(SGD, lr=0.4), 0.5))
    assert [g["lr"] for g in stored["optimizer_states"][0]["param_groups"]] == pytest.approx([0.2, 0.2, 0.1, 0.1])
    assert stored["lr_schedulers"][0]["base_lrs"] == pytest.approx([0.4, 0.4, 0.2, 0.2])


def test_a_network_without_an_encoder_has_one_rate():
    with pytest.raises(ValueError, match=r"train.encoder_lr: a Conv2d has no part named encoder"):
        build_optimizer(nn.Conv2d(1, 1, 1), SGD, 0.1)
