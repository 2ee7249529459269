import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from segtrain.runs.temperature import Temperature
from segtrain.training import calibration
from segtrain.training.calibration import TEMPERATURES, UNIT, TemperatureScorer, choose, fit_temperature, losses
from segtrain.training.held_out import BLOCKS

from .test_correction import Floats, Masks, shapes, trainer

ROOT = Path(__file__).resolve().parents[2]
VOID = 255


def blocks(*sums: Sequence[float]) -> Tensor:
    """Totals of blocks of 100 pixels: their loss at temperature 1 and at the next one; at all others it is 9."""
    totals = torch.full((len(sums), len(TEMPERATURES) + 1), 900 * UNIT)
    for row, (one, other) in zip(totals, sums, strict=True):
        row[0], row[1], row[-1] = round(100 * one * UNIT), round(100 * other * UNIT), 100
    return totals


def test_the_first_that_is_tried_is_none() -> None:
    assert TEMPERATURES[0] == 1
    assert min(TEMPERATURES) < 0.25
    assert max(TEMPERATURES) == 8


def test_a_gain_in_each_block_counts() -> None:
    choice = choose(blocks(*[(0.5, 0.25)] * 5))
    assert choice.value == TEMPERATURES[1]
    assert (choice.before, choice.after) == (0.5, 0.25)
    assert choice.error == pytest.approx(0)


def test_a_gain_in_one_block_alone_is_none_out_of_fold() -> None:
    """The four others choose 1 for that one; with it they would choose the other, and lose by it."""
    choice = choose(blocks(*[(0.5, 0.55)] * 4, (0.5, 0.1)))
    assert choice.after > choice.before
    assert choice.value == 1


def test_a_gain_below_its_own_error_is_chance() -> None:
    """Of 0.06, 0.06, -0.02, -0.01 and -0.01 a block, the mean is 0.016 and its standard error 0.018."""
    choice = choose(blocks((0.5, 0.44), (0.5, 0.44), (0.5, 0.52), (0.5, 0.51), (0.5, 0.51)))
    assert choice.before - choice.after == pytest.approx(0.016)
    gains = [0.06, 0.06, -0.02, -0.01, -0.01]
    assert choice.error == pytest.approx(np.std(gains, ddof=1) / 5**0.5)
    assert choice.value == 1


def test_a_gain_that_no_one_sees_changes_nothing() -> None:
    choice = choose(blocks(*[(0.5, 0.4995)] * 5))
    assert choice.before - choice.after == pytest.approx(0.0005, abs=1e-6)
    assert choice.value == 1


def test_losses_are_those_of_cross_entropy_on_pixels_spread_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "PIXELS", 100)
    logits = 3 * torch.randn(4, 20, 30)
    mask = torch.randint(0, 4, (20, 30)).to(torch.uint8)
    mask[:5] = VOID
    *sums, pixels = losses(logits, mask, VOID).tolist()
    some, truth = logits.flatten(1)[:, 150::5].T, mask.flatten()[150::5].long()  # 450 are not void
    assert pixels == 90
    for temperature, total in zip(TEMPERATURES, sums, strict=True):
        expected = cross_entropy(some / temperature, truth, reduction="sum")
        assert total / UNIT == pytest.approx(float(expected), rel=1e-5)


def test_an_image_of_nothing_counts_nothing() -> None:
    assert not losses(torch.randn(4, 5, 6), torch.full((5, 6), VOID), VOID).any()


class Sure(nn.Module):
    """Of two classes, the true one is the likelier by odds of 3 to 1; it says so with logits that are too far apart."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, image: Tensor) -> Tensor:
        truth = image[:, 0].long()
        rows, columns = (torch.arange(size) for size in truth.shape[1:])
        wrong = (rows[:, None] + columns) % 4 == 0
        answer = torch.where(wrong, 1 - truth, truth).clamp(0, 1)
        odds = torch.log(torch.tensor(3.0)) * self.factor
        return odds * nn.functional.one_hot(answer, 6).movedim(-1, 1) - 100.0 * (torch.arange(6) > 1)[:, None, None]


class TwoClasses(Masks):
    """Images that are their own masks, of the first two classes and void."""

    def whole_images(self, split: str, trainer: Any = None) -> Any:
        for batch in super().whole_images(split, trainer):
            mask = batch["mask"].masked_fill(batch["mask"] > 1, self.classes.void)
            yield {**batch, "mask": mask, "image": mask[:, None].expand(-1, 3, -1, -1)}


def two_classes() -> TwoClasses:
    return TwoClasses(size=[32, 32], train=2, val=11, test=1, variant=0, crop=[32, 32], batch_size=1, workers=0)


@pytest.mark.parametrize("factor", [4.0, 0.5, 2**0.5])
def test_a_network_that_is_too_sure_is_taken_back(factor: float) -> None:
    found = fit_temperature(trainer(), Sure(factor), two_classes())
    assert found is not None
    assert found.value == pytest.approx(factor)
    assert found.after < found.before
    assert Temperature.stored(asdict(found)) == found


def test_a_network_that_is_as_sure_as_it_is_right_needs_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert fit_temperature(trainer(), Sure(1.0), two_classes()) is None
    assert capsys.readouterr().out.startswith("no temperature: none holds up on val (negative log-likelihood 0.56")


def test_few_images_are_too_few(capsys: pytest.CaptureFixture[str]) -> None:
    assert fit_temperature(trainer(), Floats(), shapes(val=BLOCKS - 1)) is None
    assert capsys.readouterr().out == "no temperature: 4 images of val are too few to fit one\n"


def test_images_of_nothing_say_nothing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: Any) -> Tensor:
        return torch.zeros(len(TEMPERATURES) + 1, dtype=torch.int64)

    monkeypatch.setattr(calibration, "losses", nothing)
    assert fit_temperature(trainer(), Floats(), shapes(val=BLOCKS)) is None
    assert capsys.readouterr().out == "no temperature: too many images of val are void\n"


def test_each_block_has_its_own_images() -> None:
    data, network = shapes(val=7), Floats().eval()
    scorer = TemperatureScorer(network, void=data.classes.void, images=7)
    trainer().test(scorer, dataloaders=data.whole_images("val"), verbose=False)
    expected = torch.zeros_like(scorer.totals)
    (batch,) = data.whole_images("val")
    with torch.no_grad():
        answers = network(batch["image"])
    for block, logits, mask in zip([0, 0, 1, 2, 2, 3, 4], answers, batch["mask"], strict=True):
        expected[block] += losses(logits, mask, data.classes.void)
    assert torch.equal(scorer.totals, expected)


# The temperature of one network, fitted by several processes.
FIT = """
import sys
import json
from dataclasses import asdict
from segtrain.machine import device, processes
from tests.training.test_calibration import Sure, fit_temperature, trainer, two_classes

device.quiet()
number, file = int(sys.argv[1]), sys.argv[2]
engine = trainer(devices=number, strategy=processes.strategy(number))
found = fit_temperature(engine, Sure(3.0), two_classes())
open(f"{file}.{engine.global_rank}", "w").write(json.dumps(asdict(found)))
"""


@pytest.mark.slow
def test_processes_fit_together_what_one_fits(tmp_path: Path) -> None:
    fits = []
    script = tmp_path / "fit.py"  # a file, since Lightning starts the second process by its name
    script.write_text(FIT)
    for number in (1, 2):
        subprocess.run(
            [sys.executable, script, str(number), str(tmp_path / str(number))],
            env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
            check=True,
            timeout=120,
        )
        fits += [json.loads((tmp_path / f"{number}.{rank}").read_text()) for rank in range(number)]
    assert fits[0] == fits[1] == fits[2]
    assert Temperature.stored(fits[0])
