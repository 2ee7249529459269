"""Photos where masks are expected, and masks where images are."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segtrain.data.files.masks import MaskFile
from segtrain.data.files.pair import Pair
from segtrain.data.survey.survey import survey
from segtrain.inspection.exchanged import are_exchanged, command_to_exchange

COLORS = np.array([[0, 0, 0], [60, 16, 152], [254, 221, 58]], np.uint8)
Draw = Callable[[int], Image.Image]


def photo(number: int) -> Image.Image:
    noise = np.random.default_rng(number).integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(noise).resize((96, 72), Image.Resampling.BICUBIC)


def fluorescence(number: int) -> Image.Image:
    """A few blurred discs on nearly black noise."""
    rng = np.random.default_rng(number)
    y, x = np.mgrid[:72, :96]
    pixels = rng.integers(2, 12, (72, 96)).astype(float)
    for top, left in rng.integers(8, 64, (3, 2)):
        pixels += 150 * np.exp(-((y - top) ** 2 + (x - left) ** 2) / 60)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def indices(number: int) -> np.ndarray:
    mask = np.zeros((72, 96), np.uint8)
    for index, (top, left) in enumerate(np.random.default_rng(number).integers(0, 50, (4, 2))):
        mask[top : top + 20, left : left + 24] = 1 + index % 2
    return mask


def pairs_in(root: Path, image: Draw, mask: Draw, suffixes: tuple[str, str]) -> list[Pair]:
    pairs = []
    for number in range(9):
        paths = [root / f"{kind}/{number}{suffix}" for kind, suffix in zip(("images", "masks"), suffixes, strict=True)]
        for path, draw in zip(paths, (image, mask), strict=True):
            path.parent.mkdir(exist_ok=True)
            draw(number).save(path)
        pairs.append(Pair(str(number), paths[0], MaskFile(paths[1])))
    return pairs


MASKS: dict[str, Draw] = {
    "indices": lambda number: Image.fromarray(indices(number)),
    "black and white": lambda number: Image.fromarray(255 * (indices(number) > 0).astype(np.uint8)),
    "colours": lambda number: Image.fromarray(COLORS[indices(number)]),
}


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("picture", [photo, fluorescence])
@pytest.mark.parametrize("suffixes", [(".jpg", ".png"), (".png", ".png"), (".jpg", ".jpg")])
def test_photos_and_masks_are_told_apart(tmp_path: Path, mask: Draw, picture: Draw, suffixes: tuple[str, str]):
    right = pairs_in(tmp_path, picture, mask, suffixes)
    assert not are_exchanged(right, survey(right, max_pixels=10**6, workers=0, cache=None), 10**6)
    (tmp_path / "other").mkdir()
    wrong = pairs_in(tmp_path / "other", mask, picture, suffixes[::-1])
    found = are_exchanged(wrong, survey(wrong, max_pixels=10**6, workers=0, cache=None), 10**6)
    assert found or (picture is fluorescence and suffixes == (".jpg", ".jpg"))  # which cannot be told


def test_masks_of_many_objects_are_right(tmp_path: Path):
    def objects(number: int) -> Image.Image:
        return Image.fromarray(np.arange(108, dtype=np.uint8).reshape(9, 12).repeat(8, 0).repeat(8, 1))

    right = pairs_in(tmp_path, photo, objects, (".jpg", ".png"))
    assert not are_exchanged(right, survey(right, max_pixels=10**6, workers=0, cache=None), 10**6)


def test_the_command_exchanges_the_folders_that_differ(tmp_path: Path):
    pairs = [
        Pair(split, tmp_path / f"images/{split}/a.png", MaskFile(tmp_path / f"masks/{split}/a.png"))
        for split in ("train", "val")
    ]
    first, second = tmp_path / "images", tmp_path / "masks"
    moves = f"mv {first} {first}.exchanged && mv {second} {first} && mv {first}.exchanged {second}"
    assert command_to_exchange(pairs, tmp_path) == moves
    beside = [Pair("a", tmp_path / "a.png", MaskFile(tmp_path / "a_mask.png"))]
    assert command_to_exchange(beside, tmp_path) == ""
