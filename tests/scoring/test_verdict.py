import json
from dataclasses import replace
from typing import Any

import pytest
import torch

from segtrain.metrics import constant_answers, mean_iou
from segtrain.runs.record import Record
from segtrain.scoring.verdict import advice, judge, next_command, remedies
from tests.runs.conftest import CLASSES, MODEL, SETTINGS

NAMES = ("ground", "crack", "hole")
PLAIN = {"loss": {"_target_": "x.y", "weights": None}, "augment": {"_target_": "x.y", "rare": 0.0}}
RECORD = Record.from_json(
    json.dumps(
        {
            "run": "some",
            "settings": SETTINGS | PLAIN,
            "model": MODEL,
            "loss": PLAIN["loss"],
            "precision": "32-true",
            "classes": CLASSES,
            "fingerprint": "",
        }
    )
)


def with_settings(**changes: Any) -> Record:
    return replace(RECORD, settings=RECORD.settings | changes)


def test_constant_answers_have_the_mean_iou_of_their_share() -> None:
    truth = torch.tensor([900, 0, 100])
    best = constant_answers(torch.diag(truth))
    assert best.tolist() == [0.45, 0.0, 0.05]
    for index in range(3):
        matrix = torch.zeros(3, 3, dtype=torch.int64)
        matrix[:, index] = truth
        if index != 1:
            assert best[index].item() == pytest.approx(mean_iou(matrix))


def test_a_constant_answer_is_called_one() -> None:
    verdict = judge(torch.tensor([[934, 0], [66, 0]]), NAMES[:2])
    assert verdict.line() == (
        "not found so far: crack (6.6 % of the pixels); IoU/val is no better than ground everywhere (0.4670)"
    )
    assert verdict.lines() == [
        "This network has learned next to nothing: mIoU 0.4670 is no better than the answer 'ground' everywhere, "
        "which has 0.4670.",
        "Never predicted: crack (6.6 % of the pixels).",
    ]
    assert verdict.serious


@pytest.mark.parametrize("rows", [[[9300, 40], [655, 5]], [[900, 34], [66, 0]], [[0, 934], [0, 66]]])
def test_an_answer_that_is_nearly_constant_or_worse_is_called_no_better(rows: list[list[int]]) -> None:
    assert judge(torch.tensor(rows), NAMES[:2]).constant == "ground"


@pytest.mark.parametrize(
    "rows",
    [
        [[930, 4, 0], [6, 60, 0], [0, 0, 0]],  # good, and no hole anywhere
        [[990, 0, 0], [0, 0, 0], [0, 0, 0]],  # ground alone, and rightly so
        [[980, 10, 10], [10, 30, 10], [0, 0, 0]],  # holes that are not there make the mean low, not worthless
        [[950, 0, 0], [20, 20, 0], [10, 0, 0]],  # a handful of pixels of holes
        [[500, 0, 0], [0, 400, 0], [29, 0, 0]],
        [[40, 10, 0], [10, 40, 0], [0, 0, 0]],
    ],
)
def test_networks_that_have_learned_are_left_in_peace(rows: list[list[int]]) -> None:
    verdict = judge(torch.tensor(rows), NAMES)
    assert (verdict.line(), verdict.lines(), verdict.serious) == ("", [], False)


def test_classes_that_are_never_predicted_and_those_that_are_nowhere_right_are_told_apart() -> None:
    verdict = judge(torch.tensor([[900, 50, 0], [50, 0, 0], [40, 0, 0]]), NAMES)
    assert dict(verdict.missing) == {"hole": 40 / 1040}
    assert dict(verdict.confused) == {"crack": 50 / 1040}
    assert verdict.lines()[1:] == [
        "Never predicted: hole (3.8 % of the pixels).",
        "Predicted, but hardly ever where they are: crack (4.8 % of the pixels).",
    ]


def test_a_network_without_a_tiny_class_is_usable_and_says_so() -> None:
    verdict = judge(torch.tensor([[90_000, 100, 0], [100, 9_000, 0], [40, 0, 0]]), NAMES)
    assert verdict.lines() == ["Never predicted: hole (0.04 % of the pixels)."]
    assert not verdict.serious


def test_many_classes_make_one_short_line() -> None:
    matrix = torch.zeros(150, 150, dtype=torch.int64)
    matrix[:, 0] = torch.arange(150) + 1000
    line = judge(matrix, [f"class{i}" for i in range(150)]).line()
    assert line.startswith("not found so far: class149 (0.71 % of the pixels), class148 (0.71 %), class147 (0.71 %), ")
    assert " and 144 more; IoU/val is no better than" in line
    assert len(line) < 250


def test_what_is_tried_first_follows_from_share_and_steps() -> None:
    rare = judge(torch.tensor([[934, 0], [66, 0]]), NAMES[:2])
    even = judge(torch.tensor([[500, 0], [450, 0]]), NAMES[:2])

    def words(*arguments: Any) -> list[str]:
        return [words for words, _ in remedies(*arguments)]

    assert words(rare, RECORD, 844) == ["loss.weights=sqrt", "augment.rare=0.5", "train.steps=3376"]
    assert words(rare, RECORD, 90) == ["train.steps=500", "loss.weights=sqrt", "augment.rare=0.5"]
    assert words(even, RECORD, 844) == ["train.steps=3376", "loss.weights=sqrt", "augment.rare=0.5"]
    assert words(rare, RECORD, None) == ["loss.weights=sqrt", "augment.rare=0.5"]
    weighted = with_settings(loss={"weights": "sqrt"}, augment={"rare": 0.5})
    assert words(rare, weighted, 844) == ["loss.weights=inverse", "train.steps=3376"]
    strongest = with_settings(loss={"weights": "inverse"}, augment={"rare": 0.5})
    assert words(rare, strongest, 844) == ["train.steps=3376"]
    hurried = with_settings(loss={"weights": "inverse"}, augment={"rare": 0.5}, train={"max_minutes": 50})
    assert words(rare, hurried, 844) == ["train.steps=3376 train.max_minutes=null"]
    said = advice(rare, RECORD, 844)
    assert said.startswith("Try first: loss.weights=sqrt (rare classes count more); then augment.rare=0.5 (half of the")
    assert "then train.steps=3376 (in place of 844); then a smaller data.crop" in said


def test_the_next_command_is_the_one_that_was_typed_with_other_words() -> None:
    typed = ["data.root=my photos", "train.epochs=3", "run_dir=a", "+loss.weights=null", "seed=1"]
    assert (
        next_command(typed, "loss.weights=sqrt")
        == "train 'data.root=my photos' train.epochs=3 seed=1 loss.weights=sqrt"
    )
    own, experiment = ["data.root=photos", "data=folder"], "experiment=camvid"
    assert next_command(own, "train.steps=9") == "train data.root=photos train.steps=9"
    assert next_command([*own, experiment], "seed=1") == f"train data.root=photos data=folder {experiment} seed=1"
    assert next_command(typed, "train.steps=9").split()[3:] == ["+loss.weights=null", "seed=1", "train.steps=9"]
    assert next_command(["train.max_minutes=5", "seed=1"], "train.steps=9") == "train seed=1 train.steps=9"
