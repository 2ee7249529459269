"""How fast batches in memory are trained on, by a bare loop and by a training."""

import time
from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import NamedTuple

import torch
from lightning.pytorch import Trainer
from torch.nn.utils import clip_grad_norm_

from ..losses.contract import mean_loss
from ..training.learner import Learner
from .rates import wait_for
from .reading import Batch
from .stopwatch import WARM_UP, Watch


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
    return (time.perf_counter() - began) / done


def take_step(learner: Learner, trainer: Trainer, batch: Batch) -> None:
    """The gradients of a batch, clipped."""
    mask = batch["mask"]
    with trainer.precision_plugin.forward_context():
        image = learner.recolored(batch)
        sums = learner.objective.sums(learner.train_network(image), image, mask)
        loss = mean_loss(sums, learner.objective.count(mask))
    loss.backward()
    if learner.clip:
        clip_grad_norm_(learner.network.parameters(), learner.clip)


def peak_memory(device: str) -> int | None:
    """The most bytes of a GPU that were taken at a time; `None` elsewhere."""
    return torch.cuda.max_memory_allocated() if device == "cuda" else None
