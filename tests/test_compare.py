"""scripts/compare.py: what it plans and prints; slow: seconds of training on six small images."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from tests.conftest import script

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts" / "compare.py"
SMALL = ("data.crop=[32,32]", "data.batch_size=2", "data.workers=0", "trainer.accelerator=cpu")


@pytest.fixture(scope="module")
def compare() -> Any:
    return script("compare")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Four images to train on and two to validate on, of bright rectangles (class 1) on dark ground (class 0)."""
    for number in range(6):
        split = "train" if number < 4 else "val"
        mask = np.zeros((40, 48), np.uint8)
        mask[8 : 20 + number, 8 : 30 - number] = 1
        mask[:2] = 11  # void
        for kind, pixels in (("images", np.stack([200 * (mask == 1)] * 3, 2)), ("masks", mask)):
            folder = tmp_path / "data" / kind / split
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
    return tmp_path / "data"


def test_the_steps_that_choose_kernels_are_no_part_of_the_plan(compare: Any):
    assert compare.planned([9.0] * compare.SKIPPED + [0.5, 1.5], budget=60) == 60


def test_a_budget_below_one_step_is_one_step(compare: Any):
    assert compare.planned([1.0] * compare.TRIAL, budget=0.1) == 1


def test_each_step_takes_what_the_images_of_a_second_say_since_the_point_before(compare: Any):
    speeds = [("2", "4.0"), ("3", "2.0"), ("3", ""), ("5", "16.0")]  # the third row is a validation
    curves = [{"step": step, compare.SPEED: speed} for step, speed in speeds]
    assert compare.step_seconds(curves, batch=8) == [2.0, 2.0, 4.0, 0.5, 0.5]


def test_the_table_has_a_row_for_each_network_and_a_column_for_each_seed(compare: Any):
    entry = compare.Entry("theirs", "fp32", train=None)
    results = {entry: [compare.Result(0.25, 100, 60.0), compare.Result(0.75, 104, 66.0)]}
    assert compare.table(results, seeds=[0, 7]).splitlines() == [
        "| network | precision | steps | minutes | seed 0 | seed 7 | mean |",
        "| --- | --- | --: | --: | --: | --: | --: |",
        "| theirs | fp32 | 100, 104 | 1.0, 1.1 | 0.2500 | 0.7500 | 0.5000 |",
    ]


def test_what_was_measured_is_not_measured_again(compare: Any, tmp_path: Path):
    result = compare.Result(0.5, 10, 2.5)
    assert compare.once(tmp_path / "a.json", lambda: result) == result
    assert compare.once(tmp_path / "a.json", lambda: pytest.fail("measured again")) == result


def test_a_folder_keeps_to_one_question(compare: Any, tmp_path: Path):
    compare.claim(tmp_path / "out", {"minutes": 8})
    compare.claim(tmp_path / "out", {"minutes": 8})
    with pytest.raises(SystemExit, match="name another folder"):
        compare.claim(tmp_path / "out", {"minutes": 9})


def test_each_other_network_has_a_row_for_each_precision(compare: Any):
    rows = compare.entries(
        ["segtrain", "smp"],
        ["fp32", "bf16, channels last"],
        (*compare.RECIPE, "data.root=.", "trainer.precision=32-true"),
        [],
    )
    assert [(row.title.split(",")[0], row.precision) for row in rows] == [
        ("segtrain", "32-true, channels last"),
        ("smp Unet-resnet34", "fp32"),
        ("smp Unet-resnet34", "bf16, channels last"),
    ]


def test_each_training_has_a_file_of_its_own(compare: Any):
    rows = compare.entries(
        ["segtrain", *compare.RIVALS],
        list(compare.PRECISIONS)[::2],
        [*compare.RECIPE, "data.root=."],
        ["model=fcn_r34"],
    )
    names = {compare.file_name(row.title, row.precision, seed) for row in rows for seed in (0, 1)}
    assert len(rows) == 2 + 2 * len(compare.RIVALS)
    assert len(names) == 2 * len(rows)


def test_images_of_any_size_are_padded_for_a_network_and_its_logits_cut_back(compare: Any):
    class Named(nn.Module):
        def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
            assert image.shape == (1, 3, 64, 96)
            return {"out": image[:, :2]}

    mean = torch.tensor(compare.MEAN).view(1, 3, 1, 1).expand(1, 3, 33, 65)
    logits = compare.Foreign(Named(), torch.channels_last)(mean)
    assert logits.shape == (1, 2, 33, 65)
    assert logits.abs().max() == 0


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16, channels last"])
@pytest.mark.parametrize("name", ["smp", "smp_adam", "lraspp", "lraspp_adam"])
def test_another_network_is_trained_and_scored(
    compare: Any, images: Path, name: str, precision: str, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("segmentation_models_pytorch")
    monkeypatch.setattr(compare, "TRIAL", compare.SKIPPED + 1)
    words = [*compare.RECIPE, f"data.root={images}", *SMALL]
    result = compare.train_rival(name, precision, words, seed=0, budget=0.01)
    assert 0 <= result.miou <= 1
    assert result.steps >= 1
    assert result.seconds > 0


@pytest.mark.slow
def test_networks_are_trained_in_turns_and_shown_in_a_table(images: Path, tmp_path: Path):
    options = ["--minutes", "0.002", "--seeds", "3", "--networks", "segtrain", "lraspp", "--out", "measured"]
    command = [sys.executable, str(SCRIPT), str(images), *SMALL, "model=fcn_tiny", *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^\| (.+?)(?:,.*)? \| .* \| (\d+) \| [\d.]+ \| ([\d.]+) \| \3 \|$", done.stdout, re.MULTILINE)
    theirs = "torchvision lraspp_mobilenet_v3_large"
    assert [name for name, _, _ in rows] == ["segtrain", theirs, theirs]
    assert all(int(steps) >= 1 and 0 <= float(miou) <= 1 for _, steps, miou in rows)
    results = [json.loads(file.read_text()) for file in (tmp_path / "measured").glob("*seed-3.json")]
    assert sorted(f"{result['miou']:.4f}" for result in results) == sorted(miou for _, _, miou in rows)
