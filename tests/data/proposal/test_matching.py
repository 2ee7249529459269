"""Entries of a class file and the values or colours of masks."""

import pytest

from segtrain.data.proposal.class_files import Listed
from segtrain.data.proposal.matching import by_color, by_value, differences, is_void

SKY, CAR = Listed("sky", (128, 128, 128)), Listed("car", (64, 0, 128))


def test_what_only_the_file_or_only_the_masks_have_is_said():
    assert differences([SKY, CAR], by_color([SKY, CAR]), {0x808080: 7, 0x010203: 3}, colors=True) == [
        "Of the class file's colours, these never occur in the masks: car #400080.",
        "These colours occur, and the class file does not list them: #010203 (3 pixels, 30.00 %).",
    ]
    assert differences([SKY, CAR], {0: SKY, 1: CAR}, {0: 7, 9: 1}, colors=False) == [
        "Of the class file's values, these never occur in the masks: car.",
        "These values occur, and the class file does not list them: 9 (1 pixels, 12.50 %).",
    ]
    assert differences([SKY], {0: SKY}, {0: 7}, colors=False) == []


def test_entries_own_values_as_they_say_else_by_palette_by_grey_and_by_position():
    assert by_value([0, 3], {}, [SKY._replace(values=(3, 4))]).keys() == {3, 4}
    assert by_value([1, 4], {1: (128, 128, 128), 4: (64, 0, 128)}, [SKY, CAR]) == {1: SKY, 4: CAR}
    white = Listed("white", (255, 255, 255))
    assert by_value([128, 255], {}, [white, SKY]) == {128: SKY, 255: white}
    assert by_value([0, 1, 255], {}, [SKY, CAR]) == {0: SKY, 1: CAR}
    assert by_value([0, 2], {}, [SKY, CAR]) == {}


@pytest.mark.parametrize(("name", "void"), [("__ignore__", True), ("Void", True), ("road", False)])
def test_names_of_no_class(name: str, void: bool):
    assert is_void(name) == void
