"""Pictures among the masks that are none."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segtrain.data.layouts.choice import open_folder

RNG = np.random.default_rng(0)
PHOTO = RNG.integers(0, 256, (30, 50, 3), np.uint8)
MASK = np.eye(8, dtype=np.uint8) * 255


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def grow(root: Path, mask: str = "masks/{}.png", number: int = 8, colours: bool = False) -> Path:
    for i in range(number):
        save(root / f"images/p{i:02d}.jpg", PHOTO[:8, :8])
        save(root / mask.format(f"p{i:02d}"), np.stack([MASK] * 3, -1) if colours else MASK)
    return root


STRAYS = {
    "a chart": ("masks/mask_statistics.png", PHOTO),
    "with alpha": ("masks/classes.png", np.dstack([PHOTO, PHOTO[..., 0]])),
    "JPEG": ("masks/Thumbs.jpg", PHOTO),
    "a grey chart": ("masks/areas.png", PHOTO[..., 0]),
    "a grey legend": ("masks/legend.png", np.repeat(MASK, 3, 0)),
}


@pytest.mark.parametrize("mask", ["masks/{}.png", "masks/{}_mask.png", "masks/{}_P.png", "masks/seg_{}_v2.png"])
@pytest.mark.parametrize(("name", "pixels"), STRAYS.values(), ids=STRAYS)
def test_a_picture_of_another_size_and_kind_is_set_aside(tmp_path: Path, name: str, pixels: np.ndarray, mask: str):
    folder = open_folder(grow(tmp_path, mask))
    assert (list(folder.reading.strays), len(folder.reading.pairs)) == ([], 8)
    stray = save(tmp_path / name, pixels)
    folder = open_folder(tmp_path)
    assert (folder.reading.strays, len(folder.reading.pairs)) == ([stray], 8)
    assert (folder.reading.images, folder.reading.masks, folder.not_used()) == ([], [], [])


def test_a_chart_among_masks_of_colours_has_more_of_them(tmp_path: Path):
    stray = save(grow(tmp_path, colours=True) / "masks/sizes.png", PHOTO)
    assert open_folder(tmp_path).reading.strays == [stray]


MASKS = {
    "the size and kind of the others": ("masks/extra.png", MASK),
    "their size": ("masks/extra.png", PHOTO[:8, :8]),
    "their kind": ("masks/extra.png", np.repeat(MASK, 2, 0)),
    "a name like theirs": ("masks/p77.png", PHOTO),
}


@pytest.mark.parametrize(("name", "pixels"), MASKS.values(), ids=MASKS)
def test_a_mask_that_lost_its_image_stays_an_error(tmp_path: Path, name: str, pixels: np.ndarray):
    mask = save(grow(tmp_path) / name, pixels)
    reading = open_folder(tmp_path).reading
    assert (reading.masks, list(reading.strays)) == ([mask], [])


def test_what_cannot_be_read_stays_an_error(tmp_path: Path):
    note = grow(tmp_path) / "masks/notes.png"
    note.write_text("not a picture")
    assert open_folder(tmp_path).reading.masks == [note]


def test_many_strays_are_masks_without_images(tmp_path: Path):
    grow(tmp_path)
    others = [save(tmp_path / f"masks/view {name}.png", PHOTO) for name in "abcd"]
    assert open_folder(tmp_path).reading.masks == others
    others.pop().unlink()
    assert open_folder(tmp_path).reading.strays == others
