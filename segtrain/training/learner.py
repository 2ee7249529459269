"""What happens in a step of training, and in a validation.

The hooks of one step, in the order in which they run:

    Curves.on_train_batch_start             callbacks.py   a validation and what belongs to it is over
    FirstBatch.on_train_batch_start         pictures.py    in the first step of all: what the network sees
    Freeze.on_train_batch_start             encoder.py     the encoder stands still, or begins to learn
    Checkpoint.on_train_batch_start         checkpoint.py  from here on the state is not whole
    Learner.on_train_batch_start            learner.py     the random numbers of this step
    Learner.training_step                   learner.py     forward and backward passes, a step of the optimiser, of the
                                                           schedule (schedules.py) and of the average (average.py)
        Freeze.on_before_optimizer_step     encoder.py     a frozen encoder has no gradients
        Learner.on_before_optimizer_step    learner.py     the gradients are clipped
    Curves.on_train_batch_end               callbacks.py   a point of the curves, where one is due
    ProgressBar.on_train_batch_end          callbacks.py
    Checkpoint.on_train_batch_end           checkpoint.py  save or stop, unless a validation comes first

Where a validation is due, it follows: `on_validation_epoch_start`, `validation_step` for each image and
`on_validation_epoch_end` of the learner, then `on_validation_end` of Mosaic, ClassCurves, ConfusionPicture, ProgressBar
and Checkpoint.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from ..inference.windows import Windows
from ..losses.contract import Loss, mean_loss
from ..machine import device as machine
from ..machine.shards import state_like
from ..metrics import ConfusionMatrix, FirstNotFinite, MeanLoss, mean_iou, most_likely
from ..scoring.scorer import Batch, Validator, confusion_of
from .average import MovingAverage
from .divergence import refuse_not_finite
from .groups import adopt_settings, build_optimizer
from .objective import Objective, all_heads
from .teacher import Teacher

SOME = ..., slice(None, None, 4), slice(None, None, 2)  # pixels that IoU/train is of: all would cost 5 % of a step
RUNNING = ("train_confusion", "train_loss")  # metrics that are not over when a checkpoint is written


class Learner(Validator):
    """Trains a network; steps, not epochs, are counted.

    Args:
        loss: what is made small; `segtrain.losses.contract.Loss` says what it maps logits and masks to.
        optimizer: parameter groups -> optimiser.
        schedule: (step, steps) -> factor on the learning rate.
        steps: Steps of the whole training.
        seed: Seed of what is random inside the network, such as dropout.
        auxiliary_weight: Factor on the loss of the network's auxiliary head, if it has one.
        pieces: Parts that each process computes its share of a batch in, one after the other.
        clip: Greatest norm of the gradients; `None` and 0 for no limit.
        ema: Decay of the moving average of the weights, which is then what is scored; `None` for no average.
        compile: Whether training steps use torch.compile, or its mode; scores must not depend on it.
        encoder_lr: Factor on the learning rate of the network's encoder.
        teacher: Another network, whose answers count beside the loss.
        windows: How images are scored that do not fit.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        loss: Loss,
        optimizer: Callable[[list[dict[str, Any]]], Optimizer],
        schedule: Callable[[int, int], float],
        steps: int,
        seed: int,
        class_names: tuple[str, ...],
        void: int,
        auxiliary_weight: float,
        ema: float | None,
        pieces: int = 1,
        clip: float | None = None,
        compile: bool | str = False,
        encoder_lr: float = 1.0,
        teacher: Teacher | None = None,
        windows: Windows | None = None,
    ) -> None:
        super().__init__(network, loss=loss, class_names=class_names, void=void, windows=windows)
        self.automatic_optimization = False  # `training_step` is the whole step
        self.make_optimizer, self.schedule = optimizer, schedule
        self.steps, self.seed, self.pieces, self.clip = steps, seed, pieces, clip
        self.encoder_lr = encoder_lr
        stride = getattr(network, "auxiliary_stride", 1)
        self.objective = Objective(loss, auxiliary_weight=auxiliary_weight, auxiliary_stride=stride, teacher=teacher)
        self.train_network = compiled(network, compile) if compile else network.__call__
        self.average = None if ema is None else MovingAverage(network, ema)
        self.train_confusion = ConfusionMatrix(len(class_names), void)
        self.train_loss = MeanLoss(loss.terms)
        self.first_not_finite = FirstNotFinite()
        for name in RUNNING:
            getattr(self, name).persistent(True)

    @property
    def scored(self) -> nn.Module:
        return self.network if self.average is None else self.average.module

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Dropout and its like depend on the seed, the batch and the process alone, so that resuming needs no state."""
        draw = np.random.SeedSequence([self.seed, batch_idx, self.global_rank]).generate_state(1)
        machine.seed(int(draw[0]), self.device)

    def training_step(self, batch: Batch, _: int) -> None:
        """A step on the mean loss over the whole batch: this process's share, in as many pieces as fit into memory."""
        pieces = in_pieces(batch, self.pieces)
        counts = [self.objective.count(piece["mask"]) for piece in pieces]
        total = over_processes(torch.stack(counts).sum(0), self.trainer)
        *others, last = zip(pieces, counts, strict=True)
        with apart(self.trainer):
            for piece, count in others:
                self.manual_backward(self.share_of_loss(piece, count, total))
        self.manual_backward(self.share_of_loss(*last, total))
        optimizer, schedule = self.optimizers(), self.lr_schedulers()
        optimizer.step()  # type: ignore[union-attr]
        optimizer.zero_grad()  # type: ignore[union-attr]
        schedule.step()  # type: ignore[union-attr, call-arg]
        if self.average is not None:
            self.average.update_parameters(self.network)

    def recolored(self, batch: Batch) -> Tensor:
        """The images (N, C, H, W) in the colours that were drawn for them."""
        return apply_color(batch["image"], batch["color"], clamp="span" not in batch)

    def share_of_loss(self, batch: Batch, counts: Tensor, total: Tensor) -> Tensor:
        """What these images add to the mean loss of the whole batch.

        The terms of the loss (terms,) have the `counts` in these images, and the `total` in the whole batch.
        """
        image, mask = self.recolored(batch), batch["mask"]
        outputs = self.train_network(image)
        sums = self.objective.sums(outputs, image, mask)
        logits, *_ = all_heads(outputs)
        terms = self.loss.terms  # without those of auxiliary heads and of a teacher
        self.note(logits.detach(), mask, sums[:terms].detach(), counts[:terms])
        return self.trainer.world_size * mean_loss(sums, total)  # the mean over processes, of gradients, is their sum

    def note(self, logits: Tensor, mask: Tensor, sums: Tensor, counts: Tensor) -> None:
        """Count what the curves show; nothing waits for the device. Logits that are not finite show in the loss, or in
        the weights."""
        self.train_loss.update(sums, counts)
        self.first_not_finite.update(sums.sum(), self.trainer.global_step)
        self.train_confusion.update(most_likely(logits[SOME]), mask[SOME])

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clip the norm over all parameters; Lightning's own refuses fused optimisers, which are the fast ones."""
        if self.clip:
            unscale(optimizer, self.trainer.precision_plugin)
            nn.utils.clip_grad_norm_(self.weights, self.clip)

    def new_optimizer(self) -> Optimizer:
        return build_optimizer(self.network, self.make_optimizer, self.encoder_lr)

    def configure_optimizers(self) -> Any:
        self.weights = [*self.network.parameters()]  # in the order in which their norms are added up
        optimizer = self.new_optimizer()
        scheduler = LambdaLR(optimizer, lambda step: self.schedule(step, self.steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def refuse_divergence(self) -> None:
        """Raises Diverged if the loss was ever NaN or infinite, or if a weight is."""
        refuse_not_finite(self.first_not_finite, self.network, self.trainer.global_step)

    def on_validation_epoch_start(self) -> None:
        """Processes have each seen other images, so their statistics differ until here."""
        self.refuse_divergence()
        super().on_validation_epoch_start()
        if self.trainer.world_size > 1:
            share_statistics(self)

    def on_validation_epoch_end(self) -> None:
        """Publish the IoU of the training crops since the last validation too."""
        super().on_validation_epoch_end()
        if self.train_confusion.images:
            matrix = confusion_of(self.train_confusion, "the training crops since the last validation")
            self.publish({"IoU/train": mean_iou(matrix)})
            self.train_confusion.reset()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The running metrics of all processes together."""
        checkpoint["state_dict"].update(metrics_together(self))

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The optimiser goes on with its state, but with the settings of now. Of the running metrics the first process
        takes all, the others none."""
        fresh, states = self.new_optimizer(), checkpoint["optimizer_states"]
        adopt_settings(checkpoint, fresh)
        states[0] = state_like(states[0], fresh)
        if self.global_rank:
            start_metrics_anew(checkpoint["state_dict"])


def metrics_together(learner: Learner) -> dict[str, Tensor]:
    """The state of the running metrics over all processes; empty if there is one, whose own it has already."""
    state: dict[str, Tensor] = {}
    for name in RUNNING:
        metric = getattr(learner, name)
        if metric.update_called and learner.trainer.world_size > 1:
            with metric.sync_context():
                state |= metric.state_dict(prefix=f"{name}.")
    return state


def start_metrics_anew(state: dict[str, Tensor]) -> None:
    """Set the running metrics in the state of a learner to zero."""
    for name, value in state.items():
        if name.partition(".")[0] in RUNNING:
            state[name] = torch.zeros_like(value)


def compiled(network: nn.Module, mode: bool | str) -> Callable[[Tensor], Any]:
    """A network's forward pass by torch.compile, in one of its modes or `True` for its default; no module, which would
    stand in the state dict a second time."""

    def forward(image: Tensor) -> Any:
        return network(image)

    return torch.compile(forward, mode=mode if isinstance(mode, str) else None)


def apart(trainer: Trainer) -> AbstractContextManager[Any]:
    """Inside, the gradients of other processes are not waited for, unless a process holds a part of them alone: then
    it would have to keep the whole ones until then."""
    return trainer.model.no_sync() if isinstance(trainer.model, DistributedDataParallel) else nullcontext()


def over_processes(counts: Tensor, trainer: Trainer) -> Tensor:
    """The sum over all processes, which takes the place of this one's. Lightning's own waits for all of them first, and
    where they have GPUs, for these."""
    if trainer.world_size > 1:
        torch.distributed.all_reduce(counts)
    return counts


def share_statistics(module: nn.Module) -> None:
    """Give all processes the first one's statistics of batch norm, in the average too."""
    for name, buffer in module.named_buffers():
        if name.startswith(("network.", "average.")):
            torch.distributed.broadcast(buffer, 0)


def unscale(optimizer: Optimizer, precision: Any) -> None:
    """In fp16, give the gradients of a fused optimiser their true size, as it would only do inside its step."""
    scaler = getattr(precision, "scaler", None)
    if scaler is not None and getattr(optimizer, "_step_supports_amp_scaling", False):
        scaler.unscale_(optimizer)


def in_pieces(batch: Batch, number: int) -> list[Batch]:
    """The images of a batch in so many equal parts."""
    parts = {name: tensor.chunk(number) for name, tensor in batch.items()}
    return [{name: part[i] for name, part in parts.items()} for i in range(number)]


def apply_color(image: Tensor, color: Tensor, *, clamp: bool = True) -> Tensor:
    """Images (N, C, H, W) under the affine colour maps (N, C, C+1), in float32 in any precision: bf16 has 8 bits.

    Photographs end at black and white (`clamp`); in data that fill another range, nothing does.
    """
    white = 1 if image.is_floating_point() else torch.iinfo(image.dtype).max
    image, color = image.float() / white, color.float()
    with torch.autocast(image.device.type, enabled=False):
        mixed = torch.einsum("ndc,nchw->ndhw", color[..., :-1], image) + color[..., -1, None, None]
    if clamp:
        mixed = mixed.clamp(0, 1)
    return mixed.to(memory_format=torch.channels_last)
