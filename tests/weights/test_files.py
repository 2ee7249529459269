"""Weights in files: all formats give the same tensors, and none of them runs anything."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from segtrain.weights import read_weights

STATE = {"conv.weight": torch.arange(6.0).view(2, 3), "bn.num_batches_tracked": torch.tensor(7)}


def write(path: Path, content: object) -> Path:
    if path.suffix == ".safetensors":
        save_file(content, path)
    else:  # `.old.pth` is torch's format before 1.6
        torch.save(content, path, _use_new_zipfile_serialization=".old" not in path.name)
    return path


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("name", ["a.pth", "a.old.pth", "a.safetensors"])
def test_all_formats_give_the_same_tensors(tmp_path: Path, name: str):
    assert same(read_weights(write(tmp_path / name, STATE)), STATE)


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "model_state_dict"])
@pytest.mark.parametrize("name", ["a.pth", "a.old.pth"])
def test_what_trainings_keep_beside_the_weights_is_passed_over(tmp_path: Path, wrapper: str, name: str):
    assert same(read_weights(write(tmp_path / name, {"epoch": 3, wrapper: STATE})), STATE)


class Attack:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> object:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["a.pth", "a.old.pth"])
def test_a_file_does_not_run(tmp_path: Path, name: str):
    path = write(tmp_path / name, {"weight": Attack(tmp_path / "ran")})
    with pytest.raises(ValueError, match=r"not a readable file of weights \(its pickle names"):
        read_weights(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["a.pth", "a.old.pth", "a.safetensors"])
@pytest.mark.parametrize("kept", [0, 3, 50, 300])
def test_a_file_that_was_cut_off_is_refused_in_one_line(tmp_path: Path, name: str, kept: int):
    path = write(tmp_path / name, STATE)
    path.write_bytes(path.read_bytes()[: min(kept, path.stat().st_size - 1)])
    with pytest.raises(ValueError, match="not a readable file of weights") as error:
        read_weights(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "it holds no weights"),
        ({}, "it holds no weights"),
        ({"epoch": 3, "weight": torch.zeros(1)}, "its entry 'epoch' is no tensor"),
    ],
)
def test_what_is_no_state_dict_is_refused(tmp_path: Path, content: object, message: str):
    with pytest.raises(ValueError, match=message):
        read_weights(write(tmp_path / "a.pth", content))


def test_a_tensor_larger_than_its_data_is_refused(tmp_path: Path):
    hollow = torch.zeros(1).expand(1000, 1000)
    with pytest.raises(ValueError, match="has no data for it"):
        read_weights(write(tmp_path / "a.pth", {"weight": hollow}))


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(ValueError, match="there is no such file"):
        read_weights(tmp_path / "a.pth")
