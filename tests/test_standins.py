"""scripts/standins.py: sets that a stranger might bring, drawn alike by the same seed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segtrain.data.layouts.choice import open_folder
from tests.conftest import script

IMAGES = 4  # of each set


@pytest.fixture(scope="module")
def standins() -> Any:
    module = script("standins")
    module.TILES = module.FACADES = IMAGES
    return module


def draw(standins: Any, folder: Path, seed: int) -> dict[str, bytes]:
    standins.main([str(folder), "--seed", str(seed)])
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*.png")}


@pytest.fixture(scope="module")
def folder(standins: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both sets, drawn with seed 0."""
    folder = tmp_path_factory.mktemp("standins")
    draw(standins, folder, seed=0)
    return folder


@pytest.mark.slow
def test_the_same_seed_draws_the_same_files_and_another_one_others(standins: Any, folder: Path, tmp_path: Path):
    first = {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*.png")}
    assert len(first) == 4 * IMAGES
    assert draw(standins, tmp_path / "again", seed=0) == first
    other = draw(standins, tmp_path / "other", seed=1)
    assert other.keys() == first.keys()
    assert other != first


def classes_in(folder: Path) -> list[set[int]]:
    return [set(np.unique(np.asarray(Image.open(file))).tolist()) for file in folder.iterdir()]


def test_some_tiles_have_defects_and_each_facade_most_of_eleven_classes(folder: Path):
    tiles, facades = classes_in(folder / "tiles" / "masks"), classes_in(folder / "facades" / "masks")
    assert {0} in tiles
    assert {0, 255} in tiles
    assert set.union(*facades) == set(range(11))
    assert min(map(len, facades)) >= 7


@pytest.mark.parametrize("name", ["tiles", "facades"])
def test_both_are_read_as_pairs_of_images_and_masks(folder: Path, name: str):
    assert len(open_folder(folder / name).reading.pairs) == IMAGES
