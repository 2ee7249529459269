import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn

from segtrain.data import ShapesData
from segtrain.metrics import ConfusionMatrix
from segtrain.runs.corrected import correct, shifted
from segtrain.runs.correction import FREQUENCY, LOSS, Correction
from segtrain.training import correction
from segtrain.training.correction import SHARES, GridScorer, bias, choose, fit_correction
from segtrain.training.held_out import BLOCKS

ROOT = Path(__file__).resolve().parents[2]
WEIGHTED = {"_target_": "segtrain.losses.CrossEntropy", "weights": [0.2, 1, 1, 2, 2, 4]}
PLAIN = {"_target_": "segtrain.losses.CrossEntropy", "weights": None}


def shapes(val: int) -> ShapesData:
    return ShapesData(size=[16, 16], train=2, val=val, test=1, variant=0, crop=[16, 16], batch_size=1, workers=0)


def blocks(*found: Sequence[int]) -> Tensor:
    """Matrices (blocks, shares, 2, 2): of ten pixels of each class, all of the first are found, and of the second as
    many as is said for a share of 0 and one of 0.1; with all other shares, none."""
    matrices = torch.zeros(len(found), len(SHARES), 2, 2, dtype=torch.int64)
    for block, numbers in zip(matrices, found, strict=True):
        for matrix, right in zip(block, [*numbers, *[0] * (len(SHARES) - 2)], strict=True):
            matrix[:] = torch.tensor([[10, 0], [10 - right, right]])
    return matrices


def test_a_gain_in_each_block_counts() -> None:
    choice = choose(blocks(*[(5, 10)] * 5))
    assert choice.share == 0.1
    assert choice.before == pytest.approx((50 / 75 + 25 / 50) / 2)
    assert choice.after == 1
    assert choice.error == pytest.approx(0)


def test_a_gain_in_one_block_alone_is_none_out_of_fold() -> None:
    """The other blocks do not choose what that one needs; and themselves they gain nothing by it."""
    choice = choose(blocks((5, 5), (5, 5), (5, 5), (5, 5), (5, 10)))
    assert choice.after == choice.before
    assert choice.share == 0


def test_a_gain_below_its_own_error_is_chance() -> None:
    """Of 6, 6, -2, -1 and -1 pixels a block, the mean is 1.6 and its standard error 1.8."""
    choice = choose(blocks((4, 10), (4, 10), (5, 3), (5, 4), (5, 4)))
    assert correction.LEAST < choice.after - choice.before < choice.error
    assert choice.share == 0


def test_a_loss_out_of_fold_is_no_gain() -> None:
    """One block needs 0.1 so much that the four others choose it with it: they lose by it."""
    choice = choose(blocks((6, 5), (6, 5), (6, 5), (6, 5), (0, 10)))
    assert choice.after < choice.before
    assert choice.share == 0


def test_a_gain_below_a_tenth_of_a_point_changes_nothing() -> None:
    matrices = 1000 * blocks(*[(5, 5)] * 5)
    matrices[:, 1] += torch.tensor([[0, 0], [-1, 1]])
    choice = choose(matrices)
    assert 0 < choice.after - choice.before < correction.LEAST
    assert (choice.share, choice.error) == (0, pytest.approx(0, abs=1e-12))


def test_of_equal_shares_the_least_is_chosen() -> None:
    matrices = blocks(*[(5, 10)] * 5)
    matrices[:, 2:] = matrices[:, 1:2]
    assert choose(matrices).share == 0.1


class Biased(nn.Module):
    """Logits that are right by a margin of 1, then taken a share of some numbers too far; the image is the truth."""

    def __init__(self, logarithms: Sequence[float], share: float) -> None:
        super().__init__()
        self.offsets = tuple(share * value for value in logarithms)

    def forward(self, image: Tensor) -> Tensor:
        truth = image[:, 0].long().clamp(max=len(self.offsets) - 1)  # void is anything
        return shifted(nn.functional.one_hot(truth, len(self.offsets)).movedim(-1, 1), self.offsets)


class Masks(ShapesData):
    """Images that are their own masks."""

    def whole_images(self, split: str, trainer: Any = None) -> Any:
        for batch in super().whole_images(split, trainer):
            yield {**batch, "image": batch["mask"][:, None].expand(-1, 3, -1, -1)}


def masks() -> Masks:
    return Masks(size=[32, 32], train=2, val=11, test=1, variant=0, crop=[32, 32], batch_size=1, workers=0)


@pytest.mark.parametrize(("share", "fitted"), [(0.5, 0.2), (-0.5, -0.2), (0.1, 0)])
def test_a_network_that_is_taken_too_far_is_taken_back(share: float, fitted: float) -> None:
    """The logarithms of the weights differ by 3.0 at most: what is left of 0.3 of that is below the margin of 1."""
    data = masks()
    network = Biased(bias(WEIGHTED, data)[1], share)
    found = fit_correction(trainer(), network.eval(), data, WEIGHTED)
    if not fitted:
        assert found is None
        return
    assert found is not None
    assert (found.share, found.of, found.after) == (fitted, LOSS, 1)
    assert found.before < 0.7
    correct(network, found)
    (batch, *_) = data.whole_images("val")
    right = network(batch["image"]).argmax(1) == batch["mask"]
    assert right[batch["mask"] != data.classes.void].all()


def trainer(**settings: Any) -> Trainer:
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    return Trainer(accelerator="cpu", use_distributed_sampler=False, **quiet, **settings)


class Floats(nn.Module):
    """A fresh convolution."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.convolution = nn.Conv2d(3, 6, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        return self.convolution(image / 255)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_the_grid_counts_what_each_correction_by_itself_counts(precision: Any) -> None:
    data, network = shapes(val=7), Floats().eval()
    logarithms = bias(WEIGHTED, data)[1]
    grid = [tuple(-share * value for value in logarithms) for share in SHARES]
    scorer = GridScorer(network, grid, void=data.classes.void, images=7)
    trainer(precision=precision).test(scorer, dataloaders=data.whole_images("val"), verbose=False)
    answers = scorer.totals.sum((0, 2))
    assert len({tuple(row) for row in answers.tolist()}) > 10  # the corrections do change answers
    for share, offsets in enumerate(grid):
        confusions = [ConfusionMatrix(6, data.classes.void) for _ in range(BLOCKS)]
        with torch.autocast("cpu", torch.bfloat16, enabled=precision != "32-true"), torch.no_grad():
            (batch,) = data.whole_images("val")
            logits = shifted(network(batch["image"]), offsets)
            for block, index in zip([0, 0, 1, 2, 2, 3, 4], range(7), strict=True):
                confusions[block].update(logits[index : index + 1].argmax(1), batch["mask"][index : index + 1])
        for block, confusion in enumerate(confusions):
            assert torch.equal(scorer.totals[block, share], confusion.compute())


def test_few_images_are_too_few(capsys: pytest.CaptureFixture[str]) -> None:
    assert fit_correction(trainer(), Floats(), shapes(val=BLOCKS - 1), WEIGHTED) is None
    assert capsys.readouterr().out == "no prior correction: 4 images of val are too few to fit one\n"


def test_many_classes_are_too_many(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(correction, "MOST_CLASSES", 5)
    assert fit_correction(trainer(), Floats(), shapes(val=BLOCKS), WEIGHTED) is None
    assert capsys.readouterr().out == "no prior correction: 6 classes are too many to fit one\n"


def test_what_a_share_is_taken_of() -> None:
    class Counted:
        classes = ("a", "b", "c")
        class_pixels = torch.tensor([8, 2, 0])

    def logarithms(weights: Any, **others: Any) -> tuple[str, list[float]]:
        of, values = bias({"_target_": "some.Loss", "weights": weights, **others}, Counted())  # type: ignore[arg-type]
        return of, (torch.tensor(values) - min(values)).exp().tolist()

    assert logarithms([1.0, 2.0, 4.0]) == (LOSS, pytest.approx([1, 2, 4]))
    assert logarithms([1.0, 2.0, 0.0]) == (LOSS, pytest.approx([1, 2, 2]))
    part = {"_target_": "some.Part", "weights": [1.0, 2.0, 4.0]}
    assert logarithms(None, parts=[{"_target_": "some.Dice"}, part]) == (LOSS, pytest.approx([1, 2, 4]))
    for weights in (None, [3.0, 3.0, 3.0]):
        assert logarithms(weights) == (FREQUENCY, pytest.approx([4, 1, 1]))


# The correction of one network, fitted by several processes.
FIT = """
import sys
import json
from dataclasses import asdict
from segtrain.machine import device, processes
from tests.training.test_correction import WEIGHTED, Biased, bias, fit_correction, masks, trainer

device.quiet()
number, file = int(sys.argv[1]), sys.argv[2]
engine = trainer(devices=number, strategy=processes.strategy(number))
data = masks()
network = Biased(bias(WEIGHTED, data)[1], 0.5)
found = fit_correction(engine, network, data, WEIGHTED)
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
    assert Correction.stored(fits[0])
