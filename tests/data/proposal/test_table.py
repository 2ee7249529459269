"""What a proposal is made of."""

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
