from pathlib import Path

import pytest

from segtrain import disk


def test_a_file_is_replaced_in_one_go_and_nothing_else_is_left(tmp_path: Path):
    path = tmp_path / "some.json"
    disk.write(path, "old")
    disk.write(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_leaves_the_old_file_and_no_unfinished_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "some.json"
    disk.write(path, "old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        disk.write(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("links", [True, False])
def test_a_second_name_is_a_link_or_else_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool):
    def refuse(self: Path, target: Path) -> None:
        raise OSError("no hard links here")

    if not links:
        monkeypatch.setattr(Path, "hardlink_to", refuse)
    (tmp_path / "a").write_bytes(b"content")
    disk.link(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"content"
    assert (tmp_path / "b").samefile(tmp_path / "a") == links


def test_clearing_removes_unfinished_files_alone(tmp_path: Path):
    (tmp_path / "checkpoints").mkdir()
    for name in ("checkpoints/new.tmp", "config.yaml.tmp", "checkpoints/last.ckpt"):
        (tmp_path / name).touch()
    disk.clear(tmp_path)
    assert {path.name for path in tmp_path.rglob("*")} == {"checkpoints", "last.ckpt"}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("my photos (2024) [x]", "my_photos_2024_x"),
        ("a=b,c", "a_b_c"),
        ("жёлтый", "жёлтый"),
        ("e\u0301te\u0301", "\xe9t\xe9"),
        ("हिन्दी", "हिन्दी"),
        ("-rf ../..", "rf"),
        ("${x}'\"\n\x1b", "x"),
        (".hidden", "hidden"),
        ("😀", ""),
        ("x" * 300, "x" * 40),
    ],
)
def test_names_of_files_need_no_quotes(text: str, name: str):
    assert disk.file_name(text) == name


def test_a_copy_never_replaces_an_older_one(tmp_path: Path):
    path = tmp_path / "splits.csv"
    assert disk.keep_copy(path) is None
    for number, name in enumerate(("splits.csv.bak", "splits.csv.bak2", "splits.csv.bak3")):
        path.write_text(str(number))
        assert disk.keep_copy(path) == tmp_path / name
    assert [(tmp_path / f"splits.csv.bak{end}").read_text() for end in ("", "2", "3")] == ["0", "1", "2"]


def test_waiting_for_a_file_makes_none(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        disk.sync(tmp_path / "nothing.csv")
    assert list(tmp_path.iterdir()) == []
