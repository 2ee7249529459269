"""How fast batches in memory are trained on, by a bare loop and by a training."""

import time
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import cycle
from statistics import median
from typing import Any, NamedTuple

import torch
from lightning.pytorch import Callback, Trainer
from torch.nn.utils import clip_grad_norm_

from ..build import build_part
from ..losses.contract import mean_loss
from ..machine.memory import keep_freed_memory
from ..training.fit import without_step
from ..training.kernels import TriedKernels
from ..training.learner import Learner, in_pieces
from ..training.memory import KeptMemory, sizes_of
from ..training.parts import Parts
from ..training.scoring import silent_trainer
from .rates import wait_for
from .reading import Batch
from .stopwatch import WARM_UP, Watch

ROUNDS = 2  # of a bare loop and a training in turns
STEPS = 1_000_000  # more than there is time for


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

    @classmethod
    def of(cls, watch: Watch) -> "Step":
        parts = {part: total / watch.steps for part, total in watch.seconds.items()}
        return cls(sum(parts.values()), parts, watch.operations)


def bare_step(learner: Learner, trainer: Trainer, batches: Sequence[Batch], device: str, limit: float) -> float:
    """Seconds of a step of a loop of a few lines over the same network, loss, optimiser and batches, measured for
    `limit` seconds. It has no average of the weights, no metric, no schedule, no callback."""
    learner.to(device)
    learner.network.train()
    if device == "cpu":
        keep_freed_memory()  # as a training does,
    torch.backends.cudnn.benchmark = not torch.are_deterministic_algorithms_enabled()  # and that too
    optimizer = learner.new_optimizer()
    done, began = -WARM_UP, 0.0
    for batch in cycle(batches):
        take_step(learner, trainer, {name: tensor.to(device) for name, tensor in batch.items()})
        optimizer.step()
        optimizer.zero_grad()
        done += 1
        if done == 0:
            wait_for(device)
            began = time.perf_counter()
        if done > 0 and time.perf_counter() - began >= limit:
            break
    wait_for(device)
    torch.backends.cudnn.benchmark = False
    return (time.perf_counter() - began) / done


def take_step(learner: Learner, trainer: Trainer, batch: Batch) -> None:
    """The gradients of a batch, in as many pieces as a training has, clipped."""
    counts = learner.objective.count(batch["mask"])
    for piece in in_pieces(batch, learner.pieces):
        with trainer.precision_plugin.forward_context():
            image = learner.recolored(piece)
            sums = learner.objective.sums(learner.train_network(image), image, piece["mask"])
            loss = mean_loss(sums, counts)
        loss.backward()
    if learner.clip:
        clip_grad_norm_(learner.network.parameters(), learner.clip)


def trainer_of(parts: Parts, callbacks: Sequence[Callback] = (), **settings: Any) -> Trainer:
    """A trainer that writes nothing and does not end by itself."""
    return silent_trainer(
        partial(build_part, "trainer", without_step(parts.settings["trainer"]), parts.trust),
        parts.processes,
        accelerator=parts.device,
        precision=parts.precision,
        max_steps=STEPS,
        max_epochs=-1,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        callbacks=[*callbacks, TriedKernels(), KeptMemory(parts.device, sizes_of(parts.data))],
        **{"limit_val_batches": 0, **settings},
    )


def steps_of(parts: Parts, seconds: float, batches: Sequence[Batch] | None = None, *, watched: bool = False) -> Step:
    """Training steps on batches in memory, or on what is read; if they are `watched`, by their parts."""
    if parts.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    watch = Watch(parts.learner, parts.device, seconds, parts=watched)
    trainer = trainer_of(parts, [watch])
    if batches is None:
        trainer.fit(parts.learner, datamodule=parts.data)
    else:
        trainer.fit(parts.learner, Repeated(batches), Repeated([]))
    return Step.of(watch)


def in_turns(parts: Parts, batches: Sequence[Batch], seconds: float) -> tuple[float, float]:
    """Seconds of a step of a bare loop and of a training, medians of rounds in turns, of so many seconds in all."""
    bare, trained = [], []
    for _ in range(ROUNDS):
        bare.append(bare_step(parts.learner, trainer_of(parts), batches, parts.device, seconds / ROUNDS))
        trained.append(steps_of(parts, seconds / ROUNDS, batches).seconds)
    return median(bare), median(trained)


def peak_memory(device: str) -> int | None:
    """The most bytes of a GPU that were taken at a time; `None` elsewhere."""
    return torch.cuda.max_memory_allocated() if device == "cuda" else None
