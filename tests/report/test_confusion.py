import numpy as np
import torch

from segtrain.report import confusion
from segtrain.report.confusion import BLUE, CELL, chart, confusion_chart


def test_a_class_that_is_found_is_blue_and_one_that_is_not_is_white():
    picture = confusion_chart(["a", "b"], torch.tensor([[10, 0], [0, 0]]))
    colors = {
        tuple(color): number
        for color, number in zip(*np.unique(picture.reshape(-1, 3), axis=0, return_counts=True), strict=True)
    }
    blue = sum(number for color, number in colors.items() if color == tuple(BLUE))
    assert CELL**2 / 2 < blue < CELL**2  # one cell, on which a number stands


def test_rows_are_the_truth_and_their_numbers_shares_of_it(monkeypatch):
    seen = []
    monkeypatch.setattr(
        confusion, "chart", lambda labels, shares, title: seen.append((labels, shares, title)) or np.zeros(1)
    )
    confusion_chart(["a", "b"], torch.tensor([[1, 3], [0, 0]]))
    ((labels, shares, title),) = seen
    assert (labels, shares.tolist()) == (["a", "b"], [[25.0, 75.0], [0.0, 0.0]])
    assert "of" not in title.split("\n")[1:]


def test_of_many_classes_those_confused_most_are_shown_and_it_is_said():
    few, many = (confusion_chart([f"class {i:03}" for i in range(n)], torch.ones(n, n)) for n in (24, 150))
    assert many.shape[1] == few.shape[1]
    assert 10 < many.shape[0] - few.shape[0] < 30  # a second line in the title


def test_nothing_is_cut():
    picture = np.asarray(chart(["a name of a class that is long", "b"], np.eye(2) * 100, "title\nand more"))
    border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    assert (border == 255).all()
