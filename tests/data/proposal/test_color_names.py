import pytest

from segtrain.data.proposal.color_names import channel_numbers, colour_word, colour_words


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
