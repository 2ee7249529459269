"""How the time of commands grows with the number of images, which should be in proportion.

python scripts/benchmark_growth.py [--images 1000 10000 100000]

The made-up images of `benchmark_start.py`, 64 x 64 pixels, half of them for training and half for validation. The table
has the seconds of a whole command, and the milliseconds that each image more has taken since the row above: where the
time grows in proportion to the images, these stay the same.

- first start, second start: until the first batch, as in `benchmark_start.py`
- training: `train` for one epoch of `fcn_tiny`, with a validation, the final score and its report
- scoring: `evaluate` on the other half, with its report
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmark_start import make, timed

LIMIT = 3600  # seconds of a command
SETTINGS = (
    *("model=fcn_tiny", "data.batch_size=32", "train.epochs=1", "augment=none", "train.save_minutes=1000"),
    *("train.correction=false", "train.calibration=false"),  # which need more passes over val, of which part is drawn
)


class Seconds(NamedTuple):
    """What whole commands take for so many images."""

    images: int
    first_start: float
    second_start: float
    training: float
    scoring: float


def measured(images: int, place: Path) -> Seconds:
    """The seconds of all commands, in a folder of their own."""
    root, run, cache = place / "images", place / "run", place / "cache"
    make(root, images, val=images // 2)
    first_start, _, _ = timed(root, cache)
    second_start, _, _ = timed(root, cache)
    training = command(cache, "train", f"data.root={root}", f"run_dir={run}", *SETTINGS)
    scoring = command(cache, "evaluate", f"run={run}", "split=val")
    return Seconds(images, first_start, second_start, training, scoring)


def command(cache: Path, *words: str) -> float:
    """Seconds of a command of segtrain's."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "PYTHONPATH": str(Path(__file__).parents[1])}
    line = [sys.executable, "-m", "segtrain", *words]
    began = time.perf_counter()
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False, timeout=LIMIT)
    if done.returncode:
        sys.exit(f"{' '.join(words)}: {done.stderr or done.stdout}")
    return time.perf_counter() - began


def table(rows: Sequence[Seconds]) -> str:
    """In Markdown: seconds, and milliseconds for each image more than in the row above."""
    titles = [name.replace("_", " ") for name in Seconds._fields]
    lines = [titles, ["--:"] * len(titles)]
    for before, row in zip([None, *rows], rows, strict=False):
        lines.append([f"{row.images:,}", *(cell(row, before, name) for name in Seconds._fields[1:])])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(row: Seconds, before: Seconds | None, name: str) -> str:
    seconds = getattr(row, name)
    if before is None:
        return f"{seconds:.1f} s"
    more = 1000 * (seconds - getattr(before, name)) / (row.images - before.images)
    return f"{seconds:.1f} s ({more:.2f} ms)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 10_000, 100_000])
    options = parser.parse_args()
    rows: list[Seconds] = []
    for images in sorted(options.images):
        with tempfile.TemporaryDirectory() as place:
            rows.append(measured(images, Path(place)))
        print(rows[-1], flush=True)
    print(f"\n{table(rows)}")


if __name__ == "__main__":
    main()
