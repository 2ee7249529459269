"""A loss of one's own, in a file of conf/loss/ where one works."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.commands.conftest import TINY
from tests.commands.test_networks import NO_SMP, interrupted, score
from tests.test_docs import BLOCKS

Run = Callable[..., int]
Weights = Callable[..., dict[str, torch.Tensor]]
SMP = "segmentation_models_pytorch.losses.DiceLoss"


def write_choice(text: str) -> None:
    """conf/loss/mine.yaml"""
    Path("conf/loss").mkdir(parents=True)
    Path("conf/loss/mine.yaml").write_text(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "_target_: tests.losses.test_contract.OneHot",
            "loss: OneHot cannot be computed from logits and a mask with void pixels (-100), which are to be",
        ),
        ("_target_: tests.losses.test_contract.Mistakes", "loss: Mistakes cannot be computed from logits and mask ("),
        ("_target_: tests.losses.test_contract.WithoutTerms", "loss: WithoutTerms has `count`, but no `terms`"),
        (
            "_target_: tests.losses.test_contract.Choosy\nmode: multi",
            "loss: it cannot be built from these settings (AssertionError(",
        ),
    ],
)
def test_a_loss_that_cannot_be_trained_is_refused_before_anything_is_written(
    segtrain: Run, capsys: pytest.CaptureFixture[str], text: str, message: str
):
    write_choice(text)
    assert segtrain("train", *TINY, "loss=mine") == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert message in err
    assert not Path("runs").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("torch.nn.CrossEntropyLoss", None, id="as README.md has it"),
        pytest.param(SMP, f"_target_: {SMP}\nmode: multiclass", id="smp", marks=NO_SMP),
    ],
)
def test_a_loss_of_others_trains_resumes_to_the_same_bits_and_is_scored(
    segtrain: Run,
    weights: Weights,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    text: str | None,
):
    [shown] = [block.text for block in BLOCKS if "conf/loss/mine.yaml" in block.text]
    write_choice(text or shown)
    words = [*TINY, "loss=mine", "train.save_minutes=0", "data.workers=0"]
    assert segtrain("train", *words, "run_dir=whole") == 0
    assert interrupted(segtrain, monkeypatch, *words, "run_dir=part") == 1
    capsys.readouterr()
    assert segtrain("train", "resume=part") == 2
    assert f"if you trust it, type allow=[{name}]" in capsys.readouterr().err
    assert segtrain("train", "resume=part", f"allow=[{name}]") == 0
    whole, part = weights("whole"), weights("part")
    assert whole.keys() == part.keys()
    assert all(torch.equal(whole[key], part[key]) for key in whole)
    before = score("whole")
    assert before == score("part")
    assert segtrain("evaluate", "run=part", "trainer.accelerator=cpu") == 0
    assert score("part")["miou"] == before["miou"]
