"""The commands, called from Python."""

import json
from pathlib import Path

import pytest

import segtrain
from tests.commands.conftest import TINY


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.mark.slow
def test_a_training_is_that_of_the_command_and_gives_what_it_writes() -> None:
    training = segtrain.train(TINY)
    assert training.folder.parent == Path("runs/shapes-fcn_tiny")
    assert training.scores == json.loads((training.folder / "evaluate/test/metrics.json").read_text())
    assert (training.folder / "overrides.txt").read_text().splitlines() == TINY
    network = segtrain.load(training.folder)
    assert len(network.classes) == len(training.scores["classes"])
    assert segtrain.evaluate([f"run={training.folder}"]) == training.scores
    on_val = segtrain.evaluate(["run=latest", "split=val"])
    assert (on_val["split"], on_val["images"]) == ("val", 3)
    assert not network.training


@pytest.mark.slow
def test_a_run_folder_may_be_named_and_gone_on_with() -> None:
    words = [word for word in TINY if not word.startswith("train.steps")]
    first = segtrain.train([*words, "train.steps=4", "run_dir=mine"])
    assert first.folder == Path("mine")
    again = segtrain.train(["resume=mine", "train.steps=8", "allow_changes=true"])
    assert again.folder == Path("mine")
    assert again.scores["miou"] != first.scores["miou"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train.epoch=3"], "train.epochs"),
        (["data.batch_size=many"], "data.batch_size"),
        ("train.epochs=3", "a list of texts"),
        ([*TINY, "trainer.devices=2"], "from Python, one device"),
        (["epochs"], "is not a setting"),
    ],
)
def test_what_is_wrong_is_an_error_of_one_line(words: list[str], message: str) -> None:
    with pytest.raises(segtrain.UserError, match=message) as error:
        segtrain.train(words)
    assert "\n" not in str(error.value)
    assert not Path("runs").exists()


def test_what_cannot_be_scored_is_an_error() -> None:
    with pytest.raises((segtrain.UserError, OSError), match="no run below"):
        segtrain.evaluate(["run=latest"])
