"""Time to read images and masks, beside what Pillow takes to decode them into an array; the best of several turns each.

python scripts/benchmark_reading.py [--root FOLDER] [--rounds 5] [--files 24]

Without a folder, files of common kinds are made. `classes` is reading a mask and looking its classes up as well.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from segtrain.data import ClassTable, FolderData
from segtrain.data.batches.source import FolderSource
from segtrain.data.files.images import MAX_PIXELS, header, read_image
from segtrain.data.files.masks import read_mask

CLASSES = 12
TABLE = {"classes": [{"name": f"{i}", "color": [20 * i, 255 - 20 * i, 7 * i]} for i in range(CLASSES)]}
Job = Callable[[Path], object]


def scene(rng: np.random.Generator, height: int, width: int) -> tuple[Image.Image, np.ndarray]:
    """A picture with smooth and with fine detail, and its class indices in patches."""
    coarse = Image.fromarray(rng.integers(0, 256, (height // 24, width // 24, 3), np.uint8))
    picture = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.int16)
    picture = (picture + rng.normal(0, 6, picture.shape)).clip(0, 255).astype(np.uint8)
    patches = Image.fromarray(rng.integers(0, CLASSES, (height // 40, width // 40), np.uint8))
    return Image.fromarray(picture), np.asarray(patches.resize((width, height), Image.Resampling.NEAREST))


def made(folder: Path, files: int) -> dict[str, list[Path]]:
    """Files of common kinds, by what they are."""
    rng, kinds = np.random.default_rng(0), {}
    table = ClassTable.from_spec(TABLE)
    for i in range(files):
        picture, indices = scene(rng, 500, 500)
        palette = Image.fromarray(indices)
        palette.putpalette(table.palette.tobytes())
        pictures = {
            "image: JPEG 500 x 500": (picture, "jpg", {"quality": 90}),
            "image: PNG 500 x 500": (picture, "png", {}),
            "image: grey PNG 500 x 500": (picture.convert("L"), "png", {}),
            "mask: palette PNG 500 x 500": (palette, "png", {}),
            "mask: grey PNG 500 x 500": (Image.fromarray(indices), "png", {}),
            "mask: RGB PNG 500 x 500": (palette.convert("RGB"), "png", {}),
        }
        if i < max(2, files // 8):
            pictures["image: JPEG 3000 x 2000"] = (picture.resize((3000, 2000)), "jpg", {"quality": 90})
        for number, (kind, (image, suffix, options)) in enumerate(pictures.items()):
            path = folder / f"{number}_{i}.{suffix}"
            image.save(path, **options)
            kinds.setdefault(kind, []).append(path)
    return kinds


def own(root: Path, files: int) -> tuple[dict[str, list[Path]], ClassTable]:
    """The first files of a data set, by the format and the mode of each."""
    data = FolderData(root=str(root), classes=None, crop=[64, 64], batch_size=1, workers=0)
    kinds: dict[str, list[Path]] = {}
    for source in data.splits.values():
        assert isinstance(source, FolderSource)
        for pair in source.pairs:
            for word, path in (("image", pair.image), ("mask", pair.mask)):
                assert isinstance(path, Path)
                with Image.open(path) as picture:
                    kinds.setdefault(f"{word}: {picture.format} {picture.mode}", []).append(path)
    return {kind: paths[:files] for kind, paths in sorted(kinds.items())}, data.classes


def decode(path: Path) -> None:
    with Image.open(path) as image:
        np.asarray(image)


def best(work: list[Job], paths: list[Path], rounds: int) -> Iterator[float]:
    """Milliseconds per file of each job, all of which take turns at each file; the best turn counts."""
    seconds = np.full((len(work), len(paths)), np.inf)
    for _ in range(rounds):
        for j, path in enumerate(paths):
            for i, job in enumerate(work):
                start = time.perf_counter()
                job(path)
                seconds[i, j] = min(seconds[i, j], time.perf_counter() - start)
    yield from 1000 * seconds.mean(1)


def jobs(kind: str, table: ClassTable) -> list[Job]:
    """What is timed: the header, Pillow alone, ours, and ours with classes."""
    if kind.startswith("image"):
        return [
            header,
            decode,
            lambda path: read_image(path, channels=1 if "grey" in kind or kind.endswith(" L") else 3),
        ]
    coding = table.coding
    return [header, decode, lambda path: read_mask(path, MAX_PIXELS, coding), lambda path: encoded(path, table)]


def encoded(path: Path, table: ClassTable) -> np.ndarray:
    return table.encode(read_mask(path, MAX_PIXELS, table.coding))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, help="a data set, in place of files that are made")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--files", type=int, default=24, help="of each kind")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        table = ClassTable.from_spec(TABLE)
        if words.root is None:
            kinds = made(Path(folder), words.files)
        else:
            kinds, table = own(words.root, words.files)
        print("| kind | header, ms | Pillow, ms | segtrain, ms | ratio | with classes, ms |\n|---|---|---|---|---|---|")
        for kind, paths in kinds.items():
            head, pillow, ours, *classes = best(jobs(kind, table), paths, words.rounds)
            last = f"{classes[0]:.2f}" if classes else ""
            print(f"| {kind} | {head:.3f} | {pillow:.2f} | {ours:.2f} | {ours / pillow:.2f} | {last} |", flush=True)


if __name__ == "__main__":
    main()
