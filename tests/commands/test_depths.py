"""Images whose numbers are not 0 to 255, from `check` to `predict`."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segtrain.runs import trained
from tests.commands.conftest import TINY

tifffile = pytest.importorskip("tifffile")
Run = Callable[..., int]
Says = pytest.CaptureFixture[str]
FOUR = {"photometric": "minisblack", "planarconfig": "contig", "extrasamples": [0, 0, 0]}
SMALL = [word for word in TINY if not word.startswith("data")]
SMALL += ["data.crop=[32,32]", "data.batch_size=4", "data.workers=0"]


def scene(rng: np.random.Generator, size: int = 32) -> np.ndarray:
    """A mask (H, W) of one disc."""
    y, x = np.mgrid[:size, :size]
    row, column = rng.integers(8, size - 8, 2)
    return ((y - row) ** 2 + (x - column) ** 2 < 49).astype(np.uint8)


def write(root: str, draw: Callable[[np.random.Generator, np.ndarray], np.ndarray], **options: object) -> None:
    """Six images to train on and three to validate on, drawn from a random generator and their mask."""
    rng = np.random.default_rng(0)
    for split, number in (("train", 6), ("val", 3)):
        for kind in ("images", "masks"):
            Path(root, kind, split).mkdir(parents=True)
        for i in range(number):
            mask = scene(rng)
            tifffile.imwrite(Path(root, "images", split, f"{i}.tif"), draw(rng, mask), **options)
            Image.fromarray(mask).save(Path(root, "masks", split, f"{i}.png"))
    Path(root, "classes.yaml").write_text("ignore: 255\nclasses: [{name: ground}, {name: disc}]\n")


def elevations(rng: np.random.Generator, mask: np.ndarray) -> np.ndarray:
    image = (rng.normal(-3000, 20, mask.shape) + 90 * mask).astype(np.float32)
    image[:4, :5] = np.nan
    return image


def twelve_bits(rng: np.random.Generator, mask: np.ndarray) -> np.ndarray:
    image = 1500 + rng.normal(0, 60, (*mask.shape, 3)) + 240 * mask[..., None]
    return image.round().astype(np.uint16)


def usual(rng: np.random.Generator, mask: np.ndarray) -> np.ndarray:
    return rng.integers(0, 256, (*mask.shape, 3), np.uint8)


@pytest.mark.slow
def test_fractions_are_trained_on_in_the_range_that_they_fill_and_nan_is_void(segtrain: Run, capsys: Says):
    write("dem", elevations)
    assert segtrain("check", "data.root=dem") == 0
    said = capsys.readouterr().out
    assert "images such as images/train/0.tif: 32 bits with fractions, filled from -30" in said
    assert "32 float" in said
    assert segtrain("train", "data.root=dem", *SMALL, "run_dir=run") == 0
    assert "colours are jittered in that range" in capsys.readouterr().out
    assert json.loads(Path("run/evaluate/val/metrics.json").read_text())["void_pixels"] == 3 * 4 * 5
    network = trained.load("run")
    assert -3000 < network.mean.item() < -2900
    assert 10 < network.std.item() < 100
    assert segtrain("predict", "run=run", "images=dem/images/val", "out=done") == 0
    assert "training" not in capsys.readouterr().out
    with Image.open("done/masks/0.png") as mask:
        assert np.unique(np.asarray(mask)[:4, :5]).tolist() == [255]
        assert np.asarray(mask)[4:].max() < 2


@pytest.mark.slow
def test_a_training_on_deep_images_goes_on_in_the_same_range(segtrain: Run, weights: Callable[..., dict]):
    write("deep", twelve_bits, photometric="rgb")
    words = ["data.root=deep", *SMALL]
    assert segtrain("train", *words, "run_dir=whole") == 0
    assert segtrain("train", *words, "train.steps=4", "run_dir=half") == 0
    assert segtrain("train", "resume=half", "train.steps=8", "allow_changes=true") == 0
    whole, half = (json.loads(trained_record(run))["pictures"] for run in ("whole", "half"))
    assert whole == half
    assert whole["low"][0] * 65535 == pytest.approx(1350, abs=40)
    assert weights("whole").keys() == weights("half").keys()


def trained_record(run: str) -> str:
    from segtrain.runs.restore import RECORD, read_checkpoint

    return read_checkpoint(Path(run, "checkpoints/last.ckpt"))[RECORD]["record"]


@pytest.mark.slow
def test_pictures_of_other_bits_channels_or_numbers_are_named(segtrain: Run, capsys: Says):
    write("usual", usual, photometric="rgb")
    write("deep", twelve_bits, photometric="rgb")
    write("bands", lambda rng, mask: rng.integers(0, 256, (*mask.shape, 4), np.uint8), **FOUR)
    write("fractions", lambda rng, mask: rng.random((*mask.shape, 3), np.float32) * 255, photometric="rgb")
    assert segtrain("train", "data.root=usual", *SMALL, "run_dir=run") == 0
    assert "jittered in that range" not in capsys.readouterr().out
    for root, expected in {
        "usual": "",
        "deep": "16 bits that fill",
        "bands": "4 channels, where the training's pictures have 3: the first 3 are used",
        "fractions": "32 bits with fractions that fill",
    }.items():
        assert segtrain("predict", "run=run", f"images={root}/images/val", f"out=out_{root}") == 0
        said = capsys.readouterr().out
        assert (f"{root}/images/val/0.tif: {expected}" in said) if expected else "training" not in said
        assert segtrain("evaluate", "run=run", f"data.root={root}") == 0
        said = capsys.readouterr().out
        assert (f"images such as 0: {expected}" in said) if expected else "training" not in said


@pytest.mark.slow
def test_a_band_that_is_marked_as_alpha_is_said_to_be_left_out(segtrain: Run, capsys: Says):
    write(
        "nir", lambda rng, mask: rng.integers(0, 256, (*mask.shape, 4), np.uint8), photometric="rgb", extrasamples=[2]
    )
    expected = "in 6 of 6 images, the last channel is marked as alpha but varies as data do, such as in"
    assert segtrain("check", "data.root=nir") == 0
    said = capsys.readouterr().out
    assert "3 + alpha" in said
    assert expected in said
    assert segtrain("train", "data.root=nir", *SMALL, "run_dir=run") == 0
    assert expected in capsys.readouterr().out
    assert trained.load("run").mean.shape[1] == 3


def test_numbers_with_a_white_and_without_one_have_no_common_scale(segtrain: Run, capsys: Says):
    write("mixed", elevations)
    Image.fromarray(np.zeros((32, 32), np.uint8)).save("mixed/images/train/0.tif")
    assert segtrain("train", "data.root=mixed", *SMALL) == 2
    assert "their values have no common scale; save all images alike" in capsys.readouterr().err


@pytest.mark.slow
def test_weights_of_another_depth_leave_mean_and_std_as_measured(segtrain: Run, capsys: Says):
    write("usual", usual, photometric="rgb")
    write("deep", twelve_bits, photometric="rgb")
    assert segtrain("train", "data.root=usual", *SMALL, "run_dir=first") == 0
    assert segtrain("train", "data.root=deep", *SMALL, "run_dir=deep_run", "init=first") == 0
    said = capsys.readouterr().out
    assert "init: its images had another depth, or filled other values: mean and std are measured anew" in said
    assert trained.load("deep_run").mean.max() < 0.05
    assert segtrain("train", "data.root=usual", *SMALL, "run_dir=alike", "init=first") == 0
    assert "measured anew" not in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true"])
def test_deep_images_are_learnt_in_half_precision(segtrain: Run, precision: str):
    write("deep", lambda rng, mask: twelve_bits(rng, mask) + 31500, photometric="rgb")
    words = [word for word in SMALL if not word.startswith(("train", "model"))]
    words += ["model=fcn_tiny", "train.steps=60", "train.validate_epochs=20", "optimizer.lr=0.005"]
    assert segtrain("train", "data.root=deep", *words, f"trainer.precision={precision}", "run_dir=run") == 0
    assert json.loads(Path("run/evaluate/val/metrics.json").read_text())["classes"]["disc"]["iou"] > 0.5
