"""The look before a training."""

from pathlib import Path

import pytest
from PIL import Image

from segtrain.data import FolderData
from segtrain.data.files.masks import MaskFile
from segtrain.data.files.pair import Pair
from segtrain.errors import UserError
from segtrain.inspection import training


def made_pairs(folder: Path, number: int) -> list[Pair]:
    pairs = []
    for i in range(number):
        image, mask = folder / f"{i}.jpg", folder / f"{i}.png"
        Image.new("RGB", (8, 8)).save(image)
        Image.new("L", (8, 8)).save(mask)
        pairs.append(Pair(str(i), image, MaskFile(mask)))
    return pairs


def test_some_of_many_pairs_tell_how_long_the_check_will_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[int] = []

    def half(some: list[Pair], _: Path | None) -> list[Pair]:
        asked.append(len(some))
        return some[: len(some) // 2]

    pairs = made_pairs(tmp_path, 12)
    monkeypatch.setattr(training, "SAMPLE", 10)
    monkeypatch.setattr(training, "unknown", half)
    assert training.seconds_to_read(pairs, 10**6) > 0
    assert asked == [10]
    monkeypatch.setattr(training, "unknown", lambda some, _: [])
    assert training.seconds_to_read(pairs, 10**6) == 0


def test_few_pairs_that_are_not_remembered_take_no_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(training, "survey", lambda *args, **options: pytest.fail("files were read"))
    assert training.seconds_to_read(made_pairs(tmp_path, training.TRIAL), 10**6) == 0


def test_names_and_headers_show_errors_of_the_kinds_that_check_shows(tmp_path: Path):
    for kind, suffix in (("images", "jpg"), ("masks", "png")):
        for split in ("train", "val"):
            (tmp_path / kind / split).mkdir(parents=True)
            for name in "abc":
                Image.new("L", (8, 8)).save(tmp_path / kind / split / f"{name}.{suffix}")
    Image.new("L", (8, 6)).save(tmp_path / "masks/train/a.png")
    (tmp_path / "images/val/a.jpg").write_bytes(b"no image")
    (tmp_path / "masks/val/b.png").unlink()
    (tmp_path / "images/val/c.jpg").unlink()
    (tmp_path / "classes.yaml").write_text("classes: [{name: a}]\n")
    data = FolderData(root=str(tmp_path), classes=None, crop=None, batch_size=1, workers=0)
    errors = {error.kind: error for error in training.header_errors(data)}
    assert {kind: Path(error.file).relative_to(tmp_path).as_posix() for kind, error in errors.items()} == {
        "no mask": "images/val/b.jpg",
        "no image": "masks/val/c.png",
        "size": "images/train/a.jpg",
        "unreadable": "images/val/a.jpg",
    }
    with pytest.raises(UserError, match="is 8 x 8: a mask needs the size of its image; or go on without"):
        training.refuse(tmp_path, [errors["size"]], data.classes)
