import numpy as np
import pytest

from segtrain.data.classes import ClassTable
from segtrain.report import class_curves as module
from segtrain.report.class_curves import by_last_score, class_curves

NAN = float("nan")


def table(classes: int) -> ClassTable:
    return ClassTable.from_spec({"ignore": 255, "classes": [{"name": f"class $ {i}"} for i in range(classes)]})


def colors(picture: np.ndarray) -> set[tuple[int, ...]]:
    return set(map(tuple, picture.reshape(-1, 3).tolist()))


def test_classes_stand_in_the_order_of_their_last_scores_and_one_without_any_is_left_out():
    assert by_last_score(np.array([[0.9, 0.2, NAN, 0.5], [0.1, NAN, NAN, 0.5]])) == [0, 1, 3]


@pytest.mark.parametrize("classes", [2, 11, 20])
def test_each_class_is_a_line_in_its_colour(classes: int):
    iou = np.linspace(0, 1, 3 * classes).reshape(3, classes)
    picture = class_curves([10, 20, 30], iou, table(classes))
    assert picture.dtype == np.uint8
    assert {tuple(color) for color in table(classes).colors.tolist()} <= colors(picture)


def test_a_class_that_never_occurred_has_no_line():
    iou = np.array([[0.5, NAN], [0.75, NAN]])
    shown = colors(class_curves([1, 2], iou, table(2)))
    first, second = map(tuple, table(2).colors.tolist())
    assert first in shown
    assert second not in shown


def test_of_many_classes_the_lowest_and_some_others_are_the_rows_of_a_map(monkeypatch: pytest.MonkeyPatch):
    drawn: list[tuple[list[int], np.ndarray, list[str]]] = []
    monkeypatch.setattr(module, "draw_map", lambda axes, steps, iou, names, colors: drawn.append((steps, iou, names)))
    iou = np.stack([np.zeros(150), np.arange(150)[::-1] / 150])
    class_curves([1, 2], iou, table(150))
    ((steps, shown, names),) = drawn
    assert (steps, shown.shape, names[0]) == ([1, 2], (2, 30), "0.00  class $ 149")
    lowest_first = sorted(iou[1])
    assert shown[1].tolist() == sorted(shown[1])
    assert shown[1][:15].tolist() == lowest_first[:15]
    assert (shown[1][15], shown[1][29]) == (lowest_first[15], lowest_first[149])


@pytest.mark.parametrize("validations", [1, 40])
def test_the_picture_of_many_classes_is_no_larger_than_a_screen(validations: int):
    picture = class_curves(list(range(validations)), np.random.default_rng(0).random((validations, 150)), table(150))
    assert picture.shape[0] < 800
    assert picture.shape[1] < 900
