from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segtrain.errors import UserError
from segtrain.images import find_images


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
