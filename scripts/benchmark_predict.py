"""How fast images are predicted, beside what decoding, the network and writing take alone, each with all cores.

python scripts/benchmark_predict.py RUN [--images 200] [--size 1024 2048] [--save mask overlay]

RUN is a run, whose network answers to made-up photographs: noise on shapes that segtrain generates, enlarged. Whole is
what the command `predict` does, from the first file that is read to the last one that is written; its ratio is to the
slowest of its parts.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from segtrain.build import Trust
from segtrain.commands.predict import predict_all
from segtrain.data.files.images import MAX_PIXELS
from segtrain.data.files.pictures import Pictures
from segtrain.data.shapes import draw
from segtrain.data.workers import Loader, cores
from segtrain.inference.windows import Windows
from segtrain.machine.device import Computing
from segtrain.machine.threads import Behind
from segtrain.prediction.journal import Journal
from segtrain.prediction.sight import Found, Sight, Subject, in_groups
from segtrain.prediction.stills import Stills, as_it_is
from segtrain.prediction.written import Predicted, Saver, Target, checked
from segtrain.runs.folder import checkpoint_files
from segtrain.runs.trained import opened
from segtrain.scoring.reopened import on_device

KINDS = 8  # of images, that are there many times
NOISE = 3.0  # deviation, so that they are compressed as photographs are


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--size", type=int, nargs=2, default=(1024, 2048), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--save", nargs="+", default=["mask", "overlay"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        paths = photographs(folder / "images", options.images, tuple(options.size))
        rates = measured(options.run, paths, folder, options.save)
    slowest = min(rates.keys() - {"whole"}, key=rates.__getitem__)
    for part, rate in rates.items():
        print(f"{part}: {rate:.1f} images/s")
    print(f"whole: {rates['whole'] / rates[slowest]:.2f} of {slowest}")


def photographs(folder: Path, number: int, size: tuple[int, int]) -> list[Path]:
    """Image files of this height and width."""
    folder.mkdir()
    rng, paths = np.random.default_rng(0), [folder / f"{i:05}.png" for i in range(number)]
    for i, path in enumerate(paths):
        if i >= KINDS:
            shutil.copyfile(paths[i % KINDS], path)
            continue
        shapes, _ = draw(rng, size[0] // 8, size[1] // 8)
        pixels = np.asarray(Image.fromarray(shapes).resize(size[::-1], Image.Resampling.BICUBIC), np.float32)
        noisy = pixels + rng.normal(0, NOISE, pixels.shape)
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path)
    return paths


def measured(run: str, paths: list[Path], folder: Path, save: list[str]) -> dict[str, float]:
    """Images a second of each part, and of the whole."""
    (file,) = checkpoint_files(run, None)
    trained = opened(file, Trust())
    record, computing = trained.record, Computing("auto", None)
    sight = Sight(on_device(trained, computing), Windows())
    encoding, shares = checked(save, "index", 1, "npy")
    saver = Saver(Target(folder / "out", folder, save, encoding, 1, shares), trained.classes)
    pictures = Pictures.stored(record.pictures)
    stills = Stills(paths, channels=record.channels, pictures=pictures, max_pixels=MAX_PIXELS)
    some = [stills.read(path) for path in paths[:KINDS]]
    many = [Found(Subject(path.stem, some[i % KINDS].image), path, []) for i, path in enumerate(paths)]
    groups = list(in_groups(many, sight.together))
    results: list[Predicted] = []

    def answer(group: Sequence[Found]) -> None:
        results.extend(sight.predicted([found.subject for found in group], saver))

    answer(groups[0])  # kernels are chosen, memory is taken
    results.clear()
    loader = Loader(stills, batch_size=None, num_workers=cores(), collate_fn=as_it_is)
    rates = {"decoding": len(paths) / seconds(loader, lambda _: None)}
    loader.stop()
    rates["the network"] = len(paths) / seconds(groups, answer)
    with Behind(cores()) as behind:
        began = time.perf_counter()
        for path, result in zip(paths, results, strict=True):
            behind.add(partial(saver.write, path.stem, result, path), Future.result)
        behind.finish()
        rates["writing"] = len(paths) / (time.perf_counter() - began)
    with Journal(folder / "journal", "", columns=saver.columns - 1, home=folder) as journal:
        files = {path.stem: path for path in paths}
        began = time.perf_counter()
        predict_all(files, sight, record, saver, MAX_PIXELS, journal)
        rates["whole"] = len(paths) / (time.perf_counter() - began)
    return rates


def seconds(items: Iterable[Any], work: Callable[[Any], None]) -> float:
    """What it takes to come by all items and do some work on each."""
    began = time.perf_counter()
    for item in items:
        work(item)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
