"""Training steps in a loop of a few lines, to measure what they take."""

import time
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from torch.nn.utils import clip_grad_norm_

from ..build import build_part
from ..losses.contract import mean_loss
from ..machine.device import wait_for
from ..machine.memory import keep_freed_memory
from ..scoring.scorer import Batch, silent_trainer
from .fit import without_step
from .kernels import TriedKernels
from .learner import Learner, in_pieces
from .memory import KeptMemory, sizes_of
from .parts import Parts

WARM_UP = 5  # steps that are not counted: kernels are chosen, memory is taken
STEPS = 1_000_000  # more than there is time for


def bare_step(
    learner: Learner, trainer: Trainer, batches: Iterable[Batch], device: str, limit: float, warm_up: int = WARM_UP
) -> float:
    """Seconds of a step of a loop of a few lines over the same network, loss and optimiser, and batches without end,
    measured for `limit` seconds. It has no average of the weights, no metric, no schedule, no callback."""
    learner.to(device)
    learner.network.train()
    if device == "cpu":
        keep_freed_memory()  # as a training does
    torch.backends.cudnn.benchmark = not torch.are_deterministic_algorithms_enabled()  # as a training does
    optimizer = learner.new_optimizer()
    done, began = -warm_up, 0.0
    for batch in batches:
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
