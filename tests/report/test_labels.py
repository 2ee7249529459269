import csv
import io
from typing import Any

import numpy as np
import pytest

from segtrain.report.labels import Problem, contradicted, framed, outlined, problem_in, problem_row, problems_csv
from segtrain.report.page import Look
from tests.report.test_page import VOID, opened, table_of

CLASSES = table_of(["road", "sidewalk", "sky"])


def look_of(truth: np.ndarray, prediction: np.ndarray, confidence: Any = 0.95) -> Look:
    return Look(np.zeros((3, *truth.shape), np.uint8), truth, prediction, np.broadcast_to(confidence, truth.shape))


def test_a_patch_that_looks_like_another_class_is_a_problem():
    truth, prediction = np.zeros((20, 30), np.int64), np.zeros((20, 30), np.int64)
    truth[:, 20:] = VOID
    prediction[5:15, 5:15] = 1  # without its outermost pixels, 8 x 8
    prediction[17:20, :3] = 2
    problem = problem_in("a.png", look_of(truth, prediction), CLASSES)
    assert problem is not None
    assert problem.line() == "64 pixels in one patch labelled road look like sidewalk (0.95)"
    assert problem.box == (6, 6, 14, 14)
    assert problem.share == 64 / 400
    assert problem_in("a.png", look_of(truth, truth), CLASSES) is None


def test_thin_outlines_void_and_doubts_are_no_problem():
    truth, prediction = np.zeros((20, 30), np.int64), np.zeros((20, 30), np.int64)
    prediction[5:7, 2:28] = 1
    assert problem_in("a.png", look_of(truth, prediction), CLASSES) is None
    prediction[5:15, 2:28] = 1
    assert problem_in("a.png", look_of(truth, prediction, confidence=0.89), CLASSES) is None
    truth[5:15, 2:28] = VOID
    assert problem_in("a.png", look_of(truth, prediction), CLASSES) is None


def test_a_patch_of_a_few_pixels_is_none():
    truth, prediction = np.zeros((20, 30), np.int64), np.zeros((20, 30), np.int64)
    prediction[5:10, 5:12] = 1  # without its outermost pixels, 3 x 5
    assert problem_in("a.png", look_of(truth, prediction), CLASSES) is None
    prediction[5:11, 5:12] = 1
    problem = problem_in("a.png", look_of(truth, prediction), CLASSES)
    assert problem is not None
    assert problem.pixels == 20


def test_a_patch_is_of_one_class_taken_for_one_other():
    truth, prediction = np.zeros((9, 20), np.int64), np.full((9, 20), 2)
    truth[:, 8:] = 1
    pairs = contradicted(look_of(truth, prediction), CLASSES)
    assert pairs[4].tolist() == [2] * 7 + [-1, -1] + [5] * 11
    problem = problem_in("a.png", look_of(truth, prediction), CLASSES)
    assert problem is not None
    assert (problem.labelled, problem.looks_like, problem.pixels) == ("sidewalk", "sky", 99)


def test_the_row_shows_the_patch_in_a_frame():
    truth, prediction = np.zeros((200, 300), np.int64), np.zeros((200, 300), np.int64)
    prediction[50:110, 50:110] = 1
    look = look_of(truth, prediction)
    problem = problem_in("a.png", look, CLASSES)
    assert problem is not None
    row = problem_row(problem, look, CLASSES)
    sizes = {caption: opened(uri).size for caption, uri in row.pictures}
    assert sizes.pop("image") == (300, 200)
    assert set(sizes.values()) == {(116, 116)}
    shown = {color for _, color in opened(dict(row.pictures)["prediction"]).convert("RGB").getcolors()}
    assert shown == {tuple(CLASSES.colors[0]), tuple(CLASSES.colors[1])}
    assert row.remark == problem.line()


@pytest.mark.parametrize(("box", "frame"), [((10, 20, 14, 24), (0, 4, 30, 40)), ((50, 0, 90, 100), (30, 0, 110, 100))])
def test_a_frame_stays_in_the_image(box: tuple[int, int, int, int], frame: tuple[int, int, int, int]):
    assert framed(box, 100, 120) == frame


def test_an_outline_leaves_what_it_surrounds():
    image = outlined(np.zeros((10, 10, 3), np.uint8), (2, 3, 7, 8))
    assert image[..., 0].any(axis=2 - 1).nonzero()[0].tolist() == [3, 4, 5, 6, 7]
    assert not image[4:7, 3:6].any()
    assert (image > 0).sum() == 5 * 5 - 3 * 3


def test_problems_are_listed_in_a_table_that_computes_nothing():
    problem = Problem("=1+1", "road", "-sky", 4210, 0.0125, 0.97, (1, 2, 3, 4))
    header, row = csv.reader(io.StringIO(problems_csv([problem])))
    assert header[:4] == ["image", "labelled", "looks_like", "pixels"]
    assert row == ["'=1+1", "road", "'-sky", "4210", "0.012500", "0.9700", "1", "2", "3", "4"]
    assert problem.line() == "4,210 pixels in one patch labelled road look like -sky (0.97)"


def test_a_problem_in_a_thinned_image_has_the_pixels_of_the_image_itself():
    truth, prediction = np.zeros((20, 30), np.int64), np.zeros((20, 30), np.int64)
    prediction[5:15, 20:] = 1
    own = problem_in("a.png", look_of(truth, prediction), CLASSES)
    look = look_of(truth, prediction)._replace(step=3)
    thinned = problem_in("a.png", look, CLASSES)
    assert own is not None
    assert thinned is not None
    assert own.box == (21, 6, 30, 14)
    assert thinned.box == (63, 18, 88, 40)  # within an image of 58 x 88 pixels at least
    assert (thinned.pixels, thinned.share) == (9 * own.pixels, own.share)
    whole, *pictures = (opened(uri).size for _, uri in problem_row(thinned, look, CLASSES).pictures)
    assert whole == (30, 20)
    assert (
        pictures == [opened(uri).size for _, uri in problem_row(own, look_of(truth, prediction), CLASSES).pictures][1:]
    )
