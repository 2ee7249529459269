import json
import os
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
    raw = load(path, correction=False)(image)
    assert torch.equal(load(path)(image), trained.network(image))
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


def header(entries: dict[str, Any], size: int | None = None) -> bytes:
    """A file of weights up to the weights."""
    text = json.dumps(entries).encode()
    return (len(text) if size is None else size).to_bytes(8, "little") + text


OVERLAPPING = {name: {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} for name in ("a", "b")}
STRANGE = {
    "a header of 100 MB": header({}, 100_000_000),
    "a header of 20 MB": header({"__metadata__": {"note": "a" * 20_000_000}}),
    "overlapping tensors": header(OVERLAPPING) + bytes(8),
    "a tensor of 2**62 numbers": header({"a": {"dtype": "F32", "shape": [1 << 31, 1 << 31], "data_offsets": [0, 8]}})
    + bytes(8),
    "tensors beyond the end": header({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}),
    "metadata that are no texts": header({"__metadata__": {"segtrain": {"format": 1}}}),
}


@pytest.mark.parametrize("content", STRANGE.values(), ids=STRANGE)
def test_strange_weights_are_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "odd.safetensors").write_bytes(content)
    with pytest.raises(UserError, match=r"odd\.safetensors: not a readable file of weights") as error:
        read_safetensors(tmp_path / "odd.safetensors")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", [torch.int64, torch.bool, torch.float8_e4m3fn, torch.complex64], ids=str)
def test_weights_in_numbers_of_another_kind_are_refused(trained: Opened, tmp_path: Path, kind: torch.dtype) -> None:
    weights = {name: tensor.to(kind) for name, tensor in trained.network.state_dict().items()}
    facts = json.dumps(Facts(trained.record, None).as_json())
    save_file(weights, tmp_path / "odd.safetensors", metadata={KEY: facts})
    with pytest.raises(UserError, match=f"the weights are not those of the network described: .* is in {kind}"):
        opened(tmp_path / "odd.safetensors", Trust())


@pytest.mark.parametrize("suffix", ["onnx", "safetensors", "pt2"])
def test_what_is_no_file_is_not_opened(tmp_path: Path, suffix: str) -> None:
    folder, pipe = tmp_path / f"folder.{suffix}", tmp_path / f"pipe.{suffix}"
    folder.mkdir()
    os.mkfifo(pipe)
    for path in (folder, pipe):
        with pytest.raises(FileNotFoundError, match="there is no such checkpoint"):
            opened(path, Trust(["pt2"]))


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
        {"bytes_per_pixel": float("inf"), "reach": None},
        {"bytes_per_pixel": 5e-324, "reach": None},
        {"bytes_per_pixel": 10, "reach": [float("inf"), 32]},
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
