import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segtrain.errors import UserError
from segtrain.prediction.images import find_images


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def photo(name: str) -> Path:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (3, 2)).save(name)
    return Path(name)


def test_a_folder_of_arrays_alone_is_one_of_images():
    for name in ("arrays/a.npy", "mixed/a.npy"):
        Path(name).parent.mkdir()
        np.save(name, np.zeros((20, 30, 3), np.uint8))
    photo("mixed/b.png")
    assert list(find_images("arrays").files) == ["a"]
    assert find_images("mixed").files == {"b": Path("mixed/b.png")}
    assert find_images("mixed").others == [Path("mixed/a.npy")]


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def test_films_are_taken_along_with_the_images_that_come_first():
    pytest.importorskip("av")
    touch("clips/deep/c.MOV", "mixed/a.mp4", "mixed/notes.txt")
    photo("mixed/b.png")
    assert find_images("clips").files == {"deep/c": Path("clips/deep/c.MOV")}
    for images in ("mixed", "mixed/*"):
        assert list(find_images(images).files) == ["b", "a"]
        assert find_images(images).others == [Path("mixed/notes.txt")]
    assert list(find_images("[clips,mixed]").files) == ["mixed/b", "clips/deep/c", "mixed/a"]
    Path("list.txt").write_text("mixed/a.mp4\nmixed/b.png\n")
    assert list(find_images("list.txt").files) == ["b", "a"]


def test_a_film_that_has_the_name_of_an_image_or_of_a_folder_keeps_its_suffix():
    pytest.importorskip("av")
    touch("new/a.mov", "new/a.mp4", "new/b.mp4", "new/c.mov", "new/c.mp4")
    photo("new/a.jpg")
    photo("new/b/000001.png")
    found = find_images("new").files
    assert list(found) == ["a", "b/000001", "a.mov", "a.mp4", "b.mp4", "c", "c.mp4"]
    assert (found["a"], found["c"]) == (Path("new/a.jpg"), Path("new/c.mov"))


def test_without_the_extra_films_are_left_aside_and_named_where_there_is_nothing_else(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "av", None)
    touch("clips/a.mp4", "mixed/a.mp4")
    photo("mixed/a.png")
    assert find_images("mixed").files == {"a": Path("mixed/a.png")}
    assert find_images("mixed").others == [Path("mixed/a.mp4")]
    for images in ("clips", "clips/*", "clips/a.mp4", "[mixed,clips]"):
        with pytest.raises(UserError, match=r"^images=clips.*: films need PyAV: pip install 'segtrain\[video\]'$"):
            find_images(images)


def test_the_lines_of_a_list_are_seen_from_here_or_from_the_list():
    for name in ("day/a.png", "day/deep/b.png", "c.png"):
        photo(name)
    Path("day/list.txt").write_text("deep/b.png\r\na.png\r\n", encoding="utf-16")
    assert list(find_images("day/list.txt").files) == ["deep/b", "a"]
    Path("day/list.txt").write_text("day/a.png\nc.png\n")
    assert list(find_images("day/list.txt").files) == ["day/a", "c"]
    Path("day/list.txt").write_text(f"{Path.cwd()}/day/deep/../a.png\n")
    assert list(find_images("day/list.txt").files) == ["a"]


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"a.png\ngone.png\n", "list.txt: gone.png: there is no such file, neither seen from here nor from that list"),
        (b"# nothing\n\n", "list.txt: the list is empty"),
        (b"\xff\xd8\xff", "list.txt: it is no UTF-8 text"),
        (b"a.png\na.jpg\n", "would both become a.png"),
    ],
)
def test_a_list_that_cannot_be_used(content: bytes, error: str):
    photo("a.png")
    photo("a.jpg")
    Path("list.txt").write_bytes(content)
    with pytest.raises((UserError, FileNotFoundError), match=error):
        find_images("list.txt")


def test_several_names_are_files_folders_and_globs():
    for name in ("x/a.png", "y/deep/b.png", "z/c1.png", "z/d.png"):
        photo(name)
    Path("y/notes.txt").write_text("none")
    found = find_images("[x/a.png, y, z/c*.png]")
    assert list(found.files) == ["x/a", "y/deep/b", "z/c1"]
    assert found.others == [Path("y/notes.txt")]
    with pytest.raises(FileNotFoundError, match=r"images=z/e\*: no image found"):
        find_images("x,z/e*")


def test_a_name_with_a_comma_is_one_name():
    photo("a,b/c.png")
    photo("a,b/[d,e].png")
    assert list(find_images("a,b").files) == ["[d,e]", "c"]
    assert list(find_images("a,b/[d,e].png").files) == ["[d,e]"]
