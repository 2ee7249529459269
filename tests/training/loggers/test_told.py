from pathlib import Path

import pytest

from segtrain.training.loggers.told import Told


def test_a_run_that_goes_on_tells_nothing_twice(tmp_path: Path):
    told = Told(tmp_path / "wandb.json", "a")
    assert told.new(["loss"], 10) == ["loss"]
    assert told.new(["loss", "IoU"], 20) == ["loss", "IoU"]
    assert told.new(["loss"], 30) == ["loss"]
    again = Told(tmp_path / "wandb.json", "a")  # from the checkpoint of step 10 on
    assert again.new(["loss", "IoU"], 20) == []
    assert again.new(["loss", "IoU"], 30) == ["IoU"]  # before which the first process was stopped
    assert again.new(["loss", "IoU"], 40) == ["loss", "IoU"]


def test_the_first_step_of_all_counts(tmp_path: Path):
    assert Told(tmp_path / "wandb.json", "a").new(["picture"], 0) == ["picture"]
    assert Told(tmp_path / "wandb.json", "a").new(["picture"], 0) == []


def test_what_another_run_was_told_counts_for_nothing(tmp_path: Path):
    Told(tmp_path / "wandb.json", "a").new(["loss"], 10)
    assert Told(tmp_path / "wandb.json", "b").new(["loss"], 10) == ["loss"]


@pytest.mark.parametrize(
    "content", ["", "[]", "[" * 10_000, '{"run": "a"}', '{"run": "a", "steps": {"loss": "10"}}', "\xff"]
)
def test_a_file_that_cannot_be_read_counts_for_nothing(tmp_path: Path, content: str):
    (tmp_path / "wandb.json").write_text(content, encoding="latin-1")
    assert Told(tmp_path / "wandb.json", "a").new(["loss"], 10) == ["loss"]
