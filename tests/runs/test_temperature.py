import math
from typing import Any

import pytest
import torch
from torch import nn

from segtrain.models.ensemble import probabilities
from segtrain.runs.temperature import Temperature, soften

STORED = {"value": 1.5, "before": 0.5, "after": 0.25}


def test_a_temperature_comes_back_as_it_was() -> None:
    assert Temperature.stored(STORED) == Temperature(1.5, 0.5, 0.25)
    assert Temperature.stored(None) is None


@pytest.mark.parametrize(
    "value",
    [
        7,
        1.5,
        [1.5],
        {},
        {**STORED, "more": 1},
        *({**STORED, "value": value} for value in (None, 0, -1.5, math.nan, math.inf, 1e9, 10**400, "1", [1], True)),
        *({**STORED, name: value} for name in ("before", "after") for value in (None, math.nan, 1e9, "1", [1])),
    ],
)
def test_what_is_no_temperature_is_refused_in_one_line(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^the checkpoint's temperature cannot be read \(.*\): is it damaged\?$"):
        Temperature.stored(value)


def test_it_says_what_it_does() -> None:
    line = Temperature(1.5, 0.5, 0.25).line()
    assert "logits are divided by 1.5" in line
    assert "0.5000 -> 0.2500 out of fold" in line


def test_probabilities_are_softened_and_answers_and_names_are_not_changed() -> None:
    network, image = nn.Conv2d(3, 4, 1).eval(), torch.rand(2, 3, 5, 6)
    raw, names = network(image), list(network.state_dict())
    soften(network, Temperature(2.0, 0.5, 0.25))
    assert torch.equal(network(image), raw)
    assert list(network.state_dict()) == names
    torch.testing.assert_close(probabilities(network, raw), (raw / 2).softmax(1))
    soften(network, None)
    assert torch.equal(probabilities(network, raw), raw.softmax(1))
