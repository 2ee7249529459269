import numpy as np

from segtrain.report.changed import BETTER, NEITHER, WORSE, changed_row, verdicts
from tests.report.test_page import VOID, opened, table_of

TRUTH = np.array([[0, 0, 0, 0, VOID]])
FIRST, SECOND = np.array([[0, 1, 0, 1, 0]]), np.array([[0, 0, 1, 2, 1]])


def test_each_pixel_says_which_network_is_right():
    photo = np.full((1, 5, 3), 90, np.uint8)
    assert verdicts(photo, TRUTH, (FIRST, SECOND), VOID)[0].tolist() == [
        [30, 30, 30],
        list(BETTER),
        list(WORSE),
        list(NEITHER),
        [0, 0, 0],
    ]
    assert (photo == 90).all()


def test_both_predictions_are_drawn_in_the_colours_of_their_classes():
    classes = table_of(["a", "b", "c"])
    row = changed_row("x", "better", np.zeros((1, 1, 5), np.uint16), TRUTH, (FIRST, SECOND), classes)
    pictures = dict(row.pictures)
    assert list(pictures)[:4] == ["image", "truth", "first", "second"]
    for name, answer in (("first", FIRST), ("second", SECOND)):
        drawn = np.asarray(opened(pictures[name]).convert("RGB"))
        assert (drawn == classes.colors[answer]).all()
