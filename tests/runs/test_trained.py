from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from segtrain import build
from segtrain.data import ClassTable
from segtrain.models import FCN
from segtrain.runs import folder, trained
from segtrain.runs.resume import resumable
from tests.runs.conftest import CLASSES, MODEL, SETTINGS


def test_a_network_comes_back_with_its_classes_and_settings(stored: Callable[..., Path]):
    network = trained.load(stored())
    torch.manual_seed(0)
    expected = build.build(MODEL).state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in network.state_dict().items())
    assert not network.training
    assert network.classes.names == ClassTable.from_spec(CLASSES).names
    assert network.settings == SETTINGS


def test_attributes_of_a_network_of_ones_own_stay(stored: Callable[..., Path], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(FCN, "classes", 7, raising=False)
    network = trained.load(stored())
    assert network.classes == 7
    assert network.settings == SETTINGS


def test_the_average_is_preferred_since_it_was_scored(stored: Callable[..., Path]):
    plain = trained.load(stored()).state_dict()
    averaged = trained.load(stored(average=True)).state_dict()
    assert all(torch.equal(averaged[name], tensor + 1) for name, tensor in plain.items())


def test_a_stored_correction_is_applied_unless_it_is_not_wanted(stored: Callable[..., Path]):
    correction = {"share": 0.5, "of": "loss.weights", "offsets": [3.0, -1.0], "before": 0.5, "after": 0.75}
    image = torch.rand(1, 3, 8, 8)
    raw = trained.load(stored())(image)
    path = stored(correction=correction)
    assert torch.equal(trained.load(path)(image), raw + torch.tensor([3.0, -1.0])[:, None, None])
    assert torch.equal(trained.load(path, correction=False)(image), raw)
    with pytest.raises(ValueError, match=r"prior correction cannot be read \(it is for 3 classes, not 2\)"):
        trained.load(stored(correction={**correction, "offsets": [1.0, 0.0, -1.0]}))


def test_the_note_on_the_newest_run_stands_for_it(
    stored: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    run = folder.create("mine", None)
    (run / "checkpoints").mkdir()
    stored().rename(run / "checkpoints/best.ckpt")
    (run / "config.yaml").touch()
    folder.point_latest(run)
    assert trained.load("runs/latest").settings == SETTINGS
    assert trained.load("runs/latest/checkpoints/best.ckpt").settings == SETTINGS
    for word in ("latest", "runs/latest"):
        assert resumable(word) == (run.resolve(), [])


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
