"""`check` finds every fault that stands here, names its file, and finds nothing in the same folder without them."""

import csv
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import yaml
from PIL import Image, ImageEnhance

from segtrain.data.shapes import CLASSES, VOID, draw

SIZE = 72, 96
SPLITS = {"train": 40, "val": 12, "test": 12}
CROSS = 5  # the class that the test split will lack
GROUND = 0


class Fault(NamedTuple):
    """What is done to the folder, and the line of check.csv that it must give."""

    severity: str
    file: str  # as check.csv names it
    detail: str  # how its "kind: detail" begins, as a regular expression
    plant: Callable[[Path], object]


def write_clean(root: Path) -> Path:
    """64 pictures of shapes in three splits, as JPEG, with masks and a class table."""
    for number, (split, length) in enumerate(SPLITS.items()):
        for index in range(length):
            image, mask = draw(np.random.default_rng([number, index]), *SIZE)
            for kind, pixels, suffix in (("images", image, "jpg"), ("masks", mask, "png")):
                path = root / kind / split / f"{name(split, index)}.{suffix}"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path, quality=95)
    (root / "classes.yaml").write_text(yaml.safe_dump(CLASSES))
    return root


def name(split: str, index: int) -> str:
    """Of the picture; neighbours in number lie in one split."""
    return f"{split}{100 * index:05d}"


def image(split: str, index: int) -> str:
    return f"images/{split}/{name(split, index)}.jpg"


def mask(split: str, index: int) -> str:
    return f"masks/{split}/{name(split, index)}.png"


# --- ways to spoil a file ---------------------------------------------------------------------------------------------


def no_picture(file: str) -> Callable[[Path], object]:
    return lambda root: (root / file).write_text("<html>404 Not Found</html>")


def empty(file: str) -> Callable[[Path], object]:
    return lambda root: (root / file).write_bytes(b"")


def cut(file: str) -> Callable[[Path], object]:
    """Two thirds of the bytes are there, as after a broken download."""

    def plant(root: Path) -> None:
        content = (root / file).read_bytes()
        (root / file).write_bytes(content[: 2 * len(content) // 3])

    return plant


def flipped(file: str) -> Callable[[Path], object]:
    """One bit of the pixels of a PNG is wrong."""

    def plant(root: Path) -> None:
        content = bytearray((root / file).read_bytes())
        content[content.index(b"IDAT") + 40] ^= 1
        (root / file).write_bytes(content)

    return plant


def gone(file: str) -> Callable[[Path], object]:
    return lambda root: (root / file).unlink()


def painted(file: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], object]:
    """The pixels are changed; the format stays, JPEG's without loss that could be seen."""

    def plant(root: Path) -> None:
        pixels = np.asarray(Image.open(root / file))
        Image.fromarray(change(pixels.copy())).save(root / file, quality=95)

    return plant


def some(value: int, pixels: int) -> Callable[[np.ndarray], np.ndarray]:
    def change(mask: np.ndarray) -> np.ndarray:
        mask.flat[:pixels] = value
        return mask

    return change


def colours(mask: np.ndarray) -> np.ndarray:
    """The mask in its class colours but for 30 pixels of a pink that no class has."""
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(CLASSES["classes"])] = [entry["color"] for entry in CLASSES["classes"]]
    picture = palette[np.where(mask == VOID, GROUND, mask)]
    picture[0, :30] = (255, 0, 128)
    return picture


def turned(file: str, orientation: int) -> Callable[[Path], object]:
    """The camera was held upright: the file says so, and its mask was drawn on what is stored."""

    def plant(root: Path) -> None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.open(root / file).save(root / file, exif=exif, quality=95)

    return plant


def as_jpeg(file: str) -> Callable[[Path], object]:
    """The mask is saved as a JPEG, beside which its PNG is gone."""

    def plant(root: Path) -> None:
        Image.open(root / file).save((root / file).with_suffix(".jpg"), quality=90)
        (root / file).unlink()

    return plant


def deep(file: str) -> Callable[[Path], object]:
    """A TIFF of 16 bits in place of the picture."""

    def plant(root: Path) -> None:
        grey = np.asarray(Image.open(root / file).convert("L"))
        Image.fromarray(grey.astype(np.uint16) * 257).save((root / file).with_suffix(".tif"))
        (root / file).unlink()

    return plant


def in_mode(file: str, mode: str, suffix: str) -> Callable[[Path], object]:
    def plant(root: Path) -> None:
        Image.open(root / file).convert(mode).save((root / file).with_suffix(suffix))
        if suffix != ".jpg":
            (root / file).unlink()

    return plant


def copied(
    source: tuple[str, int], target: tuple[str, int], change: Callable[[Image.Image], Image.Image] | None = None
):
    """The picture and its mask stand in two splits; with `change`, the second picture is a little different."""

    def plant(root: Path) -> None:
        shutil.copy(root / mask(*source), root / mask(*target))
        if change is None:
            shutil.copy(root / image(*source), root / image(*target))
        else:
            change(Image.open(root / image(*source))).save(root / image(*target), quality=70)

    return plant


def brighter(picture: Image.Image) -> Image.Image:
    return ImageEnhance.Brightness(picture).enhance(1.1)


def frames(root: Path) -> None:
    """Two frames of a drive, one after the other: one was drawn for train, one for test."""
    scene, truth = draw(np.random.default_rng(7), SIZE[0], SIZE[1] + 2)
    for split, shift, frame in (("train", 0, "drive_0041"), ("test", 2, "drive_0042")):
        Image.fromarray(scene[:, shift : SIZE[1] + shift]).save(root / f"images/{split}/{frame}.jpg", quality=95)
        Image.fromarray(truth[:, shift : SIZE[1] + shift]).save(root / f"masks/{split}/{frame}.png")


def without_crosses(root: Path) -> None:
    for path in (root / "masks" / "test").iterdir():
        painted(f"masks/test/{path.name}", lambda mask: np.where(mask == CROSS, GROUND, mask).astype(np.uint8))(root)


# --- the faults -------------------------------------------------------------------------------------------------------

ERRORS = [
    Fault("error", image("train", 0), "unreadable: not an image", no_picture(image("train", 0))),
    Fault("error", mask("train", 1), "unreadable: not an image", no_picture(mask("train", 1))),
    Fault("error", image("train", 2), "unreadable: an empty file", empty(image("train", 2))),
    Fault("error", mask("val", 2), "unreadable: an empty file", empty(mask("val", 2))),
    Fault("error", image("train", 3), "unreadable: damaged image", cut(image("train", 3))),
    Fault("error", mask("train", 4), "unreadable: damaged image", cut(mask("train", 4))),
    Fault("error", mask("test", 4), "unreadable: damaged image", flipped(mask("test", 4))),
    Fault("error", image("train", 5), "no mask", gone(mask("train", 5))),
    Fault("error", image("val", 5), "no mask", gone(mask("val", 5))),
    Fault("error", mask("train", 6), "no image", gone(image("train", 6))),
    Fault("error", mask("test", 6), "no image", gone(image("test", 6))),
    Fault(
        "error", mask("train", 7), "size: .* its mask 48 x 36", painted(mask("train", 7), lambda mask: mask[::2, ::2])
    ),
    Fault("error", mask("val", 7), "size: .* its mask 72 x 96", painted(mask("val", 7), lambda mask: mask.T)),
    Fault("error", image("train", 8), "rotation: .*EXIF orientation .6", turned(image("train", 8), 6)),
    Fault("error", image("test", 8), "rotation: .*EXIF orientation .8", turned(image("test", 8), 8)),
    Fault("error", mask("train", 9), "values: 17 pixels .* 9 .17", painted(mask("train", 9), some(9, 17))),
    Fault("error", mask("val", 9), "values: 1 pixels .* 77 .1", painted(mask("val", 9), some(77, 1))),
    Fault("error", mask("train", 10), "values: 30 pixels .* #FF0080 .30", painted(mask("train", 10), colours)),
    Fault("error", mask("train", 11).replace("png", "jpg"), "lossy: .*JPEG", as_jpeg(mask("train", 11))),
]
WARNINGS = [
    Fault("warning", mask("train", 12), "one value: .* 0", painted(mask("train", 12), lambda mask: 0 * mask)),
    Fault("warning", mask("val", 10), "one value: .* 3", painted(mask("val", 10), lambda mask: 0 * mask + 3)),
    Fault("warning", mask("train", 13), "all void", painted(mask("train", 13), lambda mask: 0 * mask + VOID)),
    Fault("warning", image("train", 14).replace("jpg", "tif"), "bit depth: 16", deep(image("train", 14))),
    Fault("warning", image("train", 15), "channels: 1", in_mode(image("train", 15), "L", ".jpg")),
    Fault(
        "warning", image("train", 16).replace("jpg", "png"), "channels: 4", in_mode(image("train", 16), "RGBA", ".png")
    ),
    Fault("warning", image("val", 0), f"duplicate: .*{image('train', 20)}", copied(("train", 20), ("val", 0))),
    Fault("warning", image("test", 0), f"duplicate: .*{image('train', 21)}", copied(("train", 21), ("test", 0))),
    Fault(
        "warning", image("test", 1), f"near-duplicate: .*{image('val', 3)}", copied(("val", 3), ("test", 1), brighter)
    ),
    Fault("warning", "images/test/drive_0042.jpg", "sequence: .*images/train/drive_0041.jpg", frames),
    Fault("warning", "test", "absent class: .*cross", without_crosses),  # after all else that touches masks of the test
]
FAULTS = [*WARNINGS, *ERRORS]  # in the order of planting: damaged files cannot be painted


@pytest.fixture
def check(segtrain: Callable[..., int], monkeypatch: pytest.MonkeyPatch) -> Callable[[str], tuple[int, list[dict]]]:
    """Runs `check data.root=FOLDER`: the exit status and the lines of check.csv."""
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")

    def run(root: str) -> tuple[int, list[dict]]:
        status = segtrain("check", f"data.root={root}", "out=found")
        with open("found/check.csv", encoding="utf-8", newline="") as file:
            return status, list(csv.DictReader(file))

    return run


@pytest.mark.slow
def test_thirty_faults_are_found_and_named(check: Callable[[str], tuple[int, list[dict]]], tmp_path: Path):
    write_clean(tmp_path / "clean")
    assert check("clean") == (0, [])
    shutil.copytree("clean", "faulty")
    for fault in FAULTS:
        fault.plant(Path("faulty"))
    status, lines = check("faulty")
    assert status == 2
    assert len(FAULTS) == 30
    missed = [fault[:3] for fault in FAULTS if not any(tells(line, fault) for line in lines)]
    assert missed == []
    planted = {(fault.severity, fault.file) for fault in FAULTS}
    odd = {("warning", mask("train", 10))}  # colours among grey masks: true too
    assert {(line["severity"], line["file"]) for line in lines} - planted - odd == set()


def tells(line: dict[str, str], fault: Fault) -> bool:
    named = (line["severity"], line["file"]) == (fault.severity, fault.file)
    return named and re.match(fault.detail, f"{line['kind']}: {line['detail']}") is not None
