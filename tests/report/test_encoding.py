import numpy as np
import pytest
from PIL import Image

from segtrain.data.classes import ClassTable
from segtrain.report.encoding import encoded, void_number

COLOURS = {
    "ignore": [[9, 9, 9]],
    "classes": [
        {"name": "a", "color": [0, 0, 0], "colors": [[1, 2, 3], [0, 0, 0]]},
        {"name": "b", "color": [255, 0, 0]},
        {"name": "c", "color": [0, 255, 0]},
    ],
}
VALUES = {
    "ignore": 7,
    "classes": [{"name": "a", "values": ["100-120"]}, {"name": "b", "values": [3, 2]}, {"name": "c", "values": [9]}],
}
DEEP = {"ignore": None, "classes": [{"name": "a", "values": [4000, 1]}, {"name": "b", "values": ["0", "2-255"]}]}


def table(spec: dict) -> ClassTable:
    return ClassTable.from_spec(spec)


def read(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture)


@pytest.mark.parametrize(("spec", "encoding"), [(COLOURS, "colors"), (VALUES, "values"), (DEEP, "values")])
def test_a_mask_is_read_again_as_what_it_was(spec: dict, encoding: str):
    classes = table(spec)
    mask = np.random.default_rng(0).integers(0, len(classes), (20, 30))
    if spec["ignore"] is not None:
        mask[3, 4:8] = classes.void
    assert (classes.encode(read(encoded(mask, classes, encoding))) == mask).all()


def test_the_first_value_and_the_first_colour_stand_for_a_class():
    values, mask = table(VALUES), np.array([[0, 1, 2, 255]])
    assert read(encoded(np.array([[0, 1, 2, values.void]]), values, "values")).tolist() == [[100, 3, 9, 7]]
    expected = [[[1, 2, 3], [255, 0, 0], [0, 255, 0], [9, 9, 9]]]
    assert read(encoded(mask, table(COLOURS), "colors")).tolist() == expected
    assert read(encoded(mask[:, :2], table(DEEP), "values")).tolist() == [[4000, 0]]


def test_void_is_told_from_every_class_where_nothing_is_ignored():
    classes = table(DEEP)
    mask = np.array([[0, 1, classes.void]])
    assert read(encoded(mask, classes, "values")).tolist() == [[4000, 0, 65535]]
    spec = {"ignore": None, "classes": [{"name": "a", "color": [0, 0, 0]}, {"name": "b", "color": [255, 255, 255]}]}
    assert read(encoded(np.array([[0, 1, 255]]), table(spec), "colors"))[0, 2].tolist() == [255, 0, 255]
    assert read(encoded(np.array([[0, 1, 255]]), table(spec), "values")).tolist() == [[0, 1, 255]]


def test_class_indices_have_the_colours_as_their_palette():
    picture = encoded(np.array([[0, 1, 2, 255]]), table(COLOURS), "index")
    assert (picture.mode, read(picture).tolist()) == ("P", [[0, 1, 2, 255]])
    assert read(picture.convert("RGB"))[0, 1].tolist() == [255, 0, 0]
    many = {"classes": [{"name": f"{i}"} for i in range(300)]}
    assert read(encoded(np.array([[0, 299, 300]]), table(many), "index")).tolist() == [[0, 299, 300]]


def test_the_number_of_void():
    assert void_number(table(VALUES), "values") == 7
    assert void_number(table(DEEP), "index") == 255
    assert void_number(table(COLOURS), "colors") is None
