"""A loss of one's own, in a file of conf/loss/ where one works."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.commands.conftest import TINY

Run = Callable[..., int]


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
