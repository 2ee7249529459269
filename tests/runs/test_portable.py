import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from segtrain.build import Trust
from segtrain.errors import UserError
from segtrain.inference.onnx_file import KEY
from segtrain.inference.reach import Reach
from segtrain.inference.windows import Known
from segtrain.runs.portable import FORMAT, Facts, known_of, read_safetensors, write_safetensors
from segtrain.runs.trained import Opened, load, opened

TILT = {"share": 0.5, "of": "loss.weights", "offsets": [3.0, -1.0], "before": 0.5, "after": 0.75}
WHERE = Path("net.onnx")


@pytest.fixture
def trained(stored: Callable[..., Path]) -> Opened:
    return opened(stored(correction=TILT), Trust())


def test_weights_with_their_record_are_the_same_network(trained: Opened, tmp_path: Path) -> None:
    path, known = tmp_path / "net.safetensors", Known(105.0, Reach(192, 32))
    write_safetensors(trained.network, Facts(trained.record, known).as_json(), path)
    facts, _ = read_safetensors(path)
    assert facts.known == known
    assert facts.record.classes == trained.record.classes
    image = torch.rand(2, 3, 9, 8)
    raw = load(path, correction=False).network(image)
    assert torch.equal(load(path).network(image), trained.network(image))
    assert torch.equal(raw + torch.tensor([3.0, -1.0])[:, None, None], trained.network(image))


def test_what_other_programs_need_stands_beside_the_record(trained: Opened) -> None:
    facts = json.loads(json.dumps(Facts(trained.record, None).as_json()))
    assert [entry["name"] for entry in facts["classes"]] == list(trained.classes.names)
    assert facts["windows"] is None
    assert facts["format"] == FORMAT


def test_weights_alone_are_no_network(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(2)}, tmp_path / "bare.safetensors")
    with pytest.raises(UserError, match="it was not exported by segtrain: it does not say what its classes are"):
        read_safetensors(tmp_path / "bare.safetensors")


@pytest.mark.parametrize("content", [b"", b"\x00" * 8, b"\xff" * 100, b"no weights"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "torn.safetensors").write_bytes(content)
    with pytest.raises(UserError, match=r"torn\.safetensors: not a readable file of weights"):
        read_safetensors(tmp_path / "torn.safetensors")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "it was not exported by segtrain"),
        ("{", "what it says of itself is no JSON"),
        ("[" * 100_000, "what it says of itself is no JSON"),
        ("[]", "it was not exported by segtrain"),
        ('{"format": "1"}', "it was not exported by segtrain"),
        (f'{{"format": {FORMAT + 1}}}', f"written by a newer segtrain (format {FORMAT + 1}); update segtrain"),
        (f'{{"format": {FORMAT}}}', "the checkpoint's record of its run cannot be read"),
    ],
    ids=str,
)
def test_facts_that_are_none_are_refused(text: str | None, reason: str) -> None:
    with pytest.raises(UserError) as error:
        Facts.from_text(text, WHERE)
    assert reason in str(error.value)


@pytest.mark.parametrize(
    "stored",
    [
        [],
        {},
        {"bytes_per_pixel": 0, "reach": None},
        {"bytes_per_pixel": "many", "reach": None},
        {"bytes_per_pixel": float("nan"), "reach": None},
        {"bytes_per_pixel": 10, "reach": [1]},
        {"bytes_per_pixel": 10, "reach": [1, 2, 3]},
        {"bytes_per_pixel": 10, "reach": [32, 0]},
        {"bytes_per_pixel": 10, "reach": 5},
    ],
    ids=str,
)
def test_a_cost_or_a_reach_that_is_none_is_refused(stored: Any) -> None:
    with pytest.raises(UserError, match="what it says of windows cannot be read"):
        known_of(stored, WHERE)


def test_a_reach_may_be_unknown() -> None:
    assert known_of(None, WHERE) is None
    assert known_of({"bytes_per_pixel": 10.5, "reach": None}, WHERE) == Known(10.5, None)
    assert KEY == "segtrain"
