"""Time from Enter to the first batch, and memory for a pair, of a made-up data set of many small images.

python scripts/benchmark_start.py [--pairs 100000] [--root FOLDER]

The first start finds nothing that is remembered, the second one what the first has read. What is timed is a process of
its own that imports all of `train`, opens the folder, checks it and reads a batch; building the network comes on top.
A FOLDER that is there already is taken as it is.
"""

import argparse
import io
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

SIDE, BATCH, KINDS = 64, 8, 64
FEW = 1000  # pairs of a set beside which the memory is measured


def encoded(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def make(root: Path, pairs: int, val: int | None = None) -> None:
    """Pairs of noise and a square, of which so many are for validation, or one in 20."""
    val = pairs // 20 if val is None else val
    rng, images, masks = np.random.default_rng(0), [], []
    for _ in range(KINDS):
        mask = np.zeros((SIDE, SIDE), np.uint8)
        y, x = rng.integers(8, 40, 2)
        mask[y : y + 20, x : x + 20] = 1
        noise = rng.normal(0, 12, (SIDE, SIDE, 3))
        images.append(encoded((60 + 140 * mask[..., None] + noise).clip(0, 255).astype(np.uint8)))
        masks.append(encoded(mask))
    for split, number in (("train", pairs - val), ("val", val)):
        for kind, contents in (("images", images), ("masks", masks)):
            folder = root / kind / split
            folder.mkdir(parents=True)
            for i in range(number):
                (folder / f"frame_{i:06d}.png").write_bytes(contents[i % KINDS])
    (root / "classes.yaml").write_text("classes: [{name: ground}, {name: square}]\n")


def start(root: Path) -> None:
    """Do what a training does before its first step, and print the memory that it took up."""
    from segtrain.commands import train  # noqa: F401  which imports torch and Lightning
    from segtrain.data import FolderData
    from segtrain.inspection import before_training

    imported = resident()
    data = FolderData(root=str(root), classes=None, crop=None, batch_size=BATCH, workers=0)
    before_training(data)
    source = data.source("train")
    assert data.measured.mean
    assert data.fingerprint()
    for index in range(BATCH):
        source.read(index)
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(resident() - imported, peak - imported)


def resident() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def timed(root: Path, cache: Path) -> tuple[float, int, int]:
    """Seconds, and bytes at the end and at most, of a start in a process of its own."""
    begun = time.perf_counter()
    command = [sys.executable, __file__, "--start", str(root)]
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "PYTHONPATH": str(Path(__file__).parents[1])}
    result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True, timeout=3600)
    memory, peak = map(int, result.stdout.split()[-2:])
    return time.perf_counter() - begun, memory, peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=100_000)
    parser.add_argument("--root", type=Path)
    parser.add_argument("--start", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.start:
        start(options.start)
        return
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        root = options.root or place / "many"
        if not root.is_dir():
            make(root, options.pairs)
        make(place / "few", FEW)
        timed(place / "few", place / "cache_few")
        _, memory_few, peak_few = timed(place / "few", place / "cache_few")
        for word in ("first", "second"):
            seconds, memory, peak = timed(root, place / "cache")
            stays, most = (memory - memory_few) / (options.pairs - FEW), (peak - peak_few) / (options.pairs - FEW)
            print(f"{word} start: {seconds:.1f} s, {stays:.0f} bytes for a pair (at most {most:.0f})")


if __name__ == "__main__":
    main()
