"""Large TIFF images are scored in parts as the same pixels in PNG, which are read as a whole."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import indent

import numpy as np
import pytest
from PIL import Image

from segtrain.data.batches import sampler
from segtrain.data.batches.source import FolderSource
from segtrain.data.files import large
from segtrain.inference import windows
from tests.commands.conftest import TINY
from tests.machine.conftest import ALONE

COST = 105  # bytes that fcn_tiny takes for a pixel
tifffile = pytest.importorskip("tifffile")
Run = Callable[..., int]
SMALL = [word for word in TINY if not word.startswith("data")]
SMALL += ["data.crop=[32,32]", "data.batch_size=4", "data.workers=0", "data.cache=none"]
TILES = {"photometric": "rgb", "tile": (16, 32), "compression": "zlib", "metadata": None}


def write(numbers: dict[str, int], size: tuple[int, int], **options: object) -> None:
    """So many images of each split with discs on a ground, in `png` and as tiled TIFF in `tif`."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[: size[0], : size[1]]
    for root in ("png", "tif"):
        for split in numbers:
            for kind in ("images", "masks"):
                Path(root, kind, split).mkdir(parents=True)
        Path(root, "classes.yaml").write_text("ignore: 255\nclasses: [{name: ground}, {name: disc}, {name: dark}]\n")
    for split, number in numbers.items():
        for i in range(number):
            row, column = rng.integers(8, min(size) - 8, 2)
            mask = ((y - row) ** 2 + (x - column) ** 2 < (min(size) // 4) ** 2).astype(np.uint8) * (1 + i % 2)
            image = np.array([[90, 120, 60], [200, 90, 80], [40, 30, 50]], np.uint8)[mask]
            image += rng.integers(0, 40, image.shape, np.uint8)
            mask[: size[0] // 8] = 255
            tifffile.imwrite(Path("tif", "images", split, f"{i}.tif"), image, **{**TILES, **options})
            Image.fromarray(image).save(Path("png", "images", split, f"{i}.png"), compress_level=1)
            for root in ("png", "tif"):
                Image.fromarray(mask).save(Path(root, "masks", split, f"{i}.png"))


@pytest.fixture
def all_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every image is large, alone in its batch, and computed in windows."""
    monkeypatch.setattr(large, "LARGEST_WHOLE", 0)
    monkeypatch.setattr(sampler, "PIXELS", 1)
    monkeypatch.setattr(windows, "SURE", 0)
    monkeypatch.setattr(windows, "FITS", 100**2 * COST)


def forbid_whole_images(monkeypatch: pytest.MonkeyPatch, split: str) -> None:
    """Have it fail where an image of a split is read as a whole."""
    read = FolderSource.read

    def refusing(self: FolderSource, index: int, *mask: object) -> object:
        assert self.pairs[index].image.parent.name != split
        return read(self, index, *mask)

    monkeypatch.setattr(FolderSource, "read", refusing)


def scores(run: str, split: str) -> tuple[object, list[list[str]]]:
    """What was scored, and how each image went."""
    (folder,) = Path(run, "evaluate").glob(f"*{split}*")
    rows = [row.split(",") for row in (folder / "per_image.csv").read_text().splitlines()]
    result = json.loads((folder / "metrics.json").read_text())
    return {name: value for name, value in result.items() if name != "seconds"}, rows


@pytest.mark.slow
@pytest.mark.usefixtures("all_large")
@pytest.mark.parametrize("words", [[], ["window=64"]], ids=["as it fits", "window"])
def test_the_score_of_images_in_parts_is_that_of_whole_ones(
    segtrain: Run, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    write({"train": 4, "val": 2, "test": 3}, (200, 170))
    assert segtrain("train", *SMALL, "data.root=png", "run_dir=run") == 0
    found = []
    for root in ("png", "tif"):
        if root == "tif":
            forbid_whole_images(monkeypatch, "test")
        command = ["evaluate", "run=run", f"data.root={root}", "trainer.accelerator=cpu", "label_problems=0", *words]
        assert segtrain(*command, "data.workers=1") == 0
        found.append(scores("run", f"{root}-test"))
    assert found[0] == found[1]
    assert found[0][0]["images"] == 3
    assert found[0][0]["void_pixels"] == 3 * 25 * 170


@pytest.mark.slow
@pytest.mark.usefixtures("all_large")
def test_a_training_validates_and_fits_on_images_in_parts(segtrain: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    write({"train": 4, "val": 6}, (80, 96))
    columns = {}
    for root in ("png", "tif"):
        if root == "tif":
            forbid_whole_images(monkeypatch, "val")
        assert segtrain("train", *SMALL, f"data.root={root}", f"run_dir={root}_run", "logger=tensorboard") == 0
        header, *rows = [row.split(",") for row in Path(f"{root}_run", "metrics.csv").read_text().splitlines()]
        kept = [place for place, name in enumerate(header) if not name.startswith("speed")]
        columns[root] = [[row[place] for place in kept] for row in [header, *rows]]
    assert columns["png"] == columns["tif"]
    assert scores("png_run", "val") == scores("tif_run", "val")


# `segtrain` with words, where every image is large, alone in its batch, and computed in windows.
ALL_LARGE = f"""
import sys
from segtrain.cli import run
from segtrain.data.batches import sampler
from segtrain.data.files import large
from segtrain.inference import windows

if __name__ == "__main__":
    large.LARGEST_WHOLE, sampler.PIXELS, windows.SURE, windows.FITS = 0, 1, 0, {100**2 * COST}
    run()
"""


@pytest.mark.slow
def test_two_processes_score_images_in_parts_as_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write({"train": 4, "val": 2, "test": 5}, (200, 170))
    Path("all_large.py").write_text(ALL_LARGE)

    def run(*words: str) -> None:
        command = [sys.executable, "all_large.py", *words]
        done = subprocess.run(command, env=os.environ | ALONE, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    run("train", *SMALL, "data.root=tif", "run_dir=run")
    found = []
    for devices in (1, 2):
        run("evaluate", "run=run", "trainer.accelerator=cpu", f"trainer.devices={devices}", "data.workers=1")
        written = Path("run/evaluate/test")
        assert (written / "report.html").is_file()
        found.append((scores("run", "test"), (written / "label_problems.csv").read_text()))
    assert found[0] == found[1]
    assert found[0][0][0]["images"] == 5


@pytest.mark.slow
@pytest.mark.usefixtures("all_large")
@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_tile_is_an_error_that_names_the_file(
    segtrain: Run, capsys: pytest.CaptureFixture[str], workers: int
) -> None:
    write({"train": 4, "val": 2, "test": 3}, (80, 96))
    assert segtrain("train", *SMALL, "data.root=tif", "run_dir=run") == 0
    path = Path("tif/images/test/1.tif")
    with tifffile.TiffFile(path) as file:
        pages = file.pages[0]
        start = pages.dataoffsets[len(pages.dataoffsets) // 2]
    content = bytearray(path.read_bytes())
    content[start + 8 : start + 200] = bytes(192)
    path.write_bytes(content)
    capsys.readouterr()
    assert segtrain("evaluate", "run=run", "trainer.accelerator=cpu", f"data.workers={workers}") == 2
    said = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert len(said) == 1
    assert f"{path}: damaged image: " in said[0]


SCORE = """
from pathlib import Path
from torch import nn
from segtrain.data.batches.samples import WholeSamples, batch_of
from segtrain.data.batches.source import FolderSource
from segtrain.data.classes import ClassTable
from segtrain.data.files.masks import MaskFile
from segtrain.data.files.pair import Pair
from segtrain.inference.windows import Windows
from segtrain.machine.threads import Behind
from segtrain.scoring.scorer import Scorer

class Network(nn.Conv2d):
    def forward(self, images):
        return super().forward(images.float())

def peak():
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return 1024 * int(line.split()[1])

classes = ClassTable.from_file(Path("tif/classes.yaml"))
source = FolderSource([Pair("0", Path("tif/images/test/0.tif"), MaskFile(Path("tif/masks/test/0.png")))], classes)
torch.manual_seed(1)  # other weights may answer by noise alone, of which every pixel is a region
scorer = Scorer(Network(3, 3, 3, padding=1), class_names=classes.names, void=classes.void, windows=Windows(512)).eval()
scorer.behind, scorer.waiting = Behind(2), 0
before = peak()
scorer.test_step(batch_of([WholeSamples(source)[0]]), 0)
scorer.behind.close()
print(peak() - before, int(scorer.confusion.matrix.sum()))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak of the memory is what Linux counts")
def test_scoring_takes_few_bytes_for_a_pixel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write({"test": 1}, (6000, 6000), tile=(512, 512))
    command = [sys.executable, "-c", f"import torch\nwith torch.inference_mode():\n{indent(SCORE, '    ')}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    most, pixels = map(int, done.stdout.split())
    assert pixels == 6000 * (6000 - 750)
    assert most < 24 * 6000**2  # it takes 14; of noise, whose regions are counted at once, up to 50
