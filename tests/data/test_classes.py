import numpy as np
import pytest

from segtrain.data.classes import ClassTable

TWO = {"ignore": 255, "classes": [{"name": "ground", "color": [0, 0, 0]}, {"name": "car", "color": [64, 0, 128]}]}


def table(**changes: object) -> ClassTable:
    return ClassTable.from_spec(TWO | changes)


def test_a_value_means_the_class_at_its_position_and_ignore_is_void():
    mask = np.array([[0, 1, 255]], np.uint8)
    assert table().encode(mask).tolist() == [[0, 1, 255]]
    assert table().void == 255


def test_values_and_ranges_are_owned_by_the_class_that_lists_them():
    classes = [{"name": "no", "values": [0]}, {"name": "soft", "values": [7, "128-255"]}]
    mask = np.array([[0, 7, 128, 200, 255]], np.uint8)
    assert table(ignore=None, classes=classes).encode(mask).tolist() == [[0, 1, 1, 1, 1]]


def test_colours_mean_classes_in_rgb_masks():
    classes = [{"name": "a", "color": [1, 2, 3]}, {"name": "b", "color": [9, 9, 9], "colors": [[9, 9, 9], [8, 8, 8]]}]
    mask = np.array([[[1, 2, 3], [9, 9, 9], [8, 8, 8]]], np.uint8)
    assert table(classes=classes).encode(mask).tolist() == [[0, 1, 1]]


def test_an_ignored_value_that_is_also_a_position_becomes_another_void():
    classes = [{"name": "a", "values": [1]}, {"name": "b", "values": [2]}]
    chosen = table(ignore=0, classes=classes)
    assert chosen.encode(np.array([[0, 1, 2]], np.uint8)).tolist() == [[chosen.void, 0, 1]]
    assert chosen.void not in (0, 1)


def test_an_ignored_value_of_16_bits_becomes_a_void_of_8():
    chosen = table(ignore=65535)
    assert chosen.encode(np.array([[1, 65535]], np.uint16)).tolist() == [[1, chosen.void]]
    assert chosen.dtype == np.uint8


@pytest.mark.parametrize("mask", [np.array([[70000]]), np.array([[0.5]])])
def test_masks_beyond_16_bits_or_not_whole_are_refused(mask: np.ndarray):
    with pytest.raises(ValueError, match="expected whole numbers from 0 to 65535"):
        table().encode(mask)


def test_more_than_255_classes_need_int16():
    many = table(ignore=None, classes=[{"name": str(i)} for i in range(300)])
    assert many.encode(np.array([[299]], np.uint16)).dtype == np.int16
    assert table().encode(np.array([[1]], np.uint8)).dtype == np.uint8


def test_unlisted_values_are_named_with_their_pixels():
    with pytest.raises(ValueError, match=r"values 7 \(2 pixels\), 9 \(1 pixels\) belong to none of the 2 classes"):
        table().encode(np.array([[0, 7, 7, 9]], np.uint8))


def test_unlisted_colours_are_named_with_their_pixels():
    with pytest.raises(ValueError, match=r"colours \[1, 1, 1\] \(1 pixels\)"):
        table().encode(np.array([[[0, 0, 0], [1, 1, 1]]], np.uint8))


def test_other_ignore_turns_unlisted_values_into_void():
    assert table(other="ignore").encode(np.array([[0, 7]], np.uint8)).tolist() == [[0, 255]]


def test_colours_that_nobody_chose_are_pascal_vocs():
    chosen = table(classes=[{"name": str(i)} for i in range(5)])
    assert chosen.colors.tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128]]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, "expected `classes:`"),
        ([], "expected `classes:`"),
        ({"classes": [{"color": [0, 0, 0]}]}, "class 0: .* is not a mapping with name"),
        ({"classes": [{"name": "a", "colour": [0, 0, 0]}]}, "class 0"),
        ({"classes": [{"name": "a"}, {"name": "a"}]}, "'a' stands twice"),
        ({"classes": [{"name": "a", "color": [0, 0, 300]}]}, "not three numbers from 0 to 255"),
        ({"classes": [{"name": "a", "values": ["x"]}]}, "invalid literal"),
        ({"classes": [{"name": "a", "values": [70000]}]}, "within 0 to 65535"),
        ({"classes": [{"name": "a", "values": [1]}, {"name": "b", "values": [1]}]}, "1 belongs to both 'a' and 'b'"),
        ({"ignore": 0, "classes": [{"name": "a"}]}, "0 belongs to both 'ignore' and 'a'"),
        ({"ignore": -1, "classes": [{"name": "a"}]}, "ignore: -1 is neither null nor a mask value"),
        ({"ignore": [0, 255], "classes": [{"name": "a"}]}, "is neither null nor a mask value"),
        ({"classes": [{"name": "a"}], "other": "skip"}, "neither error nor ignore"),
        ({"classes": [{"name": "a"}], "palette": 1}, "unknown entry 'palette'"),
    ],
)
def test_malformed_tables_are_refused_in_one_line(spec: object, message: str):
    with pytest.raises(ValueError, match=message) as refusal:
        ClassTable.from_spec(spec, "here.yaml")
    assert str(refusal.value).startswith("here.yaml: ")
    assert "\n" not in str(refusal.value)


def test_a_file_that_is_no_yaml_is_named(tmp_path):
    path = tmp_path / "classes.yaml"
    path.write_text("classes: [")
    with pytest.raises(ValueError, match=r"classes.yaml: not YAML") as refusal:
        ClassTable.from_file(path)
    assert "\n" not in str(refusal.value)
