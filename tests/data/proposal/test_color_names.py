import pytest

from segtrain.data.proposal.color_names import channel_numbers, colour_word, colour_words, joined, spare_color


@pytest.mark.parametrize(
    ("color", "word"),
    [
        ((254, 221, 58), "yellow"), ((110, 193, 228), "blue"), ((226, 169, 41), "orange"), ((60, 16, 152), "purple"),
        ((255, 0, 0), "red"), ((0, 128, 0), "green"), ((128, 128, 128), "grey"), ((128, 64, 0), "brown"),
        ((255, 255, 255), "white"), ((255, 0, 255), "pink"), ((0, 255, 255), "cyan"), ((0, 0, 5), "black"),
    ],
)  # fmt: skip
def test_colours_are_called_by_a_word(color: tuple[int, int, int], word: str):
    assert colour_word(color) == word


def test_names_by_colour_differ():
    assert colour_words([0x3C1098, 0x8429F6]) == {0x3C1098: "dark_purple", 0x8429F6: "purple"}
    assert colour_words([0x00FF00, 0x008000, 0x004000]) == {
        0x00FF00: "green_1",
        0x008000: "green_2",
        0x004000: "green_3",
    }


def test_numbers_in_one_channel():
    assert channel_numbers([0, 0x010000, 0x050000]) == {0: 0, 0x010000: 1, 0x050000: 5}
    assert channel_numbers([0, 0x000100, 0x000200]) == {0: 0, 0x000100: 1, 0x000200: 2}
    assert channel_numbers([0, 0xFF0000]) == {}
    assert channel_numbers([0, 0x800000, 0xFF0000]) == {}
    assert channel_numbers([0, 0x010000, 0x000100]) == {}
    assert channel_numbers([0]) == {}


def test_names_and_colours_become_their_own():
    colors = [[0, 0, 0], [0, 0, 0], [230, 60, 60], [0, 0, 0]]
    classes = joined([{"name": "a", "color": color} for color in colors])
    assert [entry["name"] for entry in classes] == ["a", "a_2", "a_3", "a_4"]
    assert [entry["color"] for entry in classes] == [[0, 0, 0], [70, 130, 230], [230, 60, 60], [250, 200, 50]]


def test_thousands_of_classes_have_colours_of_their_own():
    classes = joined([{"name": "a", "color": list(spare_color(0))} for _ in range(3000)])
    assert len({tuple(entry["color"]) for entry in classes}) == 3000
