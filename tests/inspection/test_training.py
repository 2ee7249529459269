"""The look before a training."""

from pathlib import Path

import pytest
from PIL import Image

from segtrain.data.files.masks import MaskFile
from segtrain.data.files.pair import Pair
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
