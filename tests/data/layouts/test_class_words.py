"""The words that tell the masks of an image apart."""

from typing import Any

import pytest

from segtrain.data.layouts.class_words import (
    Part,
    class_values,
    counts_objects,
    is_class,
    recurring,
    table_of,
    with_class_names,
    without_role,
)


@pytest.mark.parametrize(
    ("stem", "rest"),
    [
        ("x_car_mask", "x_car"),
        ("mask_x", "x"),
        ("gt-x_car", "x_car"),
        ("mask", ""),
        ("x", "x"),
        ("x_mask_car", "x_mask_car"),
    ],
)
def test_a_name_without_the_words_for_masks_at_its_ends(stem: str, rest: str):
    assert without_role(stem) == rest


@pytest.mark.parametrize(
    ("word", "expected"),
    [("car", True), ("3", False), ("labelIds", False), ("overlay", False), ("human", True), ("mask", False)],
)
def test_what_can_be_the_name_of_a_class(word: str, expected: bool):
    assert is_class(word) == expected


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([{1}, {1, 2}], True),
        ([{0, 1, 2}, {0}], True),
        ([{1}, {1}], True),
        ([{1, 2}, {1, 2}], False),  # two grades of each image
        ([{1, 3}, {1}], False),  # a grade is not there
        ([{2}, {1}], False),
    ],
)
def test_numbers_that_count_objects(numbers: list[set[int]], expected: bool):
    assert counts_objects(numbers) == expected


def part(image: str, word: str) -> Part:
    return Part(f"{image}_{word}.png", image, word, f"{image}_*.png")


def test_a_class_has_the_name_that_is_written_most_often():
    parts = [part("a", "Car"), part("b", "car"), part("c", "Car_mask"), part("c", "overlay")]
    assert [found.word for found in with_class_names(parts)] == ["Car", "Car", "Car"]


def test_most_words_have_to_recur():
    often = [part(image, word) for image in "ab" for word in ("car", "road")]
    assert recurring([*often, part("c", "tree"), part("d", "dog")]) == [*often, part("c", "tree"), part("d", "dog")]
    assert recurring([*often, *(part(image, f"x{image}") for image in "cde")]) == []
    assert recurring([part("a", "car"), part("b", "car"), part("a", "tree")]) == []


def test_values_go_by_names_and_void_counts_nowhere():
    values = class_values(["road", "Car", "void", "background"])
    assert values == {"background": 0, "Car": 1, "road": 2, "void": 3}
    table: dict[str, Any] = table_of(values)
    assert table["ignore"] == 3
    assert [(entry["name"], entry["values"]) for entry in table["classes"]] == [
        ("background", [0]),
        ("Car", [1]),
        ("road", [2]),
    ]
