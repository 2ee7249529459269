"""The recipes of conf/experiment/, on made-up files of the real shape; and training on a GPU, where there is one."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from tests.commands.conftest import TINY

Run = Callable[..., int]
SMALL = [word for word in TINY if word.startswith("model")] + [
    "model.skips=4",
    "data.crop=[64,64]",
    "train.steps=2",
    "data.batch_size=2",
]


@pytest.fixture
def camvid() -> Callable[..., None]:
    """Writes CamVid's 11 classes and void as palette images, in folders named by the two patterns."""

    def write(images: str, masks: str, **more: int) -> None:
        rng = np.random.default_rng(0)
        for split, number in {"train": 4, "val": 2, **more}.items():
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
    segtrain: Run, camvid: Callable[..., None], recipe: str, images: str, masks: str
):
    camvid(images, masks)
    words = ["data=camvid", "data.root=CamVid", f"experiment={recipe}", "trainer.accelerator=cpu", "run_dir=run"]
    assert segtrain("train", *SMALL, *words, "train.compile=false") == 0  # where there is no GPU
    score = json.loads(Path("run/evaluate/val/metrics.json").read_text())
    assert list(score["classes"])[:2] == ["Sky", "Building"]
    assert len(score["classes"]) == 11
    assert score["void_pixels"] > 0
    assert score["pixels"] + score["void_pixels"] == 2 * 72 * 96


@pytest.mark.parametrize(
    ("images", "masks"),
    [("CamVid/images/{}", "CamVid/masks/{}"), ("CamVid/{}", "CamVid/{}annot")],
    ids=["home", "segnet"],
)
@pytest.mark.slow
def test_a_test_folder_of_camvid_is_scored_at_the_end_or_later(
    segtrain: Run, camvid: Callable[..., None], images: str, masks: str
):
    camvid(images, masks, test=3)
    words = ["data=camvid", "data.root=CamVid", "experiment=camvid_cpu", "trainer.accelerator=cpu", "run_dir=run"]
    assert segtrain("train", *SMALL, *words) == 0
    at_the_end = Path("run/evaluate/test/metrics.json").read_bytes()
    assert json.loads(at_the_end)["images"] == 3
    assert not Path("run/evaluate/val").exists()
    Path("CamVid").rename("elsewhere")
    assert segtrain("evaluate", "run=run", "split=test", "data.root=elsewhere") == 0
    assert Path("run/evaluate/elsewhere-test/metrics.json").read_bytes() == at_the_end


def write_pairs(masks: Callable[[np.random.Generator], np.ndarray]) -> None:
    """Eight images of noise in photos/images/, with such masks beside them in photos/masks/."""
    rng = np.random.default_rng(0)
    for kind in ("images", "masks"):
        Path("photos", kind).mkdir(parents=True)
    for number in range(8):
        noise = rng.integers(0, 256, (72, 96, 3), np.uint8)
        Image.fromarray(noise).save(f"photos/images/{number}.png")
        Image.fromarray(masks(rng)).save(f"photos/masks/{number}.png")


@pytest.mark.slow
def test_the_recipe_for_nuclei_names_the_values_of_their_masks(segtrain: Run):
    write_pairs(lambda rng: 255 * rng.integers(0, 2, (72, 96), np.uint8))
    words = ["data.root=photos", "experiment=nuclei", "trainer.accelerator=cpu", "run_dir=run"]
    assert segtrain("train", *SMALL, *words) == 0
    (score,) = Path("run/evaluate").glob("*/metrics.json")
    assert list(json.loads(score.read_text())["classes"]) == ["background", "nucleus"]


@pytest.mark.slow
def test_the_recipe_for_aerial_images_names_the_colours_of_their_masks(segtrain: Run):
    colors = np.array(
        [(0, 0, 0), (60, 16, 152), (132, 41, 246), (110, 193, 228), (254, 221, 58), (226, 169, 41), (155, 155, 155)],
        np.uint8,
    )
    write_pairs(lambda rng: colors[rng.integers(0, len(colors), (72, 96))])
    words = ["data.root=photos", "experiment=aerial", "trainer.accelerator=cpu", "run_dir=run"]
    assert segtrain("train", *SMALL, *words) == 0
    (score,) = Path("run/evaluate").glob("*/metrics.json")
    scores = json.loads(score.read_text())
    assert list(scores["classes"]) == ["building", "land", "road", "vegetation", "water", "unlabeled"]
    assert scores["void_pixels"] > 0


@pytest.mark.slow
def test_the_recipe_from_imagenet_takes_a_file_of_weights(segtrain: Run, camvid: Callable[..., None]):
    camvid("CamVid/images/{}", "CamVid/masks/{}")
    torch.save(torchvision.models.resnet18(weights=None).state_dict(), "resnet18.pth")
    network = ["model.encoder.layers=18", "model.encoder.weights=resnet18.pth", "data.crop=[64,64]", "train.steps=2"]
    words = [
        "data=camvid",
        "data.root=CamVid",
        "experiment=camvid_pretrained",
        "trainer.accelerator=cpu",
        "run_dir=run",
    ]
    assert segtrain("train", *words, *network, "data.batch_size=2") == 0
    assert len(json.loads(Path("run/evaluate/val/metrics.json").read_text())["classes"]) == 11


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
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # of torch's own compiler
@pytest.mark.parametrize("mode", ["true", "reduce-overhead"])
def test_a_compiled_training_on_a_gpu_learns_the_same(segtrain: Run, mode: str):
    words = [word for word in TINY if not word.startswith("trainer.")]
    words += ["trainer.accelerator=gpu", "trainer.precision=32-true", "train.log_steps=1", "train.steps=8"]
    losses = {}
    for compile in ("false", mode):
        assert segtrain("train", *words, f"train.compile={compile}", f"run_dir={compile}") == 0
        rows = csv.DictReader(Path(compile, "metrics.csv").read_text().splitlines())
        losses[compile] = [float(row["loss/train"]) for row in rows if row["loss/train"]]
    assert losses[mode] == pytest.approx(losses["false"], rel=0.02)


@pytest.mark.gpu
def test_deterministic_training_on_a_gpu_gives_equal_weights(segtrain: Run, weights: Callable[..., dict]):
    words = [word for word in TINY if not word.startswith("trainer.")]
    for run in ("a", "b"):
        assert segtrain("train", *words, "trainer.accelerator=gpu", "trainer.deterministic=true", f"run_dir={run}") == 0
    one, other = weights("a"), weights("b")
    assert all(one[name].equal(other[name]) for name in one)
