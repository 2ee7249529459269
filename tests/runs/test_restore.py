import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from segtrain import build
from segtrain.data import ClassTable
from segtrain.runs import restore, trained

CLASSES = {"ignore": None, "classes": [{"name": "a"}, {"name": "b"}]}
MODEL = {
    "_target_": "segtrain.models.FCN",
    "encoder": {
        "_target_": "segtrain.models.Encoder",
        "block": {"_target_": "segtrain.models.Bottleneck", "_partial_": True},
        "widths": [8],
        "depths": [1],
        "strides": [2],
    },
    "num_classes": 2,
    "skips": 0,
}

BUILT = ("data", "model", "loss", "optimizer", "schedule", "augment", "trainer")
SETTINGS = {"name": "some", "seed": 0, "train": {}, **dict.fromkeys(BUILT, {"_target_": "some.Thing"})}


@pytest.fixture
def stored(tmp_path: Path) -> Callable[..., Path]:
    """Writes a checkpoint file of a fresh network; changes replace parts of its record."""

    def write(model: dict = MODEL, version: int = 1, average: bool = False) -> Path:
        torch.manual_seed(0)
        network = build.build(MODEL)
        state = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
        if average:
            state |= {f"average.module.{name[8:]}": tensor + 1 for name, tensor in state.items()}
        record = {
            "run": "some",
            "settings": SETTINGS,
            "model": model,
            "loss": {"_target_": "segtrain.losses.CrossEntropy"},
            "precision": "32-true",
            "classes": CLASSES,
            "fingerprint": "",
        }
        content = {"state_dict": state, "segtrain": {"version": version, "record": json.dumps(record)}}
        torch.save(content, tmp_path / "some.ckpt")
        return tmp_path / "some.ckpt"

    return write


def test_a_network_comes_back_with_its_classes_and_settings(stored: Callable[..., Path]):
    network, classes, settings = trained.load(stored())
    torch.manual_seed(0)
    expected = build.build(MODEL).state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in network.state_dict().items())
    assert not network.training
    assert classes.names == ClassTable.from_spec(CLASSES).names
    assert settings == SETTINGS


def test_the_average_is_preferred_since_it_was_scored(stored: Callable[..., Path]):
    plain = trained.load(stored()).network.state_dict()
    averaged = trained.load(stored(average=True)).network.state_dict()
    assert all(torch.equal(averaged[name], tensor + 1) for name, tensor in plain.items())


def test_a_run_folder_means_its_best_checkpoint(stored: Callable[..., Path], tmp_path: Path):
    (tmp_path / "run/checkpoints").mkdir(parents=True)
    stored().rename(tmp_path / "run/checkpoints/best.ckpt")
    assert trained.load(tmp_path / "run").classes.names == ("a", "b")


def test_a_stored_configuration_may_not_name_what_is_not_shipped(stored: Callable[..., Path]):
    path = stored(model={"_target_": "torch.nn.Conv2d", "in_channels": 3, "out_channels": 2, "kernel_size": 1})
    with pytest.raises(ValueError, match=r"'torch.nn.Conv2d' is not a shipped one"):
        trained.load(path)


def test_what_the_user_allows_is_built(stored: Callable[..., Path]):
    path = stored(model={"_target_": "torch.nn.Conv2d", "in_channels": 3, "out_channels": 2, "kernel_size": 1})
    with pytest.raises(
        ValueError, match="the weights are not those of the network described"
    ):  # built, and then the weights do not fit
        trained.load(path, allow=["torch.nn.Conv2d"])


def test_a_newer_format_says_so(stored: Callable[..., Path]):
    with pytest.raises(ValueError, match="written by a newer segtrain"):
        trained.load(stored(version=99))


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
        restore.read(tmp_path / "broken.ckpt")


def test_a_truncated_file_is_named(stored: Callable[..., Path]):
    path = stored()
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(ValueError, match=r"some.ckpt: not a readable checkpoint"):
        restore.read(path)


def test_another_programs_checkpoint_is_refused(tmp_path: Path):
    torch.save({"state_dict": {}}, tmp_path / "foreign.ckpt")
    with pytest.raises(ValueError, match="not a checkpoint of segtrain"):
        restore.read(tmp_path / "foreign.ckpt")


def test_a_pickle_does_not_run(tmp_path: Path):
    class Attack:
        def __reduce__(self) -> object:
            return Path.touch, (tmp_path / "ran",)

    torch.save(Attack(), tmp_path / "attack.ckpt")
    with pytest.raises(ValueError, match="not a readable checkpoint"):
        restore.read(tmp_path / "attack.ckpt")
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
    original, expected = path.read_bytes(), restore.read(path)
    refused = 0
    for _ in range(250):
        path.write_bytes(damaged(original, rng))
        try:
            found = restore.read(path)
        except ValueError:
            refused += 1
            continue
        assert found["segtrain"] == expected["segtrain"]
        assert found["state_dict"].keys() == expected["state_dict"].keys()
        assert all(torch.equal(found["state_dict"][name], t) for name, t in expected["state_dict"].items())
    assert refused > 150  # the rest hit the padding between tensors
