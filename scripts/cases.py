"""Runs a folder of cases, each a script that makes a small faulty input and ends with 0 if segtrain does right with it.

    python scripts/cases.py FOLDER [NAME ...] [--jobs 2]

prints a table and ends with 1 if any case does. Cases that import what has been renamed since they were written are run
as copies that say its new name.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 900  # seconds for one case
RENAMED = {
    "segtrain.callbacks": "segtrain.training.loggers.table",
    "segtrain.data.coco": "segtrain.data.files.polygons",
    "segtrain.data.source": "segtrain.data.batches.source",
    "segtrain.data.united": "segtrain.data.files.united",
    "segtrain.learner": "segtrain.training.learner",
    "segtrain.precision": "segtrain.machine.device",
    "segtrain.report": "segtrain.report.pictures",
    "segtrain.schedules": "segtrain.training.schedules",
}


REWRITTEN = {
    # a step now takes the optimiser's step too: what it computes before that is looked at
    "learner.training_step(batch, 0)": 'learner.share_of_loss(batch, *2 * [learner.loss.count(batch["mask"])])',
    "total, _ = loss(": "total = loss(",  # the count has a method of its own
    'DataModule({"train": S()}, ': 'type("Data", (DataModule,), {"open_splits": lambda _: {"train": S()}})(',
    "d.class_pixels()": "d.class_pixels",
    'case("arrays", ".npy", lambda path, mask: np.save(path, mask))\n': "",  # which are read since
}


def with_new_names(text: str) -> str:
    """A case that calls things as they are called today."""
    for old, new in RENAMED.items():
        text = text.replace(f"from {old} import", f"from {new} import")
    for old, new in REWRITTEN.items():
        text = text.replace(old, new)
    return text


def run(case: Path, folder: Path) -> tuple[int, float, str]:
    """Exit status (124 after `LIMIT`), seconds, and all that a case printed."""
    copy = folder / case.name
    copy.write_text(with_new_names(case.read_text(encoding="utf-8")), encoding="utf-8")
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PY": sys.executable, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, str(copy)]
    start = time.monotonic()
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, cwd=folder, env=environment, timeout=LIMIT
        )
    except subprocess.TimeoutExpired:
        return 124, time.monotonic() - start, f"took more than {LIMIT} s"
    return done.returncode, time.monotonic() - start, done.stdout + done.stderr


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", help="cases to run, without .py; all of them by default")
    parser.add_argument("--jobs", type=int, default=1, help="cases run at once")
    typed = parser.parse_args()
    there = sorted(typed.folder.glob("*.py"))
    cases = [case for case in there if not typed.names or case.stem in typed.names]
    missing = set(typed.names) - {case.stem for case in cases}
    if missing or not cases:
        parser.error(f"no case {', '.join(sorted(missing)) or 'at all'} in {typed.folder}")
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="cases_") as copies, ThreadPoolExecutor(typed.jobs) as pool:
        for case, (status, seconds, said) in zip(cases, pool.map(lambda c: run(c, Path(copies)), cases), strict=True):
            print(f"{'right' if status == 0 else 'WRONG'}  {seconds:6.1f} s  {case.stem}", flush=True)
            if status:
                wrong += 1
                print("".join(f"       {line}\n" for line in said.strip().splitlines()[-12:]), flush=True)
    print(f"{len(cases) - wrong} of {len(cases)} right")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
