"""Tiny data sets in folders."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

CLASSES = """
ignore: 255
classes:
  - {name: ground, color: [10, 20, 30]}
  - {name: thing, color: [200, 100, 0]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """Writes images/SPLIT/NAME.png with masks/SPLIT/NAME.png of two classes and void, and a classes.yaml."""

    def write(splits: dict[str, int], size: tuple[int, int] = (12, 16)) -> Path:
        rng = np.random.default_rng(0)
        (tmp_path / "classes.yaml").write_text(CLASSES)
        for split, number in splits.items():
            for kind in ("images", "masks"):
                (tmp_path / kind / split).mkdir(parents=True, exist_ok=True)
            for i in range(number):
                picture = rng.integers(0, 256, (*size, 3), np.uint8)
                mask = rng.choice(np.array([0, 1, 255], np.uint8), size)
                Image.fromarray(picture).save(tmp_path / "images" / split / f"{i}.png")
                Image.fromarray(mask).save(tmp_path / "masks" / split / f"{i}.png")
        return tmp_path

    return write
