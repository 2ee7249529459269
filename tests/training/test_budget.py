"""`train.minutes`: as many steps as take so long on this machine."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from segtrain.commands.train import as_typed
from segtrain.errors import UserError
from segtrain.training.budget import Costs, Plan, planned
from segtrain.training.parts import TrainSettings
from tests.commands.conftest import TINY

NO_LENGTH = [word for word in TINY if not word.startswith("train.")]


@pytest.mark.parametrize(
    ("seconds", "costs", "wanted", "plan"),
    [
        (600, Costs(step=0.5, validation=4), 15, Plan(1080, 15)),
        (600, Costs(step=0.5, validation=30), 15, Plan(900, 5)),  # a quarter of the time
        (600, Costs(step=0.5, validation=400), 15, Plan(400, 1)),
        (600, Costs(step=0.5, validation=900), 15, Plan(1, 1)),
        (60, Costs(step=100, validation=0.1), 15, Plan(1, 15)),
    ],
)
def test_steps_fill_the_time_that_validations_leave(seconds: float, costs: Costs, wanted: int, plan: Plan) -> None:
    assert planned(seconds, costs, wanted) == plan


def settings(**changes: Any) -> TrainSettings:
    shipped = yaml.safe_load(Path(__file__).parents[2].joinpath("conf/train.yaml").read_text())["train"]
    return TrainSettings(**{**shipped, **changes})


@pytest.mark.parametrize(
    ("typed", "lengths"),
    [
        ([], {"minutes": 55, "steps": 900}),  # the experiment's own
        (["train.steps=8"], {"minutes": None, "steps": 8}),
        (["train.epochs=2"], {"minutes": None, "steps": 900}),
        (["train.minutes=3"], {"minutes": 3, "steps": None}),
    ],
)
def test_what_is_typed_goes_before_an_experiment(typed: list[str], lengths: dict[str, Any]) -> None:
    values = {name.removeprefix("train."): int(value) for name, value in (word.split("=") for word in typed)}
    train = as_typed(settings(**{"minutes": 55, "steps": 900, **values}), ["experiment=long", *typed])
    assert {name: getattr(train, name) for name in lengths} == lengths


@pytest.mark.parametrize("other", ["epochs", "steps"])
def test_two_lengths_are_refused(other: str) -> None:
    with pytest.raises(UserError, match=f"train.minutes and train.{other}: each says how long"):
        as_typed(settings(minutes=3, **{other: 4}), [f"train.{other}=4", "train.minutes=3"])


@pytest.mark.slow
def test_a_run_has_the_steps_that_were_counted_and_goes_on_to_their_end(
    segtrain: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*NO_LENGTH, "train.minutes=0.05"]
    assert segtrain("train", *words, "run_dir=run") == 0
    said = capsys.readouterr().out
    stored = yaml.safe_load(Path("run/config.yaml").read_text())["train"]
    steps = stored["steps"]
    assert re.search(rf"train.minutes=0.05: {steps:,} steps? of [\d.e-]+ s each, and \d+ validations? of", said)
    assert f"step {steps}/{steps}" in said
    validations = len(re.findall(r"^epoch .* IoU/val", said, re.MULTILINE))
    assert 1 <= validations <= 16
    assert segtrain("train", *words, "resume=run") == 0
    assert "run is finished: nothing is changed" in capsys.readouterr().out
    assert segtrain("train", *words, "train.minutes=1", "resume=run", "allow_changes=true") == 2
    assert "train.minutes: steps were counted when the run began" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("word", "reason"),
    [("train.compile=true", "before they are compiled"), ("trainer.devices=2", "measured on one device")],
)
def test_what_cannot_be_measured_is_refused(
    segtrain: Callable[..., int], capsys: pytest.CaptureFixture[str], word: str, reason: str
) -> None:
    assert segtrain("train", *NO_LENGTH, "train.minutes=1", word, "run_dir=run") == 2
    assert reason in capsys.readouterr().err
    assert not Path("run").exists()
