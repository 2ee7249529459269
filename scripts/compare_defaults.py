"""Trains with the defaults and with those of before, for equally many minutes by the clock, and compares val mIoU.

python scripts/compare_defaults.py FOLDER ... [shapes] [--minutes 5] [--seeds 0 1] [--before WORD ...] [--out DIR]

For each data set and each seed, one training with the words of `--before` and one with none, in turns. A FOLDER has
its classes.yaml already (`check data.root=FOLDER write=true`); `shapes` are the images that segtrain generates. The
clock starts with the command, and stops it with SIGTERM, at which a training ends after its step. One that ends earlier
is compared as it ended. The score is that of the last validation, which stands in the table with its step.

What was measured stays in --out: a second call goes on where the first one ended.
"""

import argparse
import csv
import json
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from threading import Timer
from typing import NamedTuple

BEFORE = (  # what `train` did before its defaults were chosen by the data
    "loss=cross_entropy",
    "loss.weights=null",
    "optimizer.lr=0.002",
    "schedule.warmup=0.05",
    "model.auxiliary=false",
    "augment.inside=false",
    "train.ema=null",
    "train.min_steps=0",
)
SCORE, CLASS = "IoU/val", "IoU_class/val/"
FOUND = 0.0005  # IoU below which a class counts as not found
PATIENCE = 120  # seconds that a stopped training has to save itself


class Score(NamedTuple):
    """The last validation of a training."""

    step: int
    miou: float
    not_found: tuple[str, ...]  # classes


def train(data: str, seed: int, words: Sequence[str], minutes: float, run: Path) -> None:
    """One training, ended by itself or by the clock; the folder has its name only then."""
    place = "data=shapes" if data == "shapes" else f"data.root={data}"
    unfinished = run.with_name(f"{run.name}_unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    command = [sys.executable, "-m", "segtrain", "train", place, f"seed={seed}", f"run_dir={unfinished}", *words]
    with Path(f"{run}.txt").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            process.wait(60 * minutes)
        except subprocess.TimeoutExpired:
            process.terminate()  # a shell's background jobs are deaf to SIGINT
            ended = Timer(PATIENCE, process.kill)
            ended.start()
            process.wait()
            ended.cancel()
    if process.returncode not in (0, 128 + signal.SIGTERM):
        raise SystemExit(f"{' '.join(command)}: failed, see {run}.txt")
    unfinished.rename(run)


def last_score(run: Path) -> Score:
    """Of the last validation in a run's metrics.csv."""
    with (run / "metrics.csv").open(newline="") as file:
        scored = [row for row in csv.DictReader(file) if row[SCORE]]
    if not scored:
        raise SystemExit(
            f"{run}: no validation within its minutes; type --words train.validate_epochs=1, or more --minutes"
        )
    row = scored[-1]
    classes = {name.removeprefix(CLASS): value for name, value in row.items() if name.startswith(CLASS)}
    missing = tuple(name for name, iou in classes.items() if iou and float(iou) < FOUND)
    return Score(int(row["step"]), float(row[SCORE]), missing)


def row(data: str, before: Sequence[Score], after: Sequence[Score]) -> str:
    """A line of the table: every seed has its number."""
    cells = [Path(data).name]
    for scores in (before, after):
        cells.append(", ".join(f"{score.miou:.3f}" for score in scores))
        cells.append(", ".join(str(score.step) for score in scores))
        cells.append("; ".join(", ".join(score.not_found) or "-" for score in scores))
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", metavar="FOLDER")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--before", nargs="*", default=BEFORE, metavar="WORD")
    parser.add_argument("--words", nargs="*", default=[], metavar="WORD", help="for both sides")
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    out = options.out or Path(tempfile.mkdtemp())
    out.mkdir(parents=True, exist_ok=True)
    if len({Path(data).name for data in options.data}) < len(options.data):
        parser.error("two folders have the same name, and so would their runs")
    asked = json.dumps([options.minutes, list(options.before), options.words])
    note = out / "asked.json"
    if note.exists() and note.read_text() != asked:
        parser.error(f"{out} holds runs with other minutes or words: {note.read_text()}")
    note.write_text(asked)
    print("| data | before: val mIoU | steps | not found | after: val mIoU | steps | not found |")
    print("|---|--:|--:|---|--:|--:|---|", flush=True)
    for data in options.data:
        scores: dict[str, list[Score]] = {"before": [], "after": []}
        for seed in options.seeds:
            for side, words in {"before": options.before, "after": ()}.items():
                run = out / f"{Path(data).name}_{side}_{seed}"
                if not run.exists():
                    train(data, seed, [*options.words, *words], options.minutes, run)
                scores[side].append(last_score(run))
        print(row(data, scores["before"], scores["after"]), flush=True)


if __name__ == "__main__":
    main()
