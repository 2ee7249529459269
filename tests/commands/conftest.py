"""Commands as they are typed, in this process and an empty folder."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from segtrain.cli import main

# As small as it gets: a network of 20 k parameters on shapes of 32 x 32, eight steps.
TINY = [
    "model=fcn_tiny",
    "model.encoder.widths=[8,8,16,16]",
    "model.encoder.depths=[1,1,1,1]",
    "model.encoder.stem_width=8",
    "model.widths=[8,8,8,8]",
    "data.size=[32,32]",
    "data.crop=[32,32]",
    "data.train=12",
    "data.val=3",
    "data.test=3",
    "data.batch_size=4",
    "train.steps=8",
    "train.validate_epochs=1",
    "train.log_steps=2",
    "trainer.accelerator=cpu",
    "trainer.precision=32-true",
]


@pytest.fixture
def segtrain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs `segtrain WORDS` in an empty folder and returns the exit status."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["segtrain", *words])
        try:
            return main()
        except SystemExit as end:
            return int(end.code or 0)

    return run


@pytest.fixture
def weights() -> Callable[..., dict[str, torch.Tensor]]:
    """Everything in a run's checkpoint that training changes: weights, average, optimiser."""

    def read(run: str, name: str = "last") -> dict[str, torch.Tensor]:
        content = torch.load(Path(run) / "checkpoints" / f"{name}.ckpt", weights_only=True)
        optimizer = content["optimizer_states"][0]["state"]
        moments = {f"{i}.{key}": torch.as_tensor(v) for i, state in optimizer.items() for key, v in state.items()}
        return content["state_dict"] | moments

    return read
