"""How fast whole images are scored."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
from lightning.pytorch import Trainer

from ..data import DataModule
from ..machine.device import wait_for
from ..machine.memory import keep_freed_memory
from ..training.learner import Learner
from .reading import Batch

BYTES = 1 << 28  # of whole images that are kept in memory
MEASURED = 3  # rates of a `Scoring`


class Scoring(NamedTuple):
    """Images a second."""

    computed: float  # by the network alone, from memory
    validated: float  # as in a training
    scored: float  # as by `evaluate`, with contours and sizes


def measured(
    make: Callable[..., Trainer],
    learner: Learner,
    data: DataModule,
    device: str,
    seconds: float,
    advance: Callable[[], None],
) -> Scoring:
    """How fast val is scored, measured for about so many seconds each, by trainers that `make` makes; `advance` is
    called after each."""
    trainer = make()
    loader = data.whole_images("val", trainer)
    batches = small_enough(loader)
    some = batches[: fitting(learner, trainer, batches, device, seconds)]
    images = sum(len(batch["key"]) for batch in some)
    computed = images / computing(learner, trainer, some, device)
    advance()
    began = time.perf_counter()
    make(limit_val_batches=len(some)).validate(learner, dataloaders=loader, verbose=False)
    validated = images / (time.perf_counter() - began)
    advance()
    began = time.perf_counter()
    make(limit_test_batches=len(some)).test(learner, dataloaders=loader, verbose=False)
    scored = images / (time.perf_counter() - began)
    advance()
    loader.stop()
    return Scoring(computed, validated, scored)


def small_enough(batches: Iterable[Batch]) -> list[Batch]:
    """The first of some batches, of `BYTES` of images together, or one."""
    some, size = [], 0
    for batch in batches:
        some.append(batch)
        size += batch["image"].nbytes
        if size > BYTES:
            break
    return some


def fitting(learner: Learner, trainer: Trainer, batches: Sequence[Batch], device: str, seconds: float) -> int:
    """How many of some batches are computed in so many seconds, by the first one; 1 at least."""
    computing(learner, trainer, batches[:1], device)
    each = computing(learner, trainer, batches[:1], device)
    return max(1, min(len(batches), int(seconds / each)))


@torch.inference_mode()
def computing(learner: Learner, trainer: Trainer, batches: Sequence[Batch], device: str) -> float:
    """The seconds in which the network, as it was built, answers to some batches."""
    learner.to(device)
    learner.eval()
    if device == "cpu":
        keep_freed_memory()  # as for images that are not large
    began = time.perf_counter()
    with trainer.precision_plugin.forward_context():
        for batch in batches:
            for piece in learner.windows.pieces(learner.scored, batch["image"].to(device)):
                piece.answer.max(1)
    wait_for(device)
    return time.perf_counter() - began
