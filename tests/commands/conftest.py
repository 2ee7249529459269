"""The words of a tiny training, and what comes of it."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from segtrain.cli import start

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


@pytest.fixture(scope="session")
def home_of_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run `run` of these words, which is the latest there: to be copied."""
    folder, before = tmp_path_factory.mktemp("trained"), Path.cwd()
    os.chdir(folder)
    try:
        assert start(["train", *TINY, "run_dir=run"]) == 0
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def trained(segtrain: Callable[..., int], home_of_run: Path) -> Callable[..., int]:
    """Runs `segtrain WORDS` where the run `run` is."""
    shutil.copytree(home_of_run, ".", dirs_exist_ok=True)
    return segtrain
