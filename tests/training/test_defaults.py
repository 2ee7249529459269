import pytest
import torch

from segtrain.data import ShapesData
from segtrain.data.batches.augment import fitting_crop
from segtrain.training.defaults import Facts, least_steps, with_choices

NAMES = ("ground", "crack", "hole")


def facts(*pixels: int, images: int = 54) -> Facts:
    return Facts(images, NAMES[: len(pixels)], torch.tensor(pixels), (64, 64), 8)


def test_the_facts_are_said_with_the_rarest_class_that_occurs():
    assert str(facts(990, 10, 0)) == "54 images, rarest class crack 1 %"
    assert str(facts(0, 0, images=1)) == "1 image"


@pytest.mark.parametrize(
    ("classes", "crop", "batch", "steps"),
    [
        (2, (512, 512), 8, 1200),
        (11, (256, 256), 8, 1200),
        (19, (256, 256), 8, 1500),
        (150, (256, 256), 8, 2000),
        (2, (256, 192), 8, 1600),
        (2, (128, 128), 8, 2000),
        (150, (32, 32), 8, 2000),
        (6, (128, 128), 16, 1200),
        (2, (256, 256), 6, 1600),
        (2, (64, 64), 4, 4000),
        (150, (512, 512), 64, 1200),
    ],
)
def test_more_classes_and_smaller_crops_and_batches_take_more_steps(
    classes: int, crop: tuple[int, int], batch: int, steps: int
):
    assert least_steps(Facts(54, ("x",) * classes, torch.ones(classes), crop, batch)) == steps


def test_a_choice_takes_the_place_of_auto_and_of_nothing_else():
    data = ShapesData(size=[16, 16], train=4, val=1, test=1, variant=0, crop=None, batch_size=2, workers=0)
    settings = {"train": {"min_steps": "auto", "epochs": 3}, "data": {"crop": None, "size": [16, 16]}}
    crop = fitting_crop([(16, 16)])
    chosen = with_choices(settings, data)
    assert chosen == {"train": {"min_steps": 8000, "epochs": 3}, "data": {"crop": crop, "size": [16, 16]}}
    typed = {"train": {"min_steps": 7}, "data": {"crop": [8, 8]}}
    assert with_choices(typed, data) == typed
