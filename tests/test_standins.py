"""scripts/standins.py: sets that a stranger might bring, drawn alike by the same seed."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segtrain.data.layouts.choice import open_folder

SCRIPT = Path(__file__).parents[1] / "scripts" / "standins.py"


@pytest.fixture(scope="module")
def standins() -> Any:
    spec = spec_from_file_location("standins", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    module.TILES = module.FACADES = 6
    return module


def drawn(standins: Any, folder: Path, seed: int) -> dict[str, bytes]:
    standins.main([str(folder), "--seed", str(seed)])
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*.png")}


def test_the_same_seed_draws_the_same_files_and_another_one_others(standins: Any, tmp_path: Path):
    first = drawn(standins, tmp_path / "first", seed=0)
    assert len(first) == 24
    assert drawn(standins, tmp_path / "again", seed=0) == first
    assert drawn(standins, tmp_path / "other", seed=1) != first


def test_some_tiles_have_defects_and_each_facade_most_of_eleven_classes(standins: Any, tmp_path: Path):
    drawn(standins, tmp_path, seed=0)
    tiles = [set(np.unique(np.asarray(Image.open(file)))) for file in (tmp_path / "tiles" / "masks").iterdir()]
    assert {0} in tiles
    assert {0, 255} in tiles
    facades = [set(np.unique(np.asarray(Image.open(file)))) for file in (tmp_path / "facades" / "masks").iterdir()]
    assert set.union(*facades) == set(range(11))
    assert min(map(len, facades)) >= 7


@pytest.mark.parametrize("name", ["tiles", "facades"])
def test_both_are_read_as_pairs_of_images_and_masks(standins: Any, tmp_path: Path, name: str):
    drawn(standins, tmp_path, seed=0)
    assert len(open_folder(tmp_path / name).reading.pairs) == 6
