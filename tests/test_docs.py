"""What the pages in docs/ show works."""

import re
from pathlib import Path

import pytest

PYTHON = Path(__file__).resolve().parents[1] / "docs" / "python.md"


def test_the_python_page_works_as_it_stands(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    page = PYTHON.read_text(encoding="utf-8").replace("train.steps=60", "train.steps=4")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 2
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(PYTHON), "exec"), names)
    assert names["mask"].shape == (200, 300)
    assert names["logits"].shape == (1, 6, 200, 300)
