"""`train.max_minutes`: as many steps as take so long on this machine."""

import re
from collections.abc import Callable
from csv import DictReader
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from torch.utils.data import DataLoader

from segtrain.commands.train import keep_length
from segtrain.errors import UserError
from segtrain.training import budget
from segtrain.training.budget import Costs, fitting_steps
from tests.commands.conftest import TINY

Run = Callable[..., int]
NO_LENGTH = [word for word in TINY if not word.startswith("train.")]


@pytest.mark.parametrize(
    ("minutes", "costs", "wanted", "validations", "steps"),
    [
        (10, Costs(step=0.5, validation=4), 5000, 15, 1080),
        (10, Costs(step=0.5, validation=4), 1080, 15, 1080),
        (10, Costs(step=0.5, validation=4), 9, 15, 9),
        (10, Costs(step=0.5, validation=20), 5000, 15, 600),  # half of the time
        (1, Costs(step=6, validation=0), 5000, 1, 10),
        (10, Costs(step=100, validation=0), 5, 1, 5),  # few, but all of them
        (10, Costs(step=20, validation=350), 10, 1, 10),  # most of the time, but there is enough
        (1e15, Costs(step=1e-9, validation=0), 10**15, 1, 10**15),
    ],
)
def test_steps_fill_the_time_that_validations_leave(
    minutes: float, costs: Costs, wanted: int, validations: int, steps: int
) -> None:
    assert fitting_steps(minutes, costs, wanted, validations) == steps


@pytest.mark.parametrize(
    ("costs", "reason"),
    [
        (Costs(step=0.5, validation=21), "15 validations of 21 s would take most of it: type more, or a larger"),
        (Costs(step=100, validation=0), "a step takes 100 s here: type more, a smaller batch, or a smaller network"),
    ],
)
def test_minutes_that_leave_no_steps_are_refused(costs: Costs, reason: str) -> None:
    with pytest.raises(UserError, match=f"train.max_minutes=10: {reason}"):
        fitting_steps(10, costs, 5000, 15)


class Scored:
    """Takes some seconds for each pixel, by a clock that stands still otherwise."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
        self.now, self.seconds, self.batches = 0.0, seconds, 0
        monkeypatch.setattr(budget, "time", SimpleNamespace(perf_counter=lambda: self.now))

    def eval(self) -> "Scored":
        return self

    def validation_step(self, batch: dict[str, torch.Tensor], _: int) -> None:
        self.now += self.seconds * batch["mask"].numel()
        self.batches += 1


@pytest.mark.parametrize(("limit", "batches"), [(0.01, 1), (0.1, 3), (1000.0, 4)])
def test_the_time_of_a_validation_is_that_of_its_pixels(
    monkeypatch: pytest.MonkeyPatch, limit: float, batches: int
) -> None:
    sizes = [(2, 3), (10, 20), (30, 30)]
    learner = Scored(monkeypatch, seconds=0.01)
    loader: Any = DataLoader([{"mask": torch.zeros(size)} for size in sizes], batch_size=None)
    loader.stop = lambda: None
    source = SimpleNamespace(sizes=sizes)
    data = SimpleNamespace(whole_images=lambda split, trainer: loader, source=lambda split: source)
    trainer: Any = SimpleNamespace(precision_plugin=SimpleNamespace(forward_context=torch.no_grad))
    parts: Any = SimpleNamespace(learner=learner, data=data, device="cpu")
    pixels = sum(height * width for height, width in sizes)
    assert budget.validation(parts, trainer, limit) == pytest.approx(0.01 * pixels)
    assert learner.batches == batches  # the first one twice, if it takes less than that


def length(**changes: Any) -> dict[str, Any]:
    return {"epochs": 30, "steps": None, "min_steps": 1200, "max_minutes": 20, "most_steps": 700, **changes}


@pytest.mark.parametrize(
    ("before", "now", "most"),
    [
        (length(), {}, 700),
        (length(), {"max_minutes": None, "steps": 5000}, None),
        (length(), {"max_minutes": None, "most_steps": 900}, 900),
        (length(max_minutes=None), {"steps": 5000}, 700),
        ({"epochs": 30, "steps": None}, {}, None),  # of an older version
    ],
)
def test_a_run_keeps_its_length_until_its_minutes_are_taken_back(
    before: dict[str, Any], now: dict[str, Any], most: int | None
) -> None:
    train = {**before, **now}
    keep_length(train, before)
    assert train.get("most_steps") == most


@pytest.mark.parametrize(
    ("before", "now", "reason"),
    [
        (length(), {"max_minutes": 40}, "train.max_minutes=40: steps are counted when a run begins"),
        (length(max_minutes=None, most_steps=None), {"max_minutes": 40}, "steps are counted when a run begins"),
        (length(), {"epochs": 60}, "train.max_minutes=20 left 700 steps when the run began"),
        (length(), {"steps": 9000}, "train.max_minutes=20 left 700 steps when the run began"),
        (length(), {"most_steps": None}, "train.max_minutes=20 left 700 steps when the run began"),
    ],
)
def test_what_minutes_would_not_let_a_run_do_is_refused(
    before: dict[str, Any], now: dict[str, Any], reason: str
) -> None:
    with pytest.raises(
        UserError, match=f"{reason}.*train.max_minutes=null train.steps=... allow_changes=true have it go on"
    ):
        keep_length({**before, **now}, before)


def stored(run: str) -> dict[str, Any]:
    return yaml.safe_load(Path(run, "config.yaml").read_text())["train"]


def confusion(run: str) -> str:
    return Path(run, "evaluate/test/confusion.csv").read_text()


def measure(monkeypatch: pytest.MonkeyPatch, step: float) -> None:
    """Have steps take so many seconds, and validations half a second."""
    monkeypatch.setattr(budget, "measured", lambda parts, seconds, steps: Costs(step, validation=0.5))


@pytest.mark.slow
def test_a_run_is_that_of_the_steps_that_were_counted(
    segtrain: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measure(monkeypatch, step=1.0)
    words = [*NO_LENGTH, "data.batch_size=auto", "train.steps=60", "train.validate_epochs=4", "train.log_steps=2"]
    assert segtrain("train", *words, "train.max_minutes=0.5", "run_dir=run") == 0
    said = capsys.readouterr().out
    steps = stored("run")["most_steps"]
    assert f"train.max_minutes=0.5 leaves {steps} of 60 steps of 1 s, with 10 validations of 0.5 s" in said
    assert f"{steps} steps = " in said
    assert "(60 steps are cut by train.max_minutes)" in said
    validations = re.findall(r"^epoch .*  step (\d+)/.* IoU/val", said, re.MULTILINE)
    assert len(validations) <= 10
    assert int(validations[-1]) == steps
    with open("run/metrics.csv", newline="") as file:
        rates = [float(row["optim/lr"]) for row in DictReader(file) if row["optim/lr"]]
    assert rates[-1] < max(rates) / 5  # the schedule is that of so many steps
    assert segtrain("train", *words, "train.max_minutes=0.5", "resume=run") == 0
    assert "run is finished: nothing is changed" in capsys.readouterr().out
    assert segtrain("train", *words, "train.max_minutes=0.7", "resume=run") == 2
    assert "train.max_minutes=0.7: steps are counted when a run begins" in capsys.readouterr().err
    assert segtrain("train", "resume=run", "train.max_minutes=null", "allow_changes=true") == 0
    assert "step 60/60" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("word", ["train.ema=0.9", "data.workers=1"])
def test_measuring_changes_nothing(segtrain: Run, capsys: pytest.CaptureFixture[str], word: str) -> None:
    words = [*NO_LENGTH, word, "train.epochs=100000", "train.validate_epochs=100000", "train.log_steps=1000"]
    assert segtrain("train", *words, "train.max_minutes=0.05", "run_dir=run") == 0
    assert re.search(r"train.max_minutes=0.05 leaves [\d,]+ of 300,000 steps of [\d.e-]+ s", capsys.readouterr().out)
    steps = stored("run")["most_steps"]
    assert 10 <= steps < 300_000
    assert segtrain("train", *words, f"train.most_steps={steps}", "run_dir=typed") == 0
    assert confusion("run") == confusion("typed")


@pytest.mark.slow
def test_a_run_that_was_never_saved_keeps_its_steps_on_another_machine(
    segtrain: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*NO_LENGTH, "train.steps=12", "train.max_minutes=60"]
    measure(monkeypatch, step=1.0)
    with monkeypatch.context() as patch:
        patch.setattr("segtrain.commands.train.fit", lambda *_: 1)  # it ends before its first checkpoint
        segtrain("train", *words, "run_dir=run")
    assert "train.max_minutes=60 is enough for all 12 steps" in capsys.readouterr().out
    measure(monkeypatch, step=1000.0)
    assert segtrain("train", "resume=run") == 0
    assert "step 12/12" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("word", "reason"),
    [("trainer.precision=64-true", "not measured in 64-true"), ("trainer.devices=2", "measured on one device")],
)
def test_what_cannot_be_measured_is_refused(
    segtrain: Run, capsys: pytest.CaptureFixture[str], word: str, reason: str
) -> None:
    assert segtrain("train", *NO_LENGTH, "train.max_minutes=1", word, "run_dir=run") == 2
    said = capsys.readouterr().err
    assert reason in said
    assert "type train.max_minutes=null" in said
    assert not Path("run").exists()
