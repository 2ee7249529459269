"""Interrupts trainings at random moments until they are done, and compares what is left with an undisturbed one.

python scripts/kill_storm.py --interruptions 1000 --seed 0 --jobs 2 [--variants NAME ...] [--out FILE]

Each trial starts one of `VARIANTS`, interrupts it by one of `KINDS` (the process or its whole group), looks for what
must not be (`faults`), goes on with `train resume=`, interrupts it again, until it is done. Then its `facts` must be
those of a run without interruption, bit for bit. Exit status 1 if anything was wrong; such a trial's folder is kept.

All runs are forked from this process, which has imported everything and computed nothing, so that each starts at once.
"""

import os

if __name__ == "__main__":  # before anything makes threads, which a fork would lose
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))

import argparse
import atexit
import csv
import json
import logging
import multiprocessing
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.utils.tensorboard
import yaml
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

import segtrain.commands.train  # noqa: F401  # so that runs find it imported
from segtrain.cli import run

STEPS = 12
TINY = (
    "model=fcn_tiny model.encoder.widths=[8,8,16,16] model.encoder.depths=[1,1,1,1] model.encoder.stem_width=8 "
    f"model.widths=[8,8,8,8] data.crop=[32,32] data.batch_size=4 data.workers=0 train.steps={STEPS} "
    "train.validate_epochs=1 train.log_steps=1 train.save_minutes=0 "
    "trainer.accelerator=cpu trainer.precision=32-true"
)
GENERATED = "data.size=[32,32] data.train=12 data.val=5 data.test=3"
SELDOM = "train.save_minutes=0.001 train.log_steps=2 train.validate_epochs=1.34"  # a validation every 4 steps
VARIANTS = {
    "plain": "",
    "2 workers": "data.workers=2",
    "accumulation": "trainer.accumulate_grad_batches=2",
    "EMA": "train.ema=0.9",
    "bf16": "trainer.precision=bf16-mixed",
    "freeze": "train.freeze_encoder=1.6 train.encoder_lr=0.5",  # of twelve steps, the first five
    "patience": "train.patience=1 optimizer.lr=0.3",  # which is too much: it ends after nine
    "teacher": "teacher=../plain/run",
    "fold": "data.root=../images data.folds=3 data.fold=1",
    "seldom": SELDOM,
    "all": f"{SELDOM} data.workers=2 trainer.accumulate_grad_batches=2 train.ema=0.9 trainer.precision=bf16-mixed",
}
TEACHER = "plain"  # the variant that teaches another one
KINDS = {  # of interruption: signals, statuses that may follow (negative: died of it), seconds in which it must end
    "KILL": ([signal.SIGKILL], {-9}, 5),
    "TERM": ([signal.SIGTERM], {-15, 143}, 30),
    "INT": ([signal.SIGINT], {-2, 130}, 30),
    "INT twice": ([signal.SIGINT, signal.SIGINT], {-2, 130}, 10),
}
Moment = list[tuple[str, float]]  # after a new file of this name, if any, and so many seconds; and then the next
COMPARED = ("state_dict", "optimizer_states", "lr_schedulers", "callbacks", "global_step")  # of last.ckpt


def words_of(variant: str) -> list[str]:
    """What is typed for a new run."""
    images = "" if "data.root" in VARIANTS[variant] else GENERATED
    return f"{TINY} {images} {VARIANTS[variant]}".split()


def draw_images(folder: Path) -> None:
    """Twenty images with masks, for what needs files: a bright rectangle on dark ground."""
    folder.mkdir()
    (folder / "classes.yaml").write_text("classes: [{name: ground}, {name: box}]\n")
    rng = np.random.default_rng(0)
    for number in range(20):
        mask = np.zeros((32, 32), np.uint8)
        top, left = rng.integers(2, 14, 2)
        mask[top : top + 12, left : left + 12] = 1
        image = rng.integers(0, 100, (32, 32, 3)) + 120 * mask[..., None]
        for kind, pixels in (("images", image.astype(np.uint8)), ("masks", mask)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / kind / f"{number}.png")


class Reference(NamedTuple):
    """A run without interruption: its facts, and after how many seconds training began, was over, and all was over."""

    facts: dict[str, str]
    began: float
    trained: float
    ended: float


class Trial:
    """A run, its interruptions so far, each (kind, to whom, where), and what was wrong."""

    def __init__(self, variant: str, folder: Path) -> None:
        self.variant, self.folder, self.run = variant, folder, folder / "run"
        self.runs, self.interruptions, self.wrong = 0, [], []
        folder.mkdir()

    def attempt(self, rng: random.Random, moment: Moment | None) -> int | None:
        """Start the run or go on with it, interrupt it at a moment; its exit status."""
        self.runs += 1
        output = self.folder / f"output_{self.runs:03}.txt"
        new = not (self.run / "config.yaml").exists()  # before it has that, a run begins again
        words = [*words_of(self.variant), "run_dir=run"] if new else ["resume=run"]
        pid = start(["train", *words], self.folder, output)
        status, kind, whom, allowed, patience = None, "no interruption", "", {0}, 60
        if moment and (status := status_before(pid, self.run, moment)) is None:
            kind, whom = rng.choice([*KINDS, "KILL"]), rng.choice(["process", "group"])
            numbers, statuses, patience = KINDS[kind]
            allowed |= statuses
            for number in numbers:
                if status is None:
                    (os.kill if whom == "process" else os.killpg)(pid, number)
                    status = status_after(pid, rng.uniform(0, 0.1))
        if status is None and (status := status_after(pid, patience)) is None:
            os.killpg(pid, signal.SIGKILL)
        found = [] if status in allowed else [f"exit status {status} after {kind} (None: no end within {patience} s)"]
        self.wrong += [f"{output.name}: {fault}" for fault in (*found, *faults(self.run, pid, output))]
        if whom:
            self.interruptions.append((kind, whom, "wrong" if self.wrong else where(self.run)[0]))
        return status


def reference(variant: str, folder: Path) -> Reference:
    """Raises RuntimeError if the run fails even without interruption."""
    trial, began = Trial(variant, folder), time.time()
    trial.attempt(random.Random(0), None)
    ended = time.time() - began
    if trial.wrong:
        raise RuntimeError(f"{variant}, without interruption: {trial.wrong}; see {folder}")
    times = [(trial.run / name).stat().st_mtime - began for name in ("config.yaml", "checkpoints/last.ckpt")]
    return Reference(facts(trial.run), times[0], times[1], ended)


def interrupted(variant: str, expected: Reference, rng: random.Random, folder: Path) -> Trial:
    """A run that is interrupted again and again, with a probability that shrinks, until it is done."""
    trial, status = Trial(variant, folder), None
    while status != 0 and not trial.wrong:
        done = where(trial.run)[1]
        chance = 0.97**trial.runs if done < STEPS else 0.5
        status = trial.attempt(rng, draw(rng, expected, done) if rng.random() < chance else None)
    if not trial.wrong:
        trial.wrong += differences(expected.facts, trial.run)
        before = contents(trial.run)
        trial.attempt(rng, None)
        trial.wrong += [f"resume of a scored run changes {name}" for name in dict(before ^ contents(trial.run))]
    if not trial.wrong:
        shutil.rmtree(folder)
    return trial


def draw(rng: random.Random, times: Reference, done: int) -> Moment:
    """At any time; while it starts; early in training, so that there is more to come; inside a save; at the end."""
    left, scoring = (times.trained - times.began) * (STEPS - done) / STEPS, times.ended - times.trained
    moments: list[Moment] = [
        [("", rng.uniform(0, times.began + left + scoring))],
        [("", rng.uniform(0, times.began))],
        [("events.*", rng.uniform(0, left / 3))],
        [("events.*", rng.uniform(0, left / 2)), ("checkpoints/*.tmp", 0)],
        [("events.*", left + rng.uniform(0, scoring))],
    ]
    return rng.choices(moments, weights=[4, 1, 4, 3, 1])[0]


def where(run: Path) -> tuple[str, int]:
    """How far a run is, and the number of steps that are saved."""
    files = [file for name in ("last", "previous") if (file := run / "checkpoints" / f"{name}.ckpt").exists()]
    if not files:
        return ("before the first save" if (run / "config.yaml").exists() else "starting"), 0
    content = load(files[0])
    if content["segtrain"]["finished"]:
        return ("scored" if list(run.glob("evaluate/*/metrics.json")) else "scoring"), STEPS
    saving = any(run.rglob("*.tmp")) or files[0].name == "previous.ckpt"
    return ("saving" if saving else "training"), content["global_step"]


# --- a run, in a process of its own -----------------------------------------------------------------------------------


def start(words: list[str], folder: Path, output: Path) -> int:
    """`segtrain WORDS` in `folder`, leading a session of its own; what it prints goes to `output`. Its number."""
    ready, written = os.pipe()
    if (pid := os.fork()) == 0:
        try:
            status = be_segtrain(words, folder, output, written)
        except BaseException:
            traceback.print_exc()
            status = 1
        os._exit(status)
    os.close(written)
    os.read(ready, 1)  # from here on signals meet segtrain, not what prepares it
    os.close(ready)
    return pid


def be_segtrain(words: list[str], folder: Path, output: Path, written: int) -> int:
    """What `python -m segtrain WORDS` is, from its first line to its last; its exit status."""
    os.setsid()
    os.chdir(folder)
    file = os.open(output, os.O_WRONLY | os.O_CREAT)
    os.dup2(file, 1)
    os.dup2(file, 2)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    sys.argv = ["segtrain", *words]
    os.write(written, b".")
    try:
        run()
    except SystemExit as end:
        status = int(end.code or 0)
    threading._shutdown()  # type: ignore[attr-defined]  # what the interpreter does at its end
    atexit._run_exitfuncs()
    sys.stdout.flush()
    return status


def status_after(pid: int, seconds: float) -> int | None:
    """The exit status of a child as soon as there is one, or `None` after so many seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    return None


def status_before(pid: int, run: Path, moment: Moment) -> int | None:
    """The exit status of a run that ends before the moment, or `None` when that has come."""
    for pattern, seconds in moment:
        files: set[Path] = set(run.glob(pattern)) if pattern else set()
        while pattern and (now := set(run.glob(pattern))) <= files:
            files, status = now, status_after(pid, 0.001)
            if status is not None:
                return status
        if (status := status_after(pid, seconds)) is not None:
            return status
    return None


def faults(run: Path, session: int, output: Path) -> Iterator[str]:
    """What no end of a run may leave behind."""
    deadline = time.monotonic() + 2
    while (left := alive(session)) and time.monotonic() < deadline:
        time.sleep(0.01)
    if left:
        yield f"outlive it: {left}"
    if len(unfinished := [path.name for path in run.rglob("*.tmp")]) > 1:
        yield f"temporary files: {unfinished}"
    readers = {"*.ckpt": load, "*.json": lambda path: json.loads(path.read_text()), "*.yaml": settings}
    for path, read in ((path, read) for pattern, read in readers.items() for path in run.rglob(pattern)):
        try:
            read(path)
        except Exception as error:
            yield f"{path.name} cannot be read: {error!r}"
    yield from (word for word in ("Traceback", "internal error") if word in output.read_text(errors="replace"))


def alive(session: int) -> list[str]:
    """The processes of a session or process group, as "number (name)", without those that only wait to be noticed."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().rpartition(" ")[0].rpartition(") ")
        except OSError:  # it has ended in the meantime
            continue
        state, _, group, its_session = rest.split()[:4]
        if state not in "ZX" and str(session) in (group, its_session):
            found.append(f"{name})")
    return found


# --- what must be equal in the end ------------------------------------------------------------------------------------


def facts(run: Path) -> dict[str, str]:
    """All that must not depend on interruptions, by name; numbers as text that loses no bit."""
    last, best = (load(run / "checkpoints" / f"{name}.ckpt") for name in ("last", "best"))
    record = json.loads(best["segtrain"]["record"])
    tree = {
        "last": {key: last[key] for key in COMPARED} | {"finished": last["segtrain"]["finished"]},
        "best": {key: best[key] for key in ("state_dict", "global_step")},
        "fitted": {name: record.get(name) for name in ("correction", "temperature")},
        "scores": {path.parent.name: json.loads(path.read_text()) for path in run.glob("evaluate/*/metrics.json")},
        "TensorBoard": points(run),
        "metrics.csv": table(run / "metrics.csv"),
    }
    return {name.removeprefix("/"): text for name, text in leaves(tree, "")}


def leaves(value: Any, name: str) -> Iterator[tuple[str, str]]:
    """(name, exact text) of everything in nested mappings and sequences."""
    if isinstance(value, Mapping | list | tuple):
        yield f"{name} holds", str(len(value))
        for key, inner in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from leaves(inner, f"{name}/{key}")
    elif isinstance(value, torch.Tensor):
        data = value.detach().reshape(-1).view(torch.uint8).numpy().tobytes()
        yield name, f"{value.dtype} {tuple(value.shape)} {sha256(data).hexdigest()}"
    else:
        yield name, repr(value)


def load(file: Path) -> dict[str, Any]:
    """Raises what zipfile and torch raise for a file that is damaged."""
    with zipfile.ZipFile(file) as archive:
        if damaged := archive.testzip():
            raise ValueError(f"the checksum of {damaged} is wrong")
    return torch.load(file, map_location="cpu", weights_only=True)


def settings(file: Path) -> str:
    return yaml.safe_load(file.read_text())["trainer"]["precision"]  # the last but two of them


def points(run: Path) -> dict[str, dict[int, Any]]:
    """{tag: {step: value}} of TensorBoard's scalars and, as checksums, images, after its own purge; without speeds.

    TensorBoard reads event files in the order of their names: the second in which one was made, then the number of its
    process. Here several come in a second and their numbers' order is chance, so they are renamed by their first event.

    Raises:
        ValueError: if steps of a tag run backwards, or one has two values.
    """
    firsts = [(next(iter(EventFileLoader(str(file)).Load()), None), file) for file in run.glob("events.*")]
    with tempfile.TemporaryDirectory() as ordered:
        for number, (_, file) in enumerate(sorted((event.wall_time, file) for event, file in firsts if event)):
            (Path(ordered) / f"tfevents.{number:06}").symlink_to(file.resolve())
        reader = EventAccumulator(ordered, size_guidance={"scalars": 0, "images": 0}).Reload()
    found = {tag: [(e.step, e.value) for e in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]}
    for tag in reader.Tags()["images"]:
        found[tag] = [(e.step, sha256(e.encoded_image_string).hexdigest()) for e in reader.Images(tag)]
    for tag, pairs in found.items():
        steps = [step for step, _ in pairs]
        if steps != sorted(steps) or len(set(pairs)) != len(set(steps)):
            raise ValueError(f"TensorBoard's points of {tag} contradict each other: {pairs}")
    return {tag: dict(pairs) for tag, pairs in found.items() if not tag.startswith("speed/")}


def table(file: Path) -> list[dict[str, str]]:
    """The rows of metrics.csv, without speeds."""
    with open(file, newline="") as lines:
        return [{k: v for k, v in row.items() if not k.startswith("speed/")} for row in csv.DictReader(lines)]


def differences(expected: Mapping[str, str], run: Path) -> list[str]:
    """In what a run's facts are not the expected ones: the first few."""
    try:
        found = facts(run)
    except Exception as error:
        return [repr(error)]
    names = [name for name in {**expected, **found} if expected.get(name) != found.get(name)]
    lines = [f"{name}: {found.get(name, 'missing')}, not {expected.get(name, 'there')}" for name in names]
    return [*lines[:5], f"and {len(lines) - 5} more"] if len(lines) > 5 else lines


def contents(run: Path) -> set[tuple[str, str]]:
    """All files but the lock."""
    return {(str(path), sha256(path.read_bytes()).hexdigest()) for path in run.rglob("[!.]*") if path.is_file()}


# --- the storm --------------------------------------------------------------------------------------------------------


def storm(variants: list[str], interruptions: int, seed: int, jobs: int, folder: Path) -> Iterator[Trial]:
    """Rounds of one trial of each variant, until there were so many interruptions."""
    draw_images(folder / "images")
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("fork")) as pool:
        references = {TEACHER: pool.submit(reference, TEACHER, folder / TEACHER).result()}
        others = [name for name in variants if name != TEACHER]
        references.update(zip(others, pool.map(reference, others, [folder / name for name in others]), strict=True))
        expected = [references[name] for name in variants]
        for turn in count():
            rounds = [f"{name}, {turn}" for name in variants]
            draws, folders = [random.Random(f"{seed}, {name}") for name in rounds], [folder / name for name in rounds]
            for trial in pool.map(interrupted, variants, expected, draws, folders):
                interruptions -= len(trial.interruptions)
                yield trial
            if interruptions <= 0:
                return


def totals(trials: Iterable[Trial]) -> str:
    wrong = [trial for trial in trials if trial.wrong]
    runs, hits = sum(trial.runs for trial in trials), sum(len(trial.interruptions) for trial in trials)
    return f"{runs:5} runs, {hits:5} interruptions, {len(wrong)} of {len(list(trials))} trials wrong"


def report(trials: list[Trial]) -> Iterator[str]:
    """A line per variant, the interruptions of each kind, and what was wrong."""
    for variant in dict.fromkeys(trial.variant for trial in trials):
        yield f"{variant:13}" + totals([trial for trial in trials if trial.variant == variant])
    for words in zip(*(hit for trial in trials for hit in trial.interruptions), strict=True):
        yield ", ".join(f"{word}: {number}" for word, number in sorted(Counter(words).items()))
    yield f"{'together':13}" + totals(trials)
    yield from (f"WRONG: {trial.folder}: {trial.variant}: {line}" for trial in trials for line in trial.wrong)


def command() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), metavar="NAME")
    parser.add_argument("--interruptions", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="trials at once")
    parser.add_argument("--out", type=Path, help="a file for the report")
    words = parser.parse_args()
    torch.set_num_threads(1)
    logging.getLogger("tensorboard").setLevel(logging.ERROR)  # it warns of each purge
    began, folder, trials = time.monotonic(), Path(tempfile.mkdtemp(prefix="kill_storm_")), []
    for trial in storm(words.variants, words.interruptions, words.seed, words.jobs, folder):
        trials.append(trial)
        print(f"{time.monotonic() - began:5.0f} s {totals(trials)} {trial.wrong[:1] or ''}", flush=True)
    lines = [*report(trials), f"in {(time.monotonic() - began) / 60:.1f} min"]
    print("", *lines, sep="\n")
    if words.out:
        words.out.write_text("\n".join(lines) + "\n")
    wrong = any(trial.wrong for trial in trials)
    if not wrong:
        shutil.rmtree(folder)
    return int(wrong)


if __name__ == "__main__":
    sys.exit(command())
