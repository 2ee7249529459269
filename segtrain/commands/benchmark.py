"""`benchmark`: where the time of a training goes on this machine."""

import json
import math
import platform
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Unpack

import torch

from .. import disk
from ..benchmark import rates, reading, scoring
from ..benchmark.reading import Reading, some_batches
from ..benchmark.steps import ROUNDS, Step, in_turns, peak_memory, steps_of, trainer_of
from ..benchmark.verdict import Facts, sentence
from ..data.batches.cache import memory
from ..data.public import provide
from ..errors import UserError
from ..machine import device
from ..report.screen import Countdown, columns, say
from ..runs.record import Settings
from ..text import counted
from ..training.defaults import with_choices
from ..training.parts import Parts, assemble, build_data, refuse_splits, with_filled_batch
from ..training.trial import refuse_own
from ..training.tried import tried
from ..training.typed import Typed, stored

BATCHES = 8  # in memory, that are trained on again and again
MEASUREMENTS = 1 + reading.MEASURED + 1 + ROUNDS + 1 + scoring.MEASURED  # each of which takes about as long


def benchmark(*, seconds: float, out: str, **given: Unpack[Typed]) -> None:
    """Measure what `train` does with the same settings, print it, and write all numbers into a file `out`."""
    kept = {"run_dir": given["run_dir"], "resume": given["resume"], "init": given["init"], "teacher": given["teacher"]}
    for setting, value in kept.items():
        if value is not None:
            raise UserError(f"{setting}={value}: nothing is kept of a benchmark: leave it out")
    if not 0 < seconds < math.inf:
        raise UserError(f"seconds={seconds:g}: expected a number above 0")
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    parts = prepared(stored(given))
    with Countdown("measuring", MEASUREMENTS, transient=True) as countdown:
        results = measured(parts, seconds, countdown.advance)
    disk.write(Path(out), json.dumps({"typed": given["typed"], **results}, indent=2))
    say(f"written: {out}")


def prepared(settings: Settings) -> Parts:
    """The parts of a training that is not begun."""
    device.quiet()
    refuse_own(settings)
    provide(settings["data"], say)
    data = build_data(settings, None)
    refuse_splits(data)
    settings = with_choices(with_filled_batch(settings, data), data)
    settings = {**settings, "train": {**settings["train"], "max_minutes": None}}  # which nothing depends on here
    parts = assemble(settings, data, None)
    if parts.processes > 1:
        raise UserError(f"trainer.devices={settings['trainer']['devices']}: one device is measured: take 1")
    if parts.sharded:
        raise UserError("trainer.strategy=fsdp: one device is measured, with all weights: leave it out")
    return tried(parts)


def measured(parts: Parts, seconds: float, advance: Callable[[], None]) -> dict[str, Any]:
    """All numbers, which are said as they come; `advance` is called after each of the `MEASUREMENTS`."""
    make = partial(trainer_of, parts)
    machine, peak = machine_rates(parts)
    say(f"{machine['device']}, {parts.precision} ({parts.reason}), torch {torch.__version__}")
    say(f"  matrices {peak / 1e12:.2f} TFLOP/s, copies {machine['bytes_per_second'] / 1e9:.1f} GB/s")
    advance()
    parts.data.trainer = make()
    read = reading.measured(parts.data, seconds, advance)
    say(reading_text(read, parts))
    batches = some_batches(parts.data, BATCHES)
    with_reading = steps_of(parts, seconds)
    advance()
    bare, in_memory = in_turns(parts, batches, seconds, advance)
    step = steps_of(parts, seconds, batches, watched=True)
    advance()
    say(step_text(step, peak, parts))
    speeds = images_per_second(parts.data.batch_size, bare=bare, in_memory=in_memory, train=with_reading.seconds)
    waited = with_reading.waited / with_reading.seconds
    say(training_text(speeds, waited))
    scored = scoring.measured(make, parts.learner, parts.data, parts.device, seconds, advance)
    say(scoring_text(scored))
    parts.data.stop()
    facts = facts_of(parts, read, step, speeds, waited)
    say(sentence(facts))
    return {
        "machine": machine,
        "name": parts.settings["name"],
        "precision": parts.precision,
        "batch": [parts.data.batch_size, *parts.data.crop],
        "reading": read._asdict(),
        "step": step.stored(peak_memory(parts.device)),
        "images_per_second": speeds,
        "waited_share": waited,
        "scoring": scored._asdict(),
        "sentence": sentence(facts),
    }


def images_per_second(batch: int, **seconds: float) -> dict[str, float]:
    """Those of steps that take so many seconds for a batch, by their names."""
    return {name: batch / each for name, each in seconds.items()}


def training_text(speeds: Mapping[str, float], waited: float) -> str:
    """The images a second of steps without reading, in a bare loop and by `train`, and with reading; and the share of
    the time for which the last ones wait for their batch."""
    bare, own = speeds["bare"], speeds["in_memory"]
    return (
        f"training, images/s: {bare:.1f} in a bare loop over batches in memory, {own:.1f} by `train` over the same "
        f"({own / bare:.3f} of it), {speeds['train']:.1f} with reading, which is waited for in {100 * waited:.1f} % of "
        "the time"
    )


def scoring_text(scored: scoring.Scoring) -> str:
    """The images a second of whole images."""
    return (
        f"whole images of val, images/s: {scored.computed:.1f} by the network alone, {scored.validated:.1f} in a "
        f"validation, {scored.scored:.1f} by `evaluate`"
    )


def machine_rates(parts: Parts) -> tuple[dict[str, Any], float]:
    """What the device is, with its rates; and that of its matrices in the precision of the training."""
    kind = torch.float32
    if parts.precision.startswith(("bf16", "16")):
        kind = torch.bfloat16 if parts.precision.startswith("bf16") else torch.float16
    peak = rates.matrix_rate(parts.device, kind)
    facts = {
        "device": device.device_name(parts.device),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "operations_per_second": peak,
        "bytes_per_second": rates.copy_rate(parts.device),
    }
    return facts, peak


def reading_text(read: Reading, parts: Parts) -> str:
    """How fast images come, in words."""
    workers = counted(read.workers, "worker") if read.workers else "the training process itself"
    return (
        f"reading, images/s: {read.decoded:.0f} whole ones by one process, {read.per_worker:.0f} augmented crops, "
        f"{read.all:.0f} by {workers}"
    )


def step_text(step: Step, peak: float, parts: Parts) -> str:
    """A table of the parts of a step."""
    height, width = parts.data.crop
    rows = []
    for part, seconds in sorted(step.parts.items(), key=lambda item: -item[1]):
        rows.append([f"  {part}", f"{1000 * seconds:.2f} ms", f"{100 * seconds / step.seconds:.1f} %"])
    title = f"a step of {parts.data.batch_size} x {height} x {width}: {1000 * step.seconds:.1f} ms"
    if step.operations:
        share = step.operations / step.seconds / peak
        title += f", {step.operations / 1e9:.1f} GFLOP at {100 * share:.0f} % of the rate of matrices"
    taken = peak_memory(parts.device)
    if taken:
        title += f", {taken / 2**30:.2f} GiB at most"
    return f"{title}\n{columns(rows, numbers=[1, 2])}"


def facts_of(parts: Parts, read: Reading, step: Step, speeds: Mapping[str, float], waited: float) -> Facts:
    """What the last sentence is about."""
    decoded = sum(getattr(source, "decoded_bytes", 0) for source in parts.data.splits.values())  # 0: nothing is decoded
    return Facts(
        trained=speeds["train"],
        waited=waited,
        in_memory=speeds["in_memory"],
        reading=read,
        step=step,
        cached=parts.data.cache_bytes > 0,
        decoded_bytes=decoded,
        memory=memory(),
        device=parts.device,
    )
