"""Which reading is taken, where names leave it open."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segtrain.data.layouts.choice import open_folder

CLASSES = np.arange(64, dtype=np.uint8).reshape(8, 8) // 16


def index(path: Path) -> None:
    Image.fromarray(CLASSES).save(path.with_suffix(".png"))


def palette(path: Path) -> None:
    picture = Image.fromarray(CLASSES)
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    picture.save(path.with_suffix(".png"))


def colours(path: Path) -> None:
    Image.fromarray(np.stack([CLASSES * 60] * 2 + [CLASSES], -1)).save(path.with_suffix(".png"))


def lossy(path: Path) -> None:
    Image.fromarray(CLASSES * 60).save(path.with_suffix(".jpg"))


def objects(path: Path) -> None:
    Image.fromarray(CLASSES.astype(np.uint16) * 256).save(path.with_suffix(".png"))


def one_value(path: Path) -> None:
    Image.fromarray(CLASSES * 0 + 255).save(path.with_suffix(".png"))


Save = Callable[[Path], None]


def folders(root: Path, first: Save, second: Save) -> Path:
    """`images`, and two folders of masks that no name tells apart."""
    for name, save in (("images", colours), ("labels", first), ("masks", second)):
        (root / name).mkdir()
        for i in range(5):
            save(root / name / f"{i}")
    return root


@pytest.mark.parametrize("worse", [colours, lossy, objects, one_value])
@pytest.mark.parametrize("better", [index, palette])
def test_masks_of_one_number_for_each_class_are_taken(tmp_path: Path, better: Save, worse: Save):
    assert open_folder(folders(tmp_path, worse, better)).reading.layout == "flat:masks"
    assert [reading.layout for reading in open_folder(tmp_path).equals] == ["flat:masks"]


@pytest.mark.parametrize("kind", [index, colours])
def test_between_masks_of_one_kind_a_person_has_to_choose(tmp_path: Path, kind: Save):
    folder = open_folder(folders(tmp_path, kind, kind), ties=True)
    assert {reading.layout for reading in folder.equals} == {"flat:labels", "flat:masks"}
