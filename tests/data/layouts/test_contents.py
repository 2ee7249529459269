"""Two kinds of masks for the same images hold the same, or they are a question."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segtrain.data.layouts.choice import open_folder
from segtrain.data.layouts.contents import hold_the_same, rivals

Paint = Callable[[np.ndarray], Image.Image]
COLORS = np.array([[0, 0, 0], [200, 0, 0], [0, 0, 200], [0, 200, 0]], np.uint8)


def classes(number: int, most: int = 3) -> np.ndarray:
    mask = np.zeros((96, 144), np.uint8)
    for index, (top, left) in enumerate(np.random.default_rng(number).integers(0, 64, (6, 2))):
        mask[top : top + 28, left : left + 40] = 1 + index % (most - 1)
    return mask


def bits(mask: np.ndarray) -> Image.Image:
    return Image.fromarray((mask > 0).astype(np.uint8) * 255).convert("1")


def inverted(mask: np.ndarray) -> Image.Image:
    return Image.fromarray((mask == 0).astype(np.uint8) * 255).convert("1")


def colours(mask: np.ndarray) -> Image.Image:
    return Image.fromarray(COLORS[mask])


def greys(mask: np.ndarray) -> Image.Image:
    return Image.fromarray(mask * 80)


def palette(mask: np.ndarray) -> Image.Image:
    picture = Image.fromarray(mask)
    picture.putpalette(COLORS.tobytes())
    return picture


def folder(root: Path, first: Paint, second: Paint, *, most: int = 3, suffix: str = ".png", number: int = 8) -> Path:
    for name, paint in (("annotations", first), ("masks", second)):
        (root / name).mkdir(parents=True)
        for i in range(number):
            paint(classes(i, most)).save(root / name / f"{i}{suffix if name == 'masks' else '.png'}", quality=90)
    (root / "images").mkdir()
    for i in range(number):
        noise = np.random.default_rng(i).integers(0, 256, (4, 6, 3), np.uint8)
        Image.fromarray(noise).resize((144, 96), Image.Resampling.BICUBIC).save(root / f"images/{i}.jpg")
    return root


def asked(root: Path) -> tuple[list[str], list[str]]:
    """The layouts that hold the same as the one that is taken, and those that hold other things."""
    opened = open_folder(root, ties=True)
    same, different = rivals(opened.reading, opened.readings)
    return [reading.layout for reading in same], [reading.layout for reading in different]


SAME = {
    "a copy": (palette, palette, ".png"),
    "in colours": (Image.fromarray, colours, ".png"),
    "a palette and its colours": (palette, colours, ".png"),
    "in other numbers": (Image.fromarray, greys, ".png"),
    "as JPEG": (Image.fromarray, colours, ".jpg"),
    "greys as JPEG": (Image.fromarray, greys, ".jpg"),
}


@pytest.mark.parametrize(("first", "second", "suffix"), SAME.values(), ids=SAME)
def test_masks_that_hold_the_same_are_no_question(tmp_path: Path, first: Paint, second: Paint, suffix: str):
    same, different = asked(folder(tmp_path, first, second, suffix=suffix))
    assert len(same) == 1
    assert different == []
    assert open_folder(tmp_path).reading.layout in ("flat:annotations", "flat:masks")


DIFFERENT = {
    "bits and classes": (Image.fromarray, bits),
    "inverted bits and classes": (Image.fromarray, inverted),
    "inverted bits and colours": (colours, inverted),
    "black and white in turn": (bits, inverted),
    "colours and bits": (colours, bits),
    "JPEG colours and inverted bits": (colours, lambda mask: inverted(mask).convert("RGB")),
    "a class less": (Image.fromarray, lambda mask: Image.fromarray(np.minimum(mask, 1))),
}


@pytest.mark.parametrize(("first", "second"), DIFFERENT.values(), ids=DIFFERENT)
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_masks_that_hold_other_things_are_asked(tmp_path: Path, first: Paint, second: Paint, suffix: str):
    second_or_grey: Paint = second if suffix == ".png" else lambda mask: second(mask * 80).convert("L")
    same, different = asked(folder(tmp_path, first, second_or_grey, suffix=suffix))
    assert same == []
    assert len(different) == 1


def test_some_masks_of_the_other_kind_may_be_missing(tmp_path: Path):
    root = folder(tmp_path, colours, inverted, number=16)
    (root / "masks/3.png").unlink()
    assert len(asked(root)[1]) == 1


def photo(mask: np.ndarray) -> Image.Image:
    noise = np.random.default_rng(int(mask.sum())).integers(0, 256, (6, 9, 3), np.uint8)
    return Image.fromarray(noise).resize((144, 96), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("second", [photo, lambda mask: Image.fromarray(mask.astype(np.uint16) * 700)])
def test_what_is_no_mask_of_classes_is_not_asked(tmp_path: Path, second: Paint):
    assert asked(folder(tmp_path, Image.fromarray, second)) == ([], [])


def test_what_is_drawn_for_people_is_not_asked(tmp_path: Path):
    root = folder(tmp_path, Image.fromarray, bits)
    (root / "masks").rename(root / "masks_color")
    assert asked(root) == ([], [])


def test_a_list_that_a_person_wrote_decides(tmp_path: Path):
    root = folder(tmp_path, Image.fromarray, inverted)
    rows = [f"images/{i}.jpg,masks/{i}.png,{'train' if i < 6 else 'val'}" for i in range(8)]
    (root / "splits.csv").write_text("\n".join(["image,mask,split", *rows]))
    assert asked(root) == ([], [])


def test_shapes_that_differ_are_not_the_same(tmp_path: Path):
    readings = open_folder(folder(tmp_path, bits, lambda mask: bits(mask[:, :-2])), ties=True).readings
    assert not hold_the_same(*readings[:2])
