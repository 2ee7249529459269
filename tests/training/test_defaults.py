import pytest
import torch

from segtrain.data import ShapesData
from segtrain.data.batches.augment import fitting_crop
from segtrain.training.defaults import Facts, least_steps, with_choices

NAMES = ("ground", "crack", "hole")


def facts(*pixels: int, images: int = 54) -> Facts:
    return Facts(images, NAMES[: len(pixels)], torch.tensor(pixels))


def test_the_facts_are_said_with_the_rarest_class_that_occurs():
    assert str(facts(990, 10, 0)) == "54 images, rarest class crack 1 %"
    assert str(facts(0, 0, images=1)) == "1 image"


@pytest.mark.parametrize(("classes", "steps"), [(2, 600), (4, 600), (6, 900), (11, 1200), (150, 2000)])
def test_more_classes_take_more_steps(classes: int, steps: int):
    assert least_steps(Facts(54, ("x",) * classes, torch.ones(classes))) == steps


def test_a_choice_takes_the_place_of_auto_and_of_nothing_else():
    data = ShapesData(size=[16, 16], train=4, val=1, test=1, variant=0, crop=None, batch_size=2, workers=0)
    settings = {"train": {"min_steps": "auto", "epochs": 3}, "data": {"crop": None, "size": [16, 16]}}
    crop = fitting_crop([(16, 16)])
    chosen = with_choices(settings, data)
    assert chosen == {"train": {"min_steps": 900, "epochs": 3}, "data": {"crop": crop, "size": [16, 16]}}
    typed = {"train": {"min_steps": 7}, "data": {"crop": [8, 8]}}
    assert with_choices(typed, data) == typed
