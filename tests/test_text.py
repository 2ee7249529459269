"""Text from strangers, and numbers of things."""

from typing import Any

import pytest

from segtrain.text import counted, plain_cell


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@a", "\ta", "\r=a", " =a", "＝1"])  # noqa: RUF001
def test_a_formula_becomes_a_text(text: str):
    assert plain_cell(text) == f"'{text}"


@pytest.mark.parametrize("value", ["a", "a=b", "images/=3.png", "", -1, -0.5, 3, None])
def test_all_else_stays(value: Any):
    assert plain_cell(value) == value


def test_one_is_singular():
    nouns = [counted(1, "image"), counted(2, "image"), counted(0, "class"), counted(3, "class"), counted(2, "box")]
    assert nouns == ["1 image", "2 images", "0 classes", "3 classes", "2 boxes"]
