"""What a search varies, as people write it."""

from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from segtrain.build import conf_folder
from segtrain.errors import UserError
from segtrain.search.space import opened, text_of

SETTINGS = {"loss": {"_target_": "x"}, "optimizer": {"lr": 0.1, "betas": [0.9, 0.99]}, "train": {"epochs": 3}}


def test_an_entry_is_a_list_of_values_or_limits_under_the_name_of_its_setting() -> None:
    optimizer = {"lr": {"low": 0.1, "high": 1, "log": True}, "betas": [[0.9, 0.99], None]}
    space = {"optimizer": optimizer, "loss": ["a", "b"], "train": {"epochs": {"low": 2, "high": 8, "step": 2}}}
    assert opened(space, SETTINGS, []) == {
        "optimizer.lr": FloatDistribution(0.1, 1, log=True),
        "optimizer.betas": CategoricalDistribution(["[0.9,0.99]", "null"]),
        "loss": CategoricalDistribution(["a", "b"]),
        "train.epochs": IntDistribution(2, 8, step=2),
    }


@pytest.mark.parametrize("name", [file.stem for file in (conf_folder() / "space").glob("*.yaml")])
def test_what_is_shipped_varies_settings_that_there_are(name: str) -> None:
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        config = compose("search", [f"space={name}"])
    parts = ("space", "optimizer", "augment", "loss", "model")
    space, *others = (OmegaConf.to_container(config[part]) for part in parts)
    assert len(opened(space, dict(zip(parts[1:], others, strict=True)), [])) >= 4


def test_what_is_null_or_typed_is_not_varied() -> None:
    space = {"optimizer": {"lr": [0.1], "betas": None}, "loss": ["a", "b"]}
    assert opened(space, SETTINGS, ["loss", "train.epochs"]).keys() == {"optimizer.lr"}


@pytest.mark.parametrize(
    ("space", "reason"),
    [
        ({"optimizer": {"rl": [1]}}, "space.optimizer.rl: train has no such setting here: did you mean optimizer.lr"),
        ({"optimizer": {"lr": {"low": 1}}}, "expected a list of values, or low and high"),
        ({"optimizer": {"lr": 0.1}}, "expected a list of values, or low and high"),
        ({"optimizer": {"lr": {"low": 1, "high": 2, "steps": 1}}}, "expected a list of values, or low and high"),
        ({"optimizer": {"lr": {"low": 2, "high": 1}}}, r"space.optimizer.lr: .*low <= high"),
        ({"optimizer": {"lr": {"low": 0.0, "high": 1.0, "log": True}}}, "space.optimizer.lr: "),
        ({"optimizer": {"lr": {"low": "a", "high": "b"}}}, "space.optimizer.lr.low=a: expected a number"),
        ({"optimizer": {"lr": {"low": True, "high": 2}}}, "space.optimizer.lr.low=True: expected a number"),
        ({"optimizer": {"lr": {"low": 1, "high": 2, "log": "yes"}}}, "lr.log=yes: expected true or false"),
        ({"loss": []}, "space.loss: "),
        ({"loss": ["dice", "dice"]}, "space.loss: dice is there twice"),
        ({}, "nothing is left to vary"),
    ],
)
def test_what_is_no_space_is_refused(space: dict[str, Any], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        opened(space, SETTINGS, [])


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.012345678, "0.01235"), (1e-5, "1e-05"), (7, "7"), ("[0.5,2.0]", "[0.5,2.0]")],
)
def test_a_value_becomes_what_is_typed(value: Any, text: str) -> None:
    assert text_of(value) == text


def test_what_a_person_lists_is_typed_as_it_stands() -> None:
    listed = [0.99995, 0.00012345, 1, "dice", None, True, [0.5, 2.0]]
    typed = ["0.99995", "0.00012345", "1", "dice", "null", "true", "[0.5,2.0]"]
    assert opened({"loss": listed}, SETTINGS, [])["loss"] == CategoricalDistribution(typed)


def test_whole_limits_with_a_part_for_a_step_are_no_whole_numbers() -> None:
    values = opened({"optimizer": {"lr": {"low": 1, "high": 9, "step": 0.5}}}, SETTINGS, [])["optimizer.lr"]
    assert values == FloatDistribution(1, 9, step=0.5)
