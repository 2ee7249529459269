import math

import pytest
import torch
from torch import nn

from segtrain.build import Trust
from segtrain.data import ShapesData
from segtrain.data.files.pictures import Span
from segtrain.errors import UserError
from segtrain.training import parts

TRAIN = {"epochs": 1, "steps": None, "validate_epochs": 1, "log_steps": 1, "save_minutes": 0, "ema": None}
TRAIN |= {"auxiliary_weight": 0.4, "compile": False}
RESNET = {"_target_": "segtrain.models.resnet", "layers": 50, "weights": "IMAGENET1K_V2", "in_channels": None}
MODEL = {"_target_": "segtrain.models.FCN", "encoder": RESNET, "num_classes": None, "mean": None, "std": None}


@pytest.fixture
def data() -> ShapesData:
    return ShapesData(size=[16, 16], train=4, val=2, test=2, variant=0, crop=[16, 16], batch_size=2, workers=0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("steps", math.inf),
        ("log_steps", -1),
        ("save_minutes", -1),
        ("ema", 1.0),
        ("ema", -0.1),
        ("min_steps", -1),
    ],
)
def test_how_long_and_how_often_are_numbers_that_mean_something(name: str, value: float) -> None:
    with pytest.raises(UserError, match=rf"train.{name}={value}: expected"):
        parts.TrainSettings(**{**TRAIN, name: value})


@pytest.mark.parametrize(
    ("changes", "images", "steps", "between"),
    [
        ({}, 23, 500, 33),  # 30 epochs are 87 steps: 15 validations all the same
        ({}, 8, 500, 33),
        ({}, 360, 1350, 90),
        ({"min_steps": None}, 23, 87, 6),
        ({"most_steps": 250}, 23, 250, 17),
        ({"most_steps": 600}, 23, 500, 33),
        ({"steps": 700, "most_steps": 350}, 80, 350, 10),
        ({"min_steps": 0}, 8, 30, 2),
        ({"steps": 7}, 23, 7, 6),
        ({"epochs": 1000}, 8, 1000, 2),
    ],
)
def test_few_images_make_as_many_validations_of_enough_steps(
    changes: dict, images: int, steps: int, between: int
) -> None:
    train = parts.TrainSettings(**{**TRAIN, "epochs": 30, "validate_epochs": 2, "min_steps": 500, **changes})
    assert (train.total_steps(images, 8), train.steps_between(images, 8)) == (steps, between)


def test_settings_of_older_runs_have_no_least_number_of_steps() -> None:
    assert parts.TrainSettings(**{**TRAIN, "epochs": 30}).total_steps(8, 8) == 30


def test_typed_pretrained_weights_stay_and_stored_ones_are_refused(data: ShapesData) -> None:
    known = parts.network_spec(MODEL, data, None, None)
    assert known == {**MODEL, "encoder": {**RESNET, "in_channels": 3}, "num_classes": 6}
    with pytest.raises(UserError, match=r"start the run anew with the words in its overrides.txt"):
        parts.network_spec(MODEL, data, Trust(), None)


def test_without_pretrained_weights_mean_and_deviation_are_those_of_the_data(data: ShapesData) -> None:
    known = parts.network_spec({**MODEL, "encoder": {**RESNET, "weights": None}, "std": [1, 1, 1]}, data, Trust(), None)
    assert known["mean"] == data.measured.mean
    assert known["std"] == [1, 1, 1]


def test_a_loss_has_one_weight_per_class_and_the_void_of_the_data(data: ShapesData) -> None:
    known = parts.loss_spec({"_target_": "x.y", "weights": None, "ignore_index": None}, data, None)
    assert known == {"_target_": "x.y", "weights": None, "ignore_index": data.classes.void}
    with pytest.raises(UserError, match=r"loss.weights has 2 numbers, but the data have 6 classes"):
        parts.loss_spec({"_target_": "x.y", "weights": [1, 2]}, data, None)
    with pytest.raises(UserError, match=r"loss.ignore_index=7: void is 255"):
        parts.loss_spec({"_target_": "x.y", "ignore_index": 7}, data, None)


@pytest.mark.parametrize(
    ("name", "value"), [("log_steps", None), ("log_steps", 1.5), ("steps", "7"), ("compile", "no"), ("ema", [1])]
)
def test_stored_settings_of_another_type_are_refused(name: str, value: object):
    with pytest.raises(UserError, match="train"):
        parts.train_settings({**TRAIN, name: value})
    assert parts.train_settings({**TRAIN, "epochs": 2, "steps": 3, "ema": 0}).steps == 3


def test_what_pretrained_weights_expect_of_0_to_1_stands_for_what_the_images_fill() -> None:
    network = Plain()
    parts.stretch(network, Span((100.0, -2.0), (200.0, 2.0)))
    assert network.mean.flatten().tolist() == pytest.approx([140.0, 0.0])
    assert network.std.flatten().tolist() == pytest.approx([20.0, 1.0])


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.4, 0.5]).view(1, 2, 1, 1))
        self.register_buffer("std", torch.tensor([0.2, 0.25]).view(1, 2, 1, 1))


@pytest.mark.parametrize(("engine", "copies"), [({"devices": 1}, 1), ({"devices": 2}, 2)])
def test_each_process_keeps_decoded_images_of_its_own(engine: dict[str, int], copies: int):
    shapes = {"size": [16, 16], "train": 4, "val": 2, "test": 2, "variant": 0}
    shapes |= {"crop": [16, 16], "batch_size": 2, "workers": 0}
    none = dict.fromkeys(("flip", "brightness", "contrast", "saturation", "hue"), 0.0)
    settings = {
        "data": {"_target_": "segtrain.data.ShapesData", **shapes},
        "augment": {"_target_": "segtrain.data.Augment", "scale": [1.0, 1.0], **none},
        "trainer": {"accelerator": "cpu", **engine},
        "seed": 0,
    }
    assert parts.build_data(settings, None).copies == copies
