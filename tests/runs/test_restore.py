import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from segtrain.runs import restore


def test_a_newer_format_says_so(stored: Callable[..., Path]):
    with pytest.raises(ValueError, match="written by a newer segtrain"):
        restore.read_checkpoint(stored(version=99))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a readable checkpoint"),
        (b"PK\x03\x04 something else", "not a readable checkpoint"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, content: bytes, message: str):
    (tmp_path / "broken.ckpt").write_bytes(content)
    with pytest.raises(ValueError, match=rf"broken.ckpt: {message}"):
        restore.read_checkpoint(tmp_path / "broken.ckpt")


def test_a_truncated_file_is_named(stored: Callable[..., Path]):
    path = stored()
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(ValueError, match=r"some.ckpt: not a readable checkpoint"):
        restore.read_checkpoint(path)


def test_another_programs_checkpoint_is_refused(tmp_path: Path):
    torch.save({"state_dict": {}}, tmp_path / "foreign.ckpt")
    with pytest.raises(ValueError, match="not a checkpoint of segtrain"):
        restore.read_checkpoint(tmp_path / "foreign.ckpt")


def test_a_pickle_does_not_run(tmp_path: Path):
    class Attack:
        def __reduce__(self) -> object:
            return Path.touch, (tmp_path / "ran",)

    torch.save(Attack(), tmp_path / "attack.ckpt")
    with pytest.raises(ValueError, match="not a readable checkpoint"):
        restore.read_checkpoint(tmp_path / "attack.ckpt")
    assert not (tmp_path / "ran").exists()


def damaged(content: bytes, rng: random.Random) -> bytes:
    """A copy with a flipped bit, a zeroed page, or a missing end."""
    kind, at = rng.randrange(3), rng.randrange(len(content))
    if kind == 0:
        return content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :]
    if kind == 1:
        return content[:at] + bytes(len(content[at : at + 4096])) + content[at + 4096 :]
    return content[:at]


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_file_never_gives_another_value(stored: Callable[..., Path], tmp_path: Path, seed: int):
    path, rng = stored(), random.Random(seed)
    original, expected = path.read_bytes(), restore.read_checkpoint(path)
    refused = 0
    for _ in range(250):
        path.write_bytes(damaged(original, rng))
        try:
            found = restore.read_checkpoint(path)
        except ValueError:
            refused += 1
            continue
        assert found["segtrain"] == expected["segtrain"]
        assert found["state_dict"].keys() == expected["state_dict"].keys()
        assert all(torch.equal(found["state_dict"][name], t) for name, t in expected["state_dict"].items())
    assert refused > 150  # the rest hit the padding between tensors
