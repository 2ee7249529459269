from concurrent.futures import ThreadPoolExecutor
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


def test_latest_is_a_file_which_no_tool_takes_for_a_second_run():
    newest = runs.create("b", None)
    runs.point_latest(newest)
    assert Path("runs/latest").read_text() == f"b/{newest.name}\n"
    assert [path.name for path in Path("runs").iterdir() if not path.is_dir()] == ["latest"]


@pytest.mark.parametrize("target", ["a", "gone"])
def test_the_link_of_an_older_version_is_understood_and_replaced(target: str):
    older = runs.create("a", None)
    Path("runs/latest").symlink_to(older.relative_to("runs") if target == "a" else target)
    if target == "a":
        assert runs.find("latest") == older.resolve()
    newest = runs.create("b", None)
    runs.point_latest(newest)
    assert not Path("runs/latest").is_symlink()
    assert runs.find("latest") == newest.resolve()
    assert older.is_dir()


def test_a_note_stands_for_the_run_in_every_path():
    newest = runs.create("b", None)
    runs.point_latest(newest)
    assert runs.find("runs/latest") == newest.resolve()
    assert runs.followed(Path("runs/latest/checkpoints/last.ckpt")) == newest.resolve() / "checkpoints/last.ckpt"
    assert runs.followed(Path("elsewhere/latest/x")) == Path("elsewhere/latest/x")


def test_a_note_on_a_run_that_is_gone_says_so():
    newest = runs.create("b", None)
    runs.point_latest(newest)
    newest.rename("moved")
    with pytest.raises(FileNotFoundError, match=r"runs/latest: the run that it names is not there \(.*/runs/b/"):
        runs.find("latest")
    with pytest.raises(FileNotFoundError, match="run=nowhere: there is no such run folder; run=latest is the newest"):
        runs.find("nowhere")


@pytest.mark.parametrize("content", [b"", b"\n", b"\0\0", b"\x1b[2J", b"PK\x03\x04", b"\xff" * 20_000, b"x" * 20_000])
def test_what_is_no_note_is_refused_in_one_line(content: bytes):
    Path("runs").mkdir()
    Path("runs/latest").write_bytes(content)
    with pytest.raises(
        (ValueError, OSError), match=r"runs/latest: (not the path of a run|the run that it names is not there)"
    ):
        runs.find("latest")


def test_a_folder_called_latest_is_in_the_way():
    with pytest.raises(ValueError, match="run_dir=runs/latest: the newest run is noted there"):
        runs.create("a", "runs/latest")
    Path("runs/latest").mkdir(parents=True)
    with pytest.raises(ValueError, match="runs/latest is a folder, but the newest run is noted in a file"):
        runs.create("a", None)


def test_runs_that_begin_together_leave_one_whole_note():
    folders = [runs.create(f"run{number}", None) for number in range(20)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(runs.point_latest, folders))
    assert runs.find("latest") in [folder.resolve() for folder in folders]
    assert [path.name for path in Path("runs").iterdir() if path.is_file()] == ["latest"]


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
            runs.checkpoint_files(run, file)
    folder = runs.create("a", None)
    runs.point_latest(folder)
    with pytest.raises(FileNotFoundError, match=r"it has no best.ckpt yet"):
        runs.checkpoint_files(str(folder), None)
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints/best.ckpt").touch()
    best = folder.resolve() / "checkpoints/best.ckpt"
    assert runs.checkpoint_files("latest", None) == [best]
    assert runs.checkpoint_files(f"latest,{folder.resolve()}", None) == [best, best]
    assert runs.checkpoint_files(None, f"[{best}, {best}]") == [best, best]
    with pytest.raises(FileNotFoundError, match=r"run=nowhere: there is no such run folder"):
        runs.checkpoint_files("latest,nowhere", None)


def test_a_name_with_a_comma_is_one_name_if_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert runs.several("a,b") == ["a", "b"]
    assert runs.several("[a]") == ["a"]
    assert runs.several(",") == [","]
    Path("a,b").mkdir()
    assert runs.several("a,b") == ["a,b"]


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


@pytest.mark.parametrize("cwd", ["/old", "/old/project", "/elsewhere", "/old/project\0", 7, ""])
def test_where_a_run_began_moves_with_it(tmp_path: Path, cwd: object):
    run = tmp_path / "new/runs/some/today"
    run.mkdir(parents=True)
    known = [cwd] if isinstance(cwd, str) and cwd else []
    assert runs.beginnings(run, cwd) == known  # by runs of older versions
    (run / "environment.json").write_text('{"folder": "/old/project/runs/some/today"}')
    if cwd == "/old/project":
        assert runs.beginnings(run, cwd) == [str(tmp_path / "new"), cwd]
    assert runs.beginnings(run, cwd)[-1:] == known
    for damage in ("[", "[1]", '{"folder": 7}', '{"folder": ""}'):
        (run / "environment.json").write_text(damage)
        assert runs.beginnings(run, cwd) == known
        assert runs.identity(run) is None
