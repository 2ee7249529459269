from pathlib import Path
from typing import Any

import pytest

from segtrain.errors import UserError
from segtrain.places import matches, refuse_absent


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("set [new]/a.png", "set [new]/deep/b.png", "a*b/a.png", "axb/x.png", "y/set [1]/c.png", "y/.d/e.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "folder", "found"),
    [
        ("set [new]/*.png", "set [new]", ["a.png"]),
        ("set [new]/**/*.png", "set [new]", ["a.png", "deep/b.png"]),
        ("./set [new]/*.png", "set [new]", ["a.png"]),
        ("a*b/*.png", "a*b", ["a.png"]),
        ("a?b/*.png", "", ["a*b/a.png", "axb/x.png"]),
        ("*/set [1]/*.png", "", ["y/set [1]/c.png"]),
        ("set [[]new]/*.png", "", ["set [new]/a.png"]),
        ("y/*/*.png", "y", ["set [1]/c.png"]),
        ("y/.d/*.png", "y/.d", ["e.png"]),
        ("absent/*.png", "", []),
        ("y/**/*.jpg", "y", []),
    ],
)
def test_what_is_there_as_it_stands_is_no_pattern(pattern: str, folder: str, found: list[str]):
    base, paths = matches(pattern)
    assert base == Path(folder)
    assert [path.relative_to(base).as_posix() for path in paths] == found


def test_a_whole_path_is_a_pattern_too(here: Path):
    base, paths = matches(f"{here}/set [new]/*.png")
    assert (base, paths) == (here / "set [new]", [here / "set [new]" / "a.png"])


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"run": "x", "checkpoint": None}, FileNotFoundError, "run=x: there is no such run folder"),
        ({"run": None, "checkpoint": "x.ckpt"}, FileNotFoundError, "x.ckpt: there is no such checkpoint"),
        ({"run": None, "checkpoint": "https://x/y.ckpt"}, UserError, "remote checkpoints are not read"),
        ({"run": None, "checkpoint": None}, UserError, "name the trained network"),
        ({"resume": "x"}, FileNotFoundError, "resume=x: there is no such run folder"),
        ({"init": "x"}, FileNotFoundError, "init=x: there is no such run folder"),
        ({"data": {"root": "axc"}}, FileNotFoundError, "data.root=axc: there is no such folder"),
        ({"data": {"root": "axb/x.png"}}, FileNotFoundError, "this is a file: name the folder"),
        ({"images": "axb/z.png"}, FileNotFoundError, "no image found: there is nothing of that name (seen from "),
        ({"images": "axb/y.png"}, FileNotFoundError, "; did you mean axb/x.png?"),
        ({"images": "axb/*.jpg"}, FileNotFoundError, "no image found: axb holds 1 .png"),
        ({"images": "ayb/*.jpg"}, FileNotFoundError, "no image found: ayb: there is no such folder"),
    ],
)
def test_what_is_not_there_is_refused(settings: dict[str, Any], error: type[Exception], message: str):
    with pytest.raises(error) as caught:
        refuse_absent(settings)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"run": None, "checkpoint": "axb/x.png", "images": "a*b/*.png"},
        {"init": "axb/x.png", "resume": None, "data": {"root": "axb", "origin": None}},
        {"data": {"root": "absent", "origin": "voc2012"}},  # which is said with what to put there
        {"data": {"root": None}},
        {"images": "set [new]"},
    ],
)
def test_what_is_there_and_what_is_not_known_yet_passes(settings: dict[str, Any]):
    refuse_absent(settings)
