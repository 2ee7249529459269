from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn

from segtrain.errors import UserError
from segtrain.training.encoder import Freeze, encoder_of, encoder_rate, is_random
from segtrain.training.learner import Learner
from tests.training.test_learner import CLASSES, batches, fit, learner

State = dict[str, torch.Tensor]
SPEC = {"_target_": "segtrain.models.FCN", "encoder": {"_target_": "segtrain.models.resnet", "weights": "X"}}


class InTwo(nn.Module):
    """A network with a part named encoder, whose batch norm counts what it sees."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.decoder = nn.Conv2d(8, CLASSES, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.decoder(self.encoder(image))


def state(network: nn.Module) -> State:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


@pytest.fixture
def trained() -> Callable[..., tuple[list[State], list[int]]]:
    """The states of a network after each of five steps, and the number of parameters that have moments then."""

    def train(frozen: int, **changes: Any) -> tuple[list[State], list[int]]:
        network = InTwo()
        states, moments = [state(network)], [0]

        class Noted(Learner):
            def on_train_batch_end(self, *_: Any) -> None:
                states.append(state(network))
                moments.append(len(self.trainer.optimizers[0].state))

        optimizer = partial(torch.optim.AdamW, lr=0.1, weight_decay=0.5)
        module = learner(network, Noted, optimizer=optimizer, **changes)
        fit(module, list(batches(5)), callbacks=[Freeze(network.encoder, frozen)])
        return states, moments

    return train


def moved(states: list[State], part: str) -> list[bool]:
    """Whether anything of a part of the network changed in each step."""
    parts = [{name: tensor for name, tensor in whole.items() if name.startswith(part)} for whole in states]
    return [not same(before, after) for before, after in pairwise(parts)]


def same(one: State, other: State) -> bool:
    return all(torch.equal(one[name], tensor) for name, tensor in other.items())


@pytest.mark.parametrize("frozen", [0, 2, 9])
def test_a_frozen_encoder_stands_still_and_then_learns(trained: Callable[..., Any], frozen: int):
    states, moments = trained(frozen)
    assert moved(states, "encoder") == [step >= frozen for step in range(5)]
    assert moved(states, "decoder") == [True] * 5
    assert moments == [0] + [6 if step >= frozen else 2 for step in range(5)]


@pytest.mark.filterwarnings("ignore:Found 4 module")  # which is what is meant
def test_the_rest_is_clipped_as_if_the_encoder_were_not_there(trained: Callable[..., Any]):
    """What the rest learns does not depend on gradients that are not used."""
    one, _ = trained(9, clip=1e-3)

    class Without(InTwo):
        def __init__(self) -> None:
            super().__init__()
            self.encoder.requires_grad_(False).eval()

        def train(self, mode: bool = True) -> "Without":
            super().train(mode)
            self.encoder.eval()
            return self

    network = Without()
    optimizer = partial(torch.optim.AdamW, lr=0.1, weight_decay=0.5)
    fit(learner(network, optimizer=optimizer, clip=1e-3), list(batches(5)))
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(one[-1][name], tensor, rtol=0, atol=0)


def test_the_average_of_a_frozen_encoder_stands_still_too():
    network = InTwo()
    before = state(network.encoder)
    module = learner(network, ema=0.5)
    fit(module, list(batches(4)), callbacks=[Freeze(network.encoder, 9)])
    assert same(before, module.scored.encoder.state_dict())


def test_what_a_network_does_not_train_itself_stays_untrained():
    network = InTwo()
    network.encoder[0].requires_grad_(False)
    before = state(network.encoder[0])
    fit(learner(network), list(batches(3)), callbacks=[Freeze(network.encoder, 1)])
    assert same(before, network.encoder[0].state_dict())


def test_a_network_without_an_encoder_has_none_to_freeze():
    with pytest.raises(UserError, match=r"train.freeze_encoder: a Conv2d has no part named encoder: leave it null"):
        encoder_of(nn.Conv2d(1, 1, 1), "train.freeze_encoder")


def test_a_tenth_of_the_rate_suits_pretrained_weights():
    without = {**SPEC, "encoder": {**SPEC["encoder"], "weights": None}}
    assert encoder_rate(None, InTwo(), SPEC) == 0.1
    assert encoder_rate(None, InTwo(), without) == 1
    assert encoder_rate(0.5, InTwo(), SPEC) == encoder_rate(0.5, InTwo(), without) == 0.5
    assert encoder_rate(None, nn.Conv2d(1, 1, 1), SPEC) == 1


def test_an_encoder_is_random_where_nothing_is_known_to_fill_it():
    without = {**SPEC, "encoder": {**SPEC["encoder"], "weights": None}}
    assert is_random(without)
    assert not is_random(SPEC)
    assert not is_random({**without, "encoder": {"_target_": "mine.Encoder", "weights": None}})
    assert not is_random({"_target_": "mine.Network", "encoder": "resnet34"})
    assert not is_random({"_target_": "mine.Network"})
