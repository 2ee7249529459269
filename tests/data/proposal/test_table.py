"""What a proposal is made of."""

from itertools import combinations

from segtrain.data.proposal.color_names import spare_color
from segtrain.data.proposal.table import distinct


def test_names_and_colours_become_their_own():
    colors = [[0, 0, 0], [0, 0, 0], [230, 60, 60], [0, 0, 0]]
    classes = distinct([{"name": "a", "color": color} for color in colors])
    assert [entry["name"] for entry in classes] == ["a", "a_2", "a_3", "a_4"]
    assert [entry["color"] for entry in classes] == [[0, 0, 0], [70, 130, 230], [230, 60, 60], [250, 200, 50]]


def test_thousands_of_classes_have_colours_of_their_own():
    classes = distinct([{"name": "a", "color": list(spare_color(0))} for _ in range(3000)])
    assert len({tuple(entry["color"]) for entry in classes}) == 3000


def test_colours_that_are_hardly_told_apart_are_shown_in_others():
    near = distinct([{"name": "a", "color": [1, 0, 0]}, {"name": "b", "color": [2, 0, 0]}], by_colour=True)
    assert near[0] == {"name": "a", "color": [1, 0, 0]}
    assert near[1] == {"name": "b", "color": [230, 60, 60], "colors": [[2, 0, 0]]}
    far = [{"name": "a", "color": [0, 0, 142]}, {"name": "b", "color": [0, 0, 110]}]
    assert distinct([dict(entry) for entry in far]) == far
    written = [{"name": "a", "color": [0, 60, 100]}, {"name": "b", "color": [0, 80, 100]}]
    assert distinct([dict(entry) for entry in written], given={"a", "b"}) == written


def test_forty_classes_have_colours_that_are_told_apart():
    colors = [entry["color"] for entry in distinct([{"name": "a", "color": list(spare_color(i))} for i in range(40)])]
    apart = [sum((a - b) ** 2 for a, b in zip(*both, strict=True)) for both in combinations(colors, 2)]
    assert min(apart) >= 30**2
