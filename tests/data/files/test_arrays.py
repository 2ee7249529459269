"""NumPy's files as images and masks: what they hold comes back, and what cannot be is refused."""

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segtrain.data import FolderData
from segtrain.data.files.images import displayed_size, header, read_image
from segtrain.data.files.masks import MaskFile, read_mask
from segtrain.data.files.pair import Pair
from segtrain.data.layouts.choice import open_folder
from segtrain.data.survey.measure import examine_image, examine_mask

RNG = np.random.default_rng(0)
LIMIT = 1_000_000


def saved(path: Path, array: Any, **options: Any) -> Path:
    """The array in a file of this name, .npy or .npz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, array, **options)
    else:
        np.savez_compressed(path, mask=array)
    return path


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "<i2", ">i2", ">u4", "i4", "i8", "u8", "f4", "f8", "?"])
def test_a_mask_of_any_type_is_its_whole_numbers(tmp_path: Path, kind: str, suffix: str):
    values = RNG.integers(0, 2 if kind == "?" else 100, (5, 7)).astype(kind)
    for name, array in (("c", values), ("f", np.asfortranarray(values)), ("last", values[..., None])):
        path = saved(tmp_path / f"{name}{suffix}", array)
        assert read_mask(path).tolist() == values.astype(int).tolist()
        assert displayed_size(path) == (5, 7)
    path = saved(tmp_path / f"first{suffix}", values[None])
    assert read_mask(path).tolist() == values.astype(int).tolist()


def test_a_mask_of_colours_or_of_grey_ones(tmp_path: Path):
    colors = RNG.integers(0, 256, (5, 7, 3), np.uint8)
    assert read_mask(saved(tmp_path / "c.npy", colors)).tolist() == colors.tolist()
    assert read_mask(saved(tmp_path / "f.npy", np.moveaxis(colors, 2, 0))).tolist() == colors.tolist()
    values = RNG.integers(0, 256, (5, 7))
    grey = np.repeat(values[..., None], 3, 2)
    assert read_mask(saved(tmp_path / "v.npy", values), coding="colors").tolist() == grey.tolist()
    assert read_mask(saved(tmp_path / "g.npy", grey.astype(np.uint8)), coding="values").tolist() == values.tolist()


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((5, 7), (5, 7, 1)),
        ((5, 7, 3), (5, 7, 3)),
        ((3, 5, 7), (5, 7, 3)),
        ((13, 20, 30), (20, 30, 13)),
        ((3, 9, 3), (3, 9, 3)),
    ],
)
@pytest.mark.parametrize("kind", ["u1", "u2", ">u2", "i8"])
def test_an_image_has_its_channels_last_or_first(
    tmp_path: Path, kind: str, shape: tuple[int, ...], size: tuple[int, int, int], suffix: str
):
    pixels = RNG.integers(0, 256, shape).astype(kind)
    path = saved(tmp_path / f"x{suffix}", pixels)
    head = header(path)
    assert (head.height, head.width, head.channels, head.bits) == (*size, 8 if kind == "u1" else 16)
    image = read_image(path, channels=head.channels, bits=head.bits)
    last = pixels[..., None] if pixels.ndim == 2 else pixels
    last = last if last.shape == size else np.moveaxis(last, 0, -1)
    assert image.permute(1, 2, 0).tolist() == last.astype(int).tolist()


def test_a_black_and_white_image_is_black_and_white(tmp_path: Path):
    pixels = RNG.integers(0, 2, (5, 7)).astype(bool)
    assert read_image(saved(tmp_path / "x.npy", pixels), channels=1)[0].tolist() == (pixels * 255).tolist()


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def with_header(text: str, data: bytes = b"") -> bytes:
    """An .npy file that says this of itself."""
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + data


def zipped(**members: bytes) -> bytes:
    with zipfile.ZipFile(file := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def numbers(array: Any) -> bytes:
    np.save(file := io.BytesIO(), array)
    return file.getvalue()


def damaged(content: bytes) -> bytes:
    """With one byte in the middle changed."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :]


GOOD = numbers(np.zeros((5, 7), np.uint8))
HUGE = "{'descr': '|u1', 'fortran_order': False, 'shape': (100000, 100000)}"
BAD: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "objects": ("x.npy", lambda: with_header("{'descr': '|O', 'fortran_order': False, 'shape': (5, 7)}"), "pickled"),
    "a pickle": ("x.npy", lambda: pickle.dumps(np.zeros((5, 7))), "damaged image"),
    "texts": ("x.npy", lambda: numbers(np.array([["a"]])), "an array of <U1: expected numbers"),
    "complex numbers": ("x.npy", lambda: numbers(np.zeros((5, 7), complex)), "an array of complex128"),
    "records": ("x.npy", lambda: numbers(np.zeros((5, 7), [("a", "u1")])), "an array of "),
    "nothing": ("x.npy", bytes, "damaged image"),
    "half of it": ("x.npy", lambda: GOOD[:-3], "it ends too early"),
    "a size that it has not": ("x.npy", lambda: with_header(HUGE), "it ends too early"),
    "a size below zero": ("x.npy", lambda: with_header(HUGE.replace("100000", "-1")), "damaged image|of shape"),
    "a header that is code": ("x.npy", lambda: with_header("__import__('os').system('x')"), "damaged image"),
    "a header of brackets": ("x.npy", lambda: with_header("(" * 9000), "damaged image"),
    "one row": ("x.npy", lambda: numbers(np.zeros(7, np.uint8)), r"of shape \(7,\): expected \(height, width\)"),
    "four axes": ("x.npy", lambda: numbers(np.zeros((1, 5, 7, 3), np.uint8)), "expected .height, width."),
    "no pixels": ("x.npy", lambda: numbers(np.zeros((0, 7), np.uint8)), "expected .height, width."),
    "a cube": ("x.npy", lambda: numbers(np.zeros((9, 9, 9), np.uint8)), "does not say which are the channels"),
    "no archive": ("x.npz", lambda: GOOD, "damaged image"),
    "two arrays": ("x.npz", lambda: zipped(a=GOOD, b=GOOD), r"2 arrays \(a.npy, b.npy\): expected one"),
    "none": ("x.npz", zipped, "0 arrays"),
    "a bomb": ("x.npz", lambda: zipped(a=with_header(HUGE, bytes(30_000_000))), "it ends too early"),
    "a damaged member": ("x.npz", lambda: damaged(zipped(a=numbers(RNG.integers(0, 255, (50, 70))))), "damaged image"),
}


@pytest.mark.parametrize(("name", "make", "problem"), BAD.values(), ids=BAD)
@pytest.mark.parametrize("read", [read_image, read_mask])
def test_what_cannot_be_is_refused_in_one_line_that_names_it(
    tmp_path: Path, name: str, make: Callable[[], bytes], problem: str, read: Callable[[Path], Any]
):
    path = written(tmp_path / name, make())
    with pytest.raises(ValueError, match=problem) as refusal:
        read(path)
    assert str(refusal.value).startswith(f"{path}: ")
    assert "\n" not in str(refusal.value)


def test_what_no_image_or_no_mask_is_says_what_to_do(tmp_path: Path):
    path = saved(tmp_path / "x.npy", RNG.random((5, 7, 3)))
    with pytest.raises(ValueError, match=r"float64: images have 8 or 16 bits, from 0 up: save them as np\.uint8"):
        read_image(path)
    with pytest.raises(ValueError, match=r"3 channels of float64: .* take argmax"):
        read_mask(path)
    with pytest.raises(ValueError, match="numbers with fractions"):
        read_mask(saved(tmp_path / "x.npy", RNG.random((5, 7))))
    with pytest.raises(ValueError, match="numbers with fractions"):
        read_mask(saved(tmp_path / "x.npy", np.full((5, 7), np.nan)))
    with pytest.raises(ValueError, match="numbers from -1 to 4: images have 8 or 16 bits"):
        read_image(saved(tmp_path / "x.npy", np.array([[-1, 4]])))
    with pytest.raises(ValueError, match=r"35 pixels, 35 bytes, more than data\.max_pixels=30"):
        read_mask(saved(tmp_path / "x.npy", np.zeros((5, 7), np.uint8)), 30)
    with pytest.raises(ValueError, match=r"3500 pixels, 105000 bytes, more than data\.max_pixels=3600"):
        read_image(saved(tmp_path / "x.npy", np.zeros((50, 70, 30), np.uint8)), 3600)


def test_the_survey_counts_what_is_there(tmp_path: Path):
    image = saved(tmp_path / "i.npy", RNG.integers(0, 256, (20, 30, 4), np.uint8))
    facts = examine_image(image, LIMIT)
    assert (facts.problem, facts.height, facts.width, facts.channels, facts.bits) == ("", 20, 30, 4, 8)
    assert len(facts.mean) == 4
    values = np.repeat([[1, 300]], 20, 0)
    mask = saved(tmp_path / "m.npy", values)
    facts = examine_mask(Pair("x", image, MaskFile(mask)), LIMIT)
    assert (facts.problem, facts.height, facts.width, facts.channels, facts.bits) == ("", 20, 2, 1, 16)
    assert facts.counts == {1: 20, 300: 20}
    facts = examine_mask(Pair("x", image, MaskFile(saved(tmp_path / "n.npy", values - 2))), LIMIT)
    assert "numbers from -1 to 298" in facts.problem


# --- folders ----------------------------------------------------------------------------------------------------------


def scene(root: Path, image: str, mask: str, size: tuple[int, int] = (6, 8)) -> None:
    """A random image and the mask that tells its upper half."""
    for name, pixels in (
        (image, RNG.integers(0, 256, (*size, 3), np.uint8)),
        (mask, np.arange(48).reshape(size) // 24),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith((".npy", ".npz")):
            saved(root / name, pixels)
        else:
            Image.fromarray(pixels.astype(np.uint8)).save(root / name)


TREES = {
    "masks": ("images/{split}/{i}.png", "masks/{split}/{i}.npy"),
    "images": ("images/{split}/{i}.npy", "masks/{split}/{i}.png"),
    "both": ("{split}/images/{i}.npz", "{split}/labels/{i}.npy"),
    "names": ("{split}/{i}.jpg", "{split}/{i}_mask.npy"),
}


@pytest.mark.parametrize(("image", "mask"), TREES.values(), ids=TREES)
def test_arrays_are_found_in_every_layout(tmp_path: Path, image: str, mask: str):
    for split, number in (("train", 3), ("val", 2)):
        for i in range(number):
            scene(tmp_path, image.format(split=split, i=i), mask.format(split=split, i=i))
    classes = {"classes": [{"name": "a"}, {"name": "b"}]}
    data = FolderData(root=str(tmp_path), classes=classes, crop=[4, 4], batch_size=1, workers=0)
    assert {split: len(source) for split, source in data.splits.items()} == {"train": 3, "val": 2}
    image, mask = data.source("train").read(0)
    assert image.shape == (3, 6, 8)
    assert mask.sum() == 24


def test_arrays_beside_pictures_that_pair_change_nothing(tmp_path: Path):
    for i in range(3):
        scene(tmp_path, f"images/{i}.png", f"masks/{i}.png")
        scene(tmp_path, f"images/{i}.png", f"masks/{i}.npy")
        scene(tmp_path, f"images/{i}.png", f"masks_npy/{i}.npy")
        saved(tmp_path / f"features/{i}.npy", RNG.random(9))
    (reading,) = open_folder(tmp_path).readings
    assert {pair.mask.path.suffix for pair in reading.pairs} == {".png"}


def test_arrays_come_before_masks_that_are_drawn_for_people(tmp_path: Path):
    for i in range(3):
        scene(tmp_path, f"images/{i}.png", f"labels/{i}.npy")
        scene(tmp_path, f"images/{i}.png", f"labels_vis/{i}.png")
    assert {pair.mask.path.parent.name for pair in open_folder(tmp_path).reading.pairs} == {"labels"}


def test_a_table_may_name_arrays(tmp_path: Path):
    for i in range(2):
        scene(tmp_path, f"a/{i}.png", f"b/{i}.npy")
    (tmp_path / "splits.csv").write_text("image,mask,split\na/0.png,b/0.npy,train\na/1.png,b/1.npy,val\n")
    assert {split: len(pairs) for split, pairs in open_folder(tmp_path).reading.splits.items()} == {
        "train": 1,
        "val": 1,
    }


def test_both_kinds_of_files_may_lie_in_one_folder(tmp_path: Path):
    for i in range(4):
        scene(tmp_path, f"images/{i}.png", f"masks/{i}.{'npz' if i else 'npy'}")
    assert len(open_folder(tmp_path).reading.pairs) == 4
