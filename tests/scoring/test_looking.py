"""What is shown of an image is what stands in its file, and what the network answers to it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from segtrain.data import ShapesData
from segtrain.data.batches.source import FolderSource
from segtrain.data.files import images, large
from segtrain.data.files.masks import MaskFile
from segtrain.data.files.pair import Pair
from segtrain.inference import image as of_image
from segtrain.inference.windows import Windows
from segtrain.models.ensemble import Ensemble, Mirrored
from segtrain.report.page import Look
from segtrain.scoring.looking import look_at
from tests.report.test_page import table_of

CLASSES = table_of(["a", "b", "c", "d"])


class Floats(nn.Conv2d):
    """Of pixels 0 to 255."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(input / 255)


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return Floats(3, 4, 3, padding=1)


@pytest.mark.parametrize("kind", ["one", "several", "mirrored"])
def test_confidence_is_the_probability_of_the_answer(network: nn.Module, kind: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(of_image, "AT_ONCE", 280)  # several bands
    shown = {"one": network, "several": Ensemble([network, network]), "mirrored": Mirrored(network)}[kind]
    data = ShapesData(size=[20, 24], train=1, val=1, test=2, variant=0, crop=[16, 16], batch_size=1, workers=0)
    look = look_at(shown, Windows(), data.source("test"), 1)
    image, mask = data.source("test").read(1)
    with torch.inference_mode():
        expected = network(image[None]).softmax(1)
        if kind == "mirrored":
            expected = (expected + network(image[None].flip(-1)).softmax(1).flip(-1)) / 2
    torch.testing.assert_close(torch.from_numpy(look.confidence), expected[0].amax(0))
    assert (look.prediction == expected[0].argmax(0).numpy()).all()
    assert (look.image == image.numpy()).all()
    assert (look.truth == mask.numpy()).all()
    assert look.step == 1


def source_of(folder: Path, suffix: str) -> FolderSource:
    """An image of 150 x 110, as a picture or as a tiled TIFF, with its mask."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (110, 150, 3)).astype(np.uint8)
    path, mask = folder / f"image{suffix}", folder / "mask.png"
    if suffix == ".tif":
        tifffile = pytest.importorskip("tifffile")
        tifffile.imwrite(path, pixels, photometric="rgb", tile=(16, 32), compression="zlib")
    else:
        Image.fromarray(pixels).save(path)
    Image.fromarray(rng.integers(0, 4, (110, 150)).astype(np.uint8)).save(mask)
    return FolderSource([Pair("image", path, MaskFile(mask))], CLASSES)


@pytest.mark.parametrize("windows", [Windows(), Windows(64), Windows(40, overlap=0.5)], ids=["whole", "exact", "mean"])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_of_a_large_image_every_few_rows_and_columns_are_shown(
    network: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, windows: Windows
):
    whole = look_at(network, windows, source_of(tmp_path, ".png"), 0)
    assert whole.image.shape == (3, 110, 150)
    monkeypatch.setattr(images, "LARGEST", 60)
    monkeypatch.setattr(large, "LARGEST_WHOLE", 0)
    if suffix == ".tif":
        monkeypatch.delattr(FolderSource, "read")  # of an image as a whole
    look = look_at(network, windows, source_of(tmp_path, suffix), 0)
    expected = Look(*(pixels[..., ::3, ::3] for pixels in whole[:4]), step=3)
    for found, wanted in zip(look, expected, strict=True):
        assert np.array_equal(found, wanted)
