import math
from typing import Any

import pytest
import torch
from torch import nn

from segtrain.runs.corrected import correct
from segtrain.runs.correction import FREQUENCY, LOSS, Correction

STORED = {"share": 0.5, "of": LOSS, "offsets": [1.0, -1.0], "before": 0.5, "after": 0.75}


def test_a_correction_comes_back_as_it_was() -> None:
    assert Correction.stored(STORED) == Correction(0.5, LOSS, (1.0, -1.0), 0.5, 0.75)
    assert Correction.stored(None) is None


@pytest.mark.parametrize(
    "value",
    [
        7,
        [1.0, -1.0],
        {},
        {**STORED, "more": 1},
        *({**STORED, "offsets": offsets} for offsets in (None, 1.0, "ab", [math.nan, 0], [math.inf, 0], [1e9, 0])),
        *({**STORED, "offsets": offsets} for offsets in ([True, False], [10**400, 0], ["1", "2"], [[1.0], [2.0]])),
        *({**STORED, name: value} for name in ("share", "before", "after") for value in (None, 2, math.nan, "1", [1])),
        *({**STORED, "of": of} for of in (None, 7, [LOSS], {}, "\x1b[2J")),
    ],
)
def test_what_is_no_correction_is_refused_in_one_line(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^the checkpoint's prior correction cannot be read \(.*\): is it damaged\?$"):
        Correction.stored(value)


def test_it_says_what_it_does() -> None:
    taken = Correction(0.5, LOSS, (1.0, -1.0), 0.5, 0.75).line()
    assert "0.5 of the logarithm of loss.weights is taken off the logits" in taken
    assert "mIoU 0.5000 -> 0.7500 out of fold" in taken
    added = Correction(-0.5, FREQUENCY, (1.0, -1.0), 0.5, 0.75).line()
    assert "0.5 of the logarithm of the classes' frequencies is added to the logits" in added


def test_logits_are_corrected_in_evaluation_alone_and_no_name_changes() -> None:
    network = nn.Conv2d(3, 2, 1)
    image, names = torch.rand(2, 3, 4, 5), list(network.state_dict())
    raw = network(image)
    handle = correct(network, Correction(0.5, LOSS, (1.0, -2.0), 0.5, 0.75))
    assert list(network.state_dict()) == names
    assert torch.equal(network.train()(image), raw)
    assert torch.equal(network.eval()(image), raw + torch.tensor([1.0, -2.0])[:, None, None])
    handle.remove()
    assert torch.equal(network(image), raw)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [(torch.bfloat16, torch.float32), (torch.float16, torch.float32), (torch.float64, torch.float64)],
)
def test_the_sum_is_as_exact_as_float32_and_no_less_than_the_logits(kind: torch.dtype, expected: torch.dtype) -> None:
    network = nn.Identity().eval()
    correct(network, Correction(0.5, LOSS, (0.001, 0.0), 0.5, 0.75))
    logits = torch.ones(1, 2, 1, 1, dtype=kind)
    assert network(logits).dtype == expected
    assert network(logits).argmax(1).item() == 0
    assert network(logits)[0, 0].item() > 1


def test_an_exported_network_is_corrected_too() -> None:
    network = nn.Conv2d(3, 2, 1).eval()
    correct(network, Correction(0.5, LOSS, (1.0, -2.0), 0.5, 0.75))
    image = torch.rand(1, 3, 4, 5)
    exported = torch.export.export(network, (image,)).module()
    assert torch.equal(exported(image), network(image))
