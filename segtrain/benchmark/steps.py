"""How fast batches in memory are trained on, by a bare loop and by a training."""

from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from statistics import median
from typing import Any, NamedTuple

import torch

from ..training.bare import bare_step, trainer_of
from ..training.callbacks import Waiting
from ..training.parts import Parts
from .reading import Batch
from .stopwatch import Watch

ROUNDS = 2  # of a bare loop and a training in turns


class Repeated:
    """Batches that are in memory, without end."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[Batch]:
        return cycle(self.batches)


class Step(NamedTuple):
    """What a step of a training takes."""

    seconds: float
    parts: dict[str, float]  # seconds of each of its parts
    operations: float | None  # floating-point ones, where they can be counted
    waited: float  # seconds, of these, for which it waits for its batch

    @classmethod
    def of(cls, watch: Watch) -> "Step":
        parts = {part: total / watch.steps for part, total in watch.seconds.items()}
        return cls(sum(parts.values()), parts, watch.operations, watch.waited / watch.steps)

    def stored(self, peak_bytes: int | None) -> dict[str, Any]:
        """As it is written, with the most memory that was taken. What it waited is that of batches in memory."""
        return {
            "seconds": self.seconds,
            "parts": self.parts,
            "operations": self.operations,
            "peak_bytes": peak_bytes,
        }


def steps_of(parts: Parts, seconds: float, batches: Sequence[Batch] | None = None, *, watched: bool = False) -> Step:
    """Training steps on batches in memory, or on what is read; if they are `watched`, by their parts."""
    if parts.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    waiting = Waiting()
    watch = Watch(parts.learner, parts.device, seconds, waiting, parts=watched)
    trainer = trainer_of(parts, [watch], profiler=waiting)
    if batches is None:
        trainer.fit(parts.learner, datamodule=parts.data)
    else:
        trainer.fit(parts.learner, Repeated(batches), Repeated([]))
    return Step.of(watch)


def in_turns(
    parts: Parts, batches: Sequence[Batch], seconds: float, advance: Callable[[], None]
) -> tuple[float, float]:
    """Seconds of a step of a bare loop and of a training, medians of rounds in turns, of so many seconds in all;
    `advance` is called after each round."""
    bare, trained = [], []
    for _ in range(ROUNDS):
        bare.append(bare_step(parts.learner, trainer_of(parts), cycle(batches), parts.device, seconds / ROUNDS))
        trained.append(steps_of(parts, seconds / ROUNDS, batches).seconds)
        advance()
    return median(bare), median(trained)


def peak_memory(device: str) -> int | None:
    """The most bytes of a GPU that were taken at a time; `None` elsewhere."""
    return torch.cuda.max_memory_allocated() if device == "cuda" else None
