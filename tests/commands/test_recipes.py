"""The recipes of conf/experiment/, on made-up files of the real shape; and training on a GPU, where there is one."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.commands.conftest import TINY

Run = Callable[..., int]
SMALL = [word for word in TINY if word.startswith("model")] + [
    "data.crop=[64,64]",
    "train.steps=2",
    "data.batch_size=2",
]


@pytest.fixture
def camvid() -> Callable[[str, str], None]:
    """Writes CamVid's 11 classes and void as palette images, in folders named by the two patterns."""

    def write(images: str, masks: str) -> None:
        rng = np.random.default_rng(0)
        for split, number in {"train": 4, "val": 2}.items():
            for pattern in (images, masks):
                Path(pattern.format(split)).mkdir(parents=True)
            for i in range(number):
                name = f"0001TP_{i:06}"
                Image.fromarray(rng.integers(0, 256, (72, 96, 3), np.uint8)).save(f"{images.format(split)}/{name}.png")
                mask = Image.fromarray(rng.integers(0, 12, (72, 96), np.uint8)).convert("P")
                mask.save(f"{masks.format(split)}/{name}.png")

    return write


@pytest.mark.parametrize("recipe", ["camvid_cpu", "camvid_gpu"])
@pytest.mark.parametrize(
    ("images", "masks"),
    [("CamVid/images/{}", "CamVid/masks/{}"), ("CamVid/{}", "CamVid/{}annot")],
    ids=["home", "segnet"],
)
@pytest.mark.slow
def test_a_camvid_recipe_trains_and_scores(
    segtrain: Run, camvid: Callable[[str, str], None], recipe: str, images: str, masks: str
):
    camvid(images, masks)
    words = ["data=camvid", "data.root=CamVid", f"experiment={recipe}", "trainer.accelerator=cpu", "run_dir=run"]
    assert segtrain("train", *SMALL, *words) == 0
    score = json.loads(Path("run/evaluate/val/metrics.json").read_text())
    assert list(score["classes"])[:2] == ["Sky", "Building"]
    assert len(score["classes"]) == 11
    assert score["void_pixels"] > 0
    assert score["pixels"] + score["void_pixels"] == 2 * 72 * 96


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["auto", "16-mixed", "32-true"])
def test_a_gpu_trains_scores_and_predicts(segtrain: Run, precision: str):
    words = [word for word in TINY if not word.startswith("trainer.")]
    settings = ["train.ema=0.9", "model.auxiliary=true", f"trainer.precision={precision}", "run_dir=run"]
    assert segtrain("train", *words, "trainer.accelerator=gpu", *settings) == 0
    trained = json.loads(Path("run/evaluate/test/metrics.json").read_text())
    assert segtrain("evaluate", "run=run") == 0
    assert json.loads(Path("run/evaluate/test/metrics.json").read_text()) == trained
    Image.new("RGB", (40, 30)).save("photo.png")
    assert segtrain("predict", "run=run", "images=photo.png") == 0


@pytest.mark.gpu
def test_deterministic_training_on_a_gpu_gives_equal_weights(segtrain: Run, weights: Callable[..., dict]):
    words = [word for word in TINY if not word.startswith("trainer.")]
    for run in ("a", "b"):
        assert segtrain("train", *words, "trainer.accelerator=gpu", "trainer.deterministic=true", f"run_dir={run}") == 0
    one, other = weights("a"), weights("b")
    assert all(one[name].equal(other[name]) for name in one)
