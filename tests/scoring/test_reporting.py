from typing import Any

import numpy as np
import pytest
import torch

from segtrain.metrics import Counts
from segtrain.report import screen
from segtrain.report.page import Look
from segtrain.report.per_image import PerImage
from segtrain.scoring.reporting import shown_images
from segtrain.scoring.split_score import SplitScore
from tests.report.test_page import images_of, table_of


class Data:
    """What is asked of data here."""

    def __init__(self, names: list[str]) -> None:
        self.classes = table_of(names)


def scored(images: PerImage) -> tuple[SplitScore, list[int]]:
    """A score of these images, and the indices of those that were looked at."""
    looked: list[int] = []

    def look(index: int) -> Look:
        looked.append(index)
        truth = np.zeros((8, 8), np.int64)
        return Look(np.zeros((3, 8, 8), np.uint8), truth, truth, np.ones((8, 8)))

    return SplitScore({}, torch.zeros(1, 1), images, Counts(*torch.zeros(3, 1)), look, "32-true"), looked


def wrong(images: int, classes: int) -> PerImage:
    """Images whose class i loses most in image i, after which it is never lost."""
    matrices = np.zeros((images, classes, classes), np.int64)
    matrices[:, range(classes), range(classes)] = 100
    for c in range(classes):
        matrices[c % images, c, (c + 1) % classes] = 50 + c
    return images_of(matrices, [f"c{c}" for c in range(classes)])


BEST_OF_EACH = "The best image of each class, among the half of its images with most pixels of it"


def test_an_image_is_shown_once_and_named_where_it_is_the_worst_of_a_class_too():
    score, looked = scored(wrong(images=30, classes=4))
    data: Any = Data(["c0", "c1", "c2", "c3"])
    shown = shown_images(score, data)
    assert len(looked) == len(set(looked))
    assert list(shown) == ["The worst images", "The best images", "What costs each class most", BEST_OF_EACH]
    rows = shown["What costs each class most"]
    assert [(row.name, row.remark) for row in rows[:2]] == [
        ("c3: day 1/3", "IoU 65.4 %, 53 pixels lost (shown above)"),
        ("c3: day 1/2", "IoU 65.8 %, 52 pixels lost (shown above)"),
    ]
    assert len(rows) == 8
    assert not any(row.pictures for row in rows)
    best = {row.name for row in shown[BEST_OF_EACH]}
    assert best == {"c0: day 1/1", "c1: day 1/2", "c2: day 1/0", "c3: day 1/0"}


def test_an_image_that_only_a_class_suffers_from_has_its_pictures_there():
    matrices = np.full((20, 2, 2), [[10, 8], [0, 10]])
    matrices[10] = [[9_000, 100], [0, 9_000]]  # a large image, which is neither of the worst nor of the best
    matrices[11:] = [[10, 0], [0, 10]]
    score, _ = scored(images_of(matrices, ["a", "b"]))
    data: Any = Data(["a", "b"])
    rows = shown_images(score, data)["What costs each class most"]
    assert [(row.name, len(row.pictures)) for row in rows] == [
        ("a: day 1/10", 5),
        ("a: day 1/0", 0),
        ("b: day 1/10", 0),
        ("b: day 1/0", 0),
    ]


@pytest.mark.parametrize(
    ("classes", "heading"),
    [(20, "each class"), (21, "each of the 20 worst of 21 classes"), (150, "each of the 20 worst of 150 classes")],
)
def test_of_very_many_classes_the_worst_are_shown(classes: int, heading: str):
    score, looked = scored(wrong(images=150, classes=classes))
    data: Any = Data([f"c{c}" for c in range(classes)])
    rows = shown_images(score, data)[f"What costs {heading} most"]
    assert len(rows) == len({row.name.partition(":")[0] for row in rows}) == 20
    assert len(looked) == len(set(looked)) <= 6 + 3 + 20


@pytest.mark.parametrize(("classes", "shown"), [(10, 10), (15, 12)])
def test_the_best_image_of_a_class_has_pictures_while_there_is_room(
    classes: int, shown: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Image 20 + c costs class c much, and image 50 + c is its best. How many are still to be drawn is known."""
    monkeypatch.setattr(screen, "FIRST_GAP", 0)
    matrices = np.zeros((100, classes, classes), np.int64)
    matrices[:, range(classes), range(classes)] = 100
    matrices[:50, range(classes), [*range(1, classes), 0]] = 30
    for c in range(classes):
        matrices[20 + c, c, (c + 1) % classes] = 1000
        matrices[:50, c, c] += c  # so that no two classes are equal
        matrices[50 + c, c] = 9_000 * (np.arange(classes) == c)
    score, looked = scored(images_of(matrices, [f"c{c}" for c in range(classes)]))
    data: Any = Data([f"c{c}" for c in range(classes)])
    rows = shown_images(score, data)[BEST_OF_EACH]
    assert {row.name for row in rows} == {f"c{c}: day 1/{50 + c}" for c in range(classes)}
    assert [len(row.pictures) for row in rows] == [3] * shown + [0] * (classes - shown)
    assert len(looked) == len(set(looked)) <= 6 + 3 + 20
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"drawing the report: {len(looked) - 1} of {len(looked)}, 0:00 left"
