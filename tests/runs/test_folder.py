from pathlib import Path

import pytest

from segtrain.runs import folder as runs


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_two_runs_of_one_second_get_two_folders():
    first, second = runs.create("shapes-fcn_tiny", None), runs.create("shapes-fcn_tiny", None)
    assert first != second
    assert first.parent == second.parent == Path("runs/shapes-fcn_tiny")


def test_latest_is_the_newest_run():
    runs.create("a", None)
    newest = runs.create("b", None)
    runs.point_latest(newest)
    assert runs.find("latest") == newest.resolve()


def test_latest_survives_moving_the_folder_that_holds_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    newest = runs.create("b", None)
    runs.point_latest(newest)
    (tmp_path / "elsewhere").mkdir()
    Path("runs").rename("elsewhere/runs")
    monkeypatch.chdir("elsewhere")
    assert runs.find("latest").name == newest.name


def test_a_run_dir_that_holds_something_is_refused():
    Path("mine").mkdir()
    Path("mine/file").touch()
    with pytest.raises(ValueError, match="run_dir=mine: exists and is not empty"):
        runs.create("a", "mine")


def test_a_run_dir_is_made_as_typed():
    assert runs.create("a", "deep/mine") == Path("deep/mine")
    runs.point_latest(Path("deep/mine"))
    assert runs.find("latest") == Path("deep/mine").resolve()


def test_missing_runs_are_named():
    with pytest.raises(FileNotFoundError, match="run=latest: there is no run below"):
        runs.find("latest")
    with pytest.raises(FileNotFoundError, match="run=nowhere: there is no such run folder"):
        runs.find("nowhere")


def test_a_network_is_named_by_run_or_by_checkpoint():
    for run, file in ((None, None), ("a", "b")):
        with pytest.raises(ValueError, match=r"either run=FOLDER .* or checkpoint=FILE"):
            runs.checkpoint_file(run, file)
    folder = runs.create("a", None)
    runs.point_latest(folder)
    with pytest.raises(FileNotFoundError, match=r"it has no best.ckpt yet"):
        runs.checkpoint_file(str(folder), None)
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints/best.ckpt").touch()
    assert runs.checkpoint_file("latest", None) == folder.resolve() / "checkpoints/best.ckpt"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: &a [" + "1," * 1000 + "]\nb: [" + "*a," * 1000 + "]", "more than 500000 entries"),
        ("[" * 200_000, "nested too deeply"),
        ("{" * 200_000, "nested too deeply"),
        ("#" * 250_001, "too long"),
    ],
    ids=["aliases", "brackets", "braces", "length"],
)
def test_settings_that_grow_or_take_for_ever_are_refused(tmp_path: Path, text: str, reason: str):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ValueError, match=f"not the settings of a run .*{reason}"):
        runs.read_settings(tmp_path)
