"""Folders of empty files, of which the names alone count."""

from collections.abc import Callable
from pathlib import Path

import pytest

from segtrain.data.layouts.tree import Tree

Grow = Callable[..., Tree]


@pytest.fixture
def grow(tmp_path: Path) -> Grow:
    """Writes files, by their paths, into `root`, and lists what is there; a list or table by its path and its text."""

    def write(*names: str, outside: bool = False, **texts: str) -> Tree:
        root = tmp_path / "root"
        root.mkdir(exist_ok=True)
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).touch()
        for name, text in texts.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        return Tree(root, outside=outside)

    return write
