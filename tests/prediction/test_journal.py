import json
import os
from contextlib import suppress
from pathlib import Path

import pytest

from segtrain.errors import UserError
from segtrain.prediction.journal import Journal, key_of, stamp_of


class Stopped(Exception):
    pass


def journal(folder: Path, key: str = "a") -> Journal:
    return Journal(folder / "out" / "unfinished.jsonl", key, columns=2, home=folder)


def stopped_after(folder: Path, *sources: Path, key: str = "a") -> None:
    """A work that noted these sources, and was stopped."""
    with suppress(Stopped), journal(folder, key) as work:
        for number, source in enumerate(sources):
            work.note(source.name, stamp_of(source), [number, "0.5"])
        raise Stopped


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    files = [tmp_path / name for name in ("one", "two", "three")]
    for file in files:
        file.write_text(file.name)
    return files


def test_the_same_work_goes_on_where_it_was_stopped(tmp_path: Path, sources: list[Path]) -> None:
    stopped_after(tmp_path, *sources[:2])
    with journal(tmp_path) as work:
        assert [work.done(file.name, file) for file in sources] == [[0, "0.5"], [1, "0.5"], None]


def test_a_work_that_is_done_leaves_no_file(tmp_path: Path, sources: list[Path]) -> None:
    with journal(tmp_path) as work:
        work.note("one", stamp_of(sources[0]), [1, 2])
    assert list((tmp_path / "out").iterdir()) == []


def test_a_work_that_is_stopped_again_keeps_what_was_done_before(tmp_path: Path, sources: list[Path]) -> None:
    stopped_after(tmp_path, *sources[:2])
    with suppress(Stopped), journal(tmp_path) as work:
        raise Stopped
    stopped_after(tmp_path, sources[2])
    with journal(tmp_path) as work:
        assert [work.done(file.name, file) is not None for file in sources] == [True, True, True]


def test_once_another_work_has_begun_the_first_one_is_not_gone_on_with(tmp_path: Path, sources: list[Path]) -> None:
    stopped_after(tmp_path, *sources)
    stopped_after(tmp_path, key="b")  # before it noted anything; it may have written over results
    with journal(tmp_path) as work:
        assert work.done("one", sources[0]) is None


def test_a_source_of_the_same_name_elsewhere_is_another_one(tmp_path: Path, sources: list[Path]) -> None:
    stopped_after(tmp_path, *sources)
    (tmp_path / "elsewhere").mkdir()
    other = tmp_path / "elsewhere" / "one"
    other.write_text("one")
    status = sources[0].stat()
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    with journal(tmp_path) as work:
        assert work.done("one", other) is None


def test_a_link_or_a_pipe_in_place_of_the_file_is_not_followed(tmp_path: Path, sources: list[Path]) -> None:
    file, target = tmp_path / "out" / "unfinished.jsonl", tmp_path / "out" / "weights"
    file.parent.mkdir()
    target.write_text("precious")
    file.symlink_to(target)
    stopped_after(tmp_path, *sources)
    assert target.read_text() == "precious"
    assert not file.is_symlink()
    file.unlink()
    os.mkfifo(file)
    stopped_after(tmp_path, *sources)
    with journal(tmp_path) as work:
        assert work.done("one", sources[0]) == [0, "0.5"]


def test_another_work_begins_anew(tmp_path: Path, sources: list[Path]) -> None:
    stopped_after(tmp_path, *sources)
    with journal(tmp_path, key="b") as work:
        assert work.done("one", sources[0]) is None


def test_a_source_that_has_changed_is_not_done(tmp_path: Path, sources: list[Path]) -> None:
    stopped_after(tmp_path, *sources)
    os.utime(sources[0], ns=(0, 0))
    sources[1].write_text("longer than before")
    with journal(tmp_path) as work:
        assert [work.done(file.name, file) for file in sources] == [None, None, [2, "0.5"]]


@pytest.mark.parametrize("cells", [[1], [1, 2, 3], [1, "=1+1"], [1, None], [1, [2]], "12", {"a": 1, "b": 2}])
def test_what_is_no_row_of_numbers_does_not_count(tmp_path: Path, sources: list[Path], cells: object) -> None:
    stopped_after(tmp_path, *sources)
    file = tmp_path / "out" / "unfinished.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    lines[2]["cells"] = cells
    file.write_text("\n".join(map(json.dumps, lines)))
    with journal(tmp_path) as work:
        assert [work.done(source.name, source) is None for source in sources] == [False, True, False]


def test_of_a_torn_file_the_whole_lines_count(tmp_path: Path, sources: list[Path]) -> None:
    stopped_after(tmp_path, *sources)
    file = tmp_path / "out" / "unfinished.jsonl"
    file.write_bytes(file.read_bytes()[:-9])
    with journal(tmp_path) as work:
        assert [work.done(source.name, source) is None for source in sources] == [False, False, True]


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "home" / "out").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError):
        journal(tmp_path / "home")


def test_the_key_is_another_one_for_other_settings_and_other_files(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"weights")
    two.write_bytes(b"others")
    keys = [key_of([one], {"flip": True}), key_of([one], {"flip": False}), key_of([two], {"flip": True})]
    assert len(set(keys)) == 3
    assert key_of([one], {"flip": True}) == keys[0]
