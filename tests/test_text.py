"""Text from strangers, and numbers of things."""

import re
from typing import Any

import pytest

from segtrain import text
from segtrain.errors import UserError
from segtrain.text import Pattern, counted, enumerated, plain_cell


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@a", "\ta", "\r=a", " =a", "＝1"])  # noqa: RUF001
def test_a_formula_becomes_a_text(text: str):
    assert plain_cell(text) == f"'{text}"


@pytest.mark.parametrize("value", ["a", "a=b", "images/=3.png", "", -1, -0.5, 3, None])
def test_all_else_stays(value: Any):
    assert plain_cell(value) == value


def test_one_is_singular():
    nouns = [counted(1, "image"), counted(2, "image"), counted(0, "class"), counted(3, "class"), counted(2, "box")]
    assert nouns == ["1 image", "2 images", "0 classes", "3 classes", "2 boxes"]


def test_of_many_the_first_are_named():
    assert enumerated(["a", "b", "c", "d"], 2) == "a, b and 2 more"
    assert enumerated(["a", "b"], 2) == "a, b"
    assert enumerated([], 2) == ""


def test_a_pattern_finds_what_the_standard_library_finds():
    for expression, name in ((r"^(\w+)_\d+", "scene_12"), (r"a|(b)", "xb"), (r"\d+$", "none"), ("^.", "äß")):
        match, expected = Pattern(expression).search(name), re.search(expression, name)
        assert (match and (match[0], match.groups())) == (expected and (expected[0], expected.groups()))


@pytest.mark.parametrize("expression", ["(", "[", "a{2,1}", "(?P<1>a)", "*"])
def test_what_is_no_pattern_is_refused(expression: str):
    with pytest.raises(UserError, match="not a regular expression"):
        Pattern(expression)


@pytest.mark.parametrize(
    ("expression", "name"), [("^(a|aa)+$", "a" * 60 + "b"), (r"(.*)(.*)(.*)(.*)(.*)\1b$", "xa" * 40)]
)
def test_a_pattern_that_never_ends_is_refused(expression: str, name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(text, "SEARCH", 0.3)
    pattern = Pattern(expression)
    with pytest.raises(UserError, match="takes too long"):
        pattern.search(f"{name}by")


def test_all_searches_of_a_pattern_have_their_time_together(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(text, "SEARCH", 0.01)
    pattern = Pattern("^(a|aa)+$")
    with pytest.raises(UserError, match="takes too long"):  # noqa: PT012
        for _ in range(1000):
            pattern.search("a" * 22 + "b")
