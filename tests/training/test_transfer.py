from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import nn

from segtrain import build
from segtrain.errors import UserError
from segtrain.training import transfer
from tests.runs.conftest import MODEL

SMALL = {**MODEL, "encoder": {**MODEL["encoder"], "widths": [8, 8], "depths": [1, 1], "strides": [2, 2]}}
LADDER = {**SMALL, "skips": 1}
CLIMBING = {**SMALL, "skips": 1, "widths": [8], "auxiliary": True}
NARROW = {**CLIMBING, "encoder": {**CLIMBING["encoder"], "widths": [4, 8]}}  # its second head is as wide as its classes


def network(model: dict[str, Any], classes: int, seed: int) -> nn.Module:
    """A network whose weights and statistics are all random."""
    torch.manual_seed(seed)
    result = build.build({**model, "num_classes": classes})
    for tensor in result.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.1, 1)
    return result


def begun(model: dict[str, Any], own: Sequence[str], other: Sequence[str]) -> tuple[nn.Module, nn.Module]:
    """(a network for the classes `own` that began with the weights of another for `other`, that one)."""
    source, target = network(model, len(other), 1), network(model, len(own), 2)
    axes = transfer.class_axes(target, {**model, "num_classes": len(own)}, len(own), None)
    transfer.begin_with(target, source.state_dict(), transfer.Change(own, other, axes))
    return target, source


def heads(network: nn.Module) -> list[torch.Tensor]:
    """The logits (2, classes, H, W) of each head, for two images."""
    image = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    outputs = network.train()(image)
    return [head.detach() for head in (outputs if isinstance(outputs, tuple) else (outputs,))]


@pytest.mark.parametrize("model", [SMALL, LADDER, CLIMBING, NARROW], ids=["one", "ladder", "climbing", "narrow"])
@pytest.mark.parametrize(
    ("own", "other"),
    [
        (("square", "ground", "disc"), ("ground", "disc", "square")),
        (("Disc ", "GROUND", "a_b"), ("a-b", "disc", "ground")),
        (("caf\u00e9", "sky"), ("sky", "cafe\u0301")),
    ],
    ids=["another order", "written otherwise", "two forms of a letter"],
)
def test_a_network_says_of_each_class_what_it_said_before(
    model: dict[str, Any], own: Sequence[str], other: Sequence[str], capsys: pytest.CaptureFixture[str]
):
    target, source = begun(model, own, other)
    there = list(transfer.same_classes(own, other).values())
    assert sorted(there) == list(range(len(own)))
    for now, before in zip(heads(target), heads(source), strict=True):
        torch.testing.assert_close(now, before[:, there])
    names = ", ".join(other)
    expected = f"the classes stand in other places there, and are taken over by name (there: {names})\n"
    assert capsys.readouterr().out.endswith(expected)


@pytest.mark.parametrize(
    ("own", "other", "rows"),
    [
        (("disc", "ground"), ("ground", "square", "disc"), {0: 2, 1: 0}),
        (("a", "disc", "b"), ("disc", "c", "d"), {1: 0}),
        (("a", "disc", "b", "ground"), ("ground", "disc"), {1: 1, 3: 0}),
    ],
    ids=["fewer", "as many", "more"],
)
def test_classes_in_common_keep_their_rows_and_others_begin_anew(
    own: Sequence[str], other: Sequence[str], rows: dict[int, int]
):
    target, source = begun(CLIMBING, own, other)
    fresh = network(CLIMBING, len(own), 2).decoder
    new, old = target.decoder, source.decoder
    for index in range(len(own)):
        there = rows.get(index)
        expected = fresh.score.weight[index] if there is None else old.score.weight[there]
        assert torch.equal(new.score.weight[index], expected)
        expected = fresh.score.bias[index] if there is None else old.score.bias[there]
        assert torch.equal(new.score.bias[index], expected)
    for one in rows:
        for two in rows:
            assert torch.equal(new.up.weight[one, two], old.up.weight[rows[one], rows[two]])


def test_classes_that_are_all_others_begin_anew_and_the_rest_is_taken_over(capsys: pytest.CaptureFixture[str]):
    target, source = begun(SMALL, ("x", "y"), ("disc", "ground"))
    fresh = network(SMALL, 2, 2).state_dict()
    own, old = target.state_dict(), source.state_dict()
    scoring = {"decoder.top.weight", "decoder.top.bias", "decoder.up.weight"}
    scoring &= set(own)
    assert {name for name in own if torch.equal(own[name], fresh[name])} >= scoring
    assert all(torch.equal(own[name], old[name]) for name in own if name not in scoring)
    said = capsys.readouterr().out
    assert said.startswith(f"init: {len(own) - len(scoring)} of {len(own)} tensors loaded; fresh: decoder.")
    assert said.endswith("; the classes are others (there: disc, ground): what scores them begins anew\n")


def test_names_are_the_same_as_they_are_written_or_else_in_one_way_alone():
    assert transfer.same_classes(["car", "Car"], ["Car", "car"]) == {0: 1, 1: 0}
    assert transfer.same_classes(["CAR"], ["Car", "car"]) == {}
    assert transfer.same_classes(["_", "-"], ["-", "_"]) == {0: 1, 1: 0}


def test_where_the_classes_are_scored_is_not_known_of_every_network(capsys: pytest.CaptureFixture[str]):
    own = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1))
    model = {"_target_": "torch.nn.Sequential", "width": 4}
    axes = transfer.class_axes(own, model, 2, None)
    transfer.begin_with(own, own.state_dict(), transfer.Change(["a", "b"], ["b", "c"], axes))
    assert "(there: b, c), and what scores them is not known: it is taken over as it stands" in capsys.readouterr().out


def test_weights_of_another_network_are_taken_where_they_fit(capsys: pytest.CaptureFixture[str]):
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 3))
    other = {"0.weight": torch.ones(2, 2), "1.weight": torch.ones(9, 9), "2.bias": torch.ones(1)}
    transfer.begin_with(network, other)
    assert network[0].weight.tolist() == [[1, 1], [1, 1]]
    assert capsys.readouterr().out == "init: 1 of 4 tensors loaded; fresh: 0.bias, 1.weight, 1.bias\n"
    with pytest.raises(UserError, match=r"hardly anything of that checkpoint fits"):
        transfer.begin_with(network, {"2.bias": torch.ones(1)})
