import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from segtrain.data.shapes import CLASSES, VOID, ShapesSource
from segtrain.metrics import Counts
from segtrain.report import screen
from segtrain.report.page import Look
from segtrain.report.patches import largest_patch
from segtrain.scoring.labels import label_problems, largest_confusions
from segtrain.scoring.split_score import SplitScore
from tests.report.test_page import images_of, table_of

NAMES = ["a", "b", "c"]


def scored(prediction: np.ndarray, confidence: np.ndarray) -> tuple[SplitScore, list[int]]:
    """A score of images all of whose pixels are of class 0, by predictions (images, H, W) and how sure (images,) the
    network is of them; and the places of the images that were looked at."""
    matrices, looked = np.zeros((len(prediction), 3, 3), np.int64), []
    for i, predicted in enumerate(prediction):
        matrices[i, 0] = np.bincount(predicted.ravel(), minlength=3)

    def look(index: int) -> Look:
        looked.append(index)
        size = prediction[index].shape
        image, truth = np.zeros((3, *size), np.uint8), np.zeros(size, np.int64)
        return Look(image, truth, prediction[index], np.full(size, confidence[index]))

    images, counts = images_of(matrices, NAMES), Counts(*torch.zeros(3, 1))
    return SplitScore({}, torch.zeros(1, 1), images, counts, look, "32-true"), looked


def test_the_largest_patches_come_first_and_no_image_is_looked_at_that_can_have_none():
    prediction = np.zeros((7, 12, 12), np.int64)
    prediction[0, :6] = 1  # 60 pixels of it are surrounded by their like
    prediction[1, :8] = 2
    prediction[2, ::2] = 1  # half of it, but thin
    prediction[3, :9] = 1  # of which the network is not sure
    prediction[4, 0, 0] = 1
    prediction[5, :3] = 1
    part, looked = scored(prediction, np.array([0.95, 0.95, 0.95, 0.5, 0.95, 0.95, 0.95]))
    found = label_problems(part, table_of(NAMES), 2)
    assert [(item.problem.image, item.problem.looks_like, item.problem.pixels) for item in found] == [
        ("day 1/1", "c", 84),
        ("day 1/0", "b", 60),
    ]
    assert looked == [3, 1, 0, 2]
    assert found[0].row.name == "day 1/1"
    assert len(label_problems(part, table_of(NAMES), 9)) == 3


def test_images_that_are_looked_at_are_not_many_more_than_are_wanted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    prediction = np.ones((30, 4, 4), np.int64)
    part, looked = scored(prediction, np.full(30, 0.5))
    monkeypatch.setattr(screen, "FIRST_GAP", 0)
    assert label_problems(part, table_of(NAMES), 2) == []
    assert len(looked) == 8
    assert "looking for label problems: 7 of 8, 0:0" in capsys.readouterr().out


def test_what_one_class_has_lost_to_another_bounds_every_patch():
    matrices = np.array([[[5, 3, 2], [0, 0, 0], [4, 0, 6]], np.zeros((3, 3)), np.diag([1, 2, 3])], np.int64)
    assert largest_confusions(images_of(matrices, NAMES)).tolist() == [0.2, 0, 0]


def write_shapes(root: Path, wrong: list[int]) -> None:
    """60 training images; in those that are named, the largest object is labelled as another one, or as background."""
    for number, (split, length) in enumerate({"train": 60, "val": 12}.items()):
        source = ShapesSource(number, length, (96, 96), variant=7)
        for kind in ("images", "masks"):
            (root / kind / split).mkdir(parents=True)
        for i in range(length):
            image, mask = (tensor.numpy().copy() for tensor in source.read(i))
            if split == "train" and i in wrong:
                patch = largest_patch(np.where((mask == 0) | (mask == VOID), -1, mask.astype(np.int64)))
                assert patch is not None
                mask[patch.where] = 0 if wrong.index(i) % 2 else patch.value % 5 + 1
            Image.fromarray(image.transpose(1, 2, 0)).save(root / f"images/{split}/{i:02}.png")
            Image.fromarray(mask).save(root / f"masks/{split}/{i:02}.png")
    (root / "classes.yaml").write_text(yaml.safe_dump(CLASSES))


@pytest.mark.slow
def test_a_network_finds_the_labels_that_were_exchanged_or_removed_in_what_it_was_trained_on(
    segtrain: Callable[..., int], capsys: pytest.CaptureFixture[str]
):
    wrong = [15, 18, 29, 36, 47]
    write_shapes(Path("shapes"), wrong)
    words = ["data.root=shapes", "model=fcn_tiny", "train.steps=300", "data.batch_size=8", "data.workers=0"]
    fixed = ["trainer.accelerator=cpu", "trainer.precision=32-true", "run_dir=run"]
    assert segtrain("train", *words, *fixed) == 0
    assert segtrain("evaluate", "run=run", "split=train", "label_problems=5") == 0
    assert "a label to look at: " in capsys.readouterr().out
    with open("run/evaluate/train/label_problems.csv", newline="") as file:
        found = [int(row["image"]) for row in csv.DictReader(file)]
    assert len(found) == 5
    assert len(set(found) & set(wrong)) >= 4
    assert "Labels to look at" in Path("run/evaluate/train/report.html").read_text()
