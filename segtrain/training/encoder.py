"""How an encoder learns otherwise than the rest of its network: later, and more slowly."""

from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.strategies import ParallelStrategy
from torch import nn
from torch.optim import Optimizer

from ..build import TARGET, Spec, is_spec
from ..errors import UserError
from ..runs.record import without_pretrained

PRETRAINED = 0.1  # factor on the learning rate of an encoder that has learned something already


def encoder_of(network: nn.Module, setting: str) -> nn.Module:
    """The encoder of a network. Raises UserError, which names the setting that needs one, if it has none."""
    encoder = getattr(network, "encoder", None)
    if not isinstance(encoder, nn.Module):
        raise UserError(f"{setting}: a {type(network).__name__} has no part named encoder: leave it null")
    return encoder


def encoder_rate(typed: float | None, network: nn.Module, model: Spec) -> float:
    """The factor on the learning rate of a network's encoder: what was typed, or else what suits its `model` spec."""
    if typed is not None:
        return typed
    pretrained = model != without_pretrained(model) and hasattr(network, "encoder")
    return PRETRAINED if pretrained else 1.0


def is_random(model: Spec) -> bool:
    """Whether an encoder is known to begin with random weights; one of others may come with its own."""
    encoder = model.get("encoder", {})
    is_ours = is_spec(encoder) and str(encoder[TARGET]).startswith("segtrain.")
    return is_ours and model == without_pretrained(model)


class Freeze(Callback):
    """Lets an encoder stand still in the first steps of a training: its weights, and the statistics of its batch norm.

    Whether it does depends on the number of the step alone, so that going on needs no state. Its weights then have no
    gradients: the optimiser has no moments of them yet, and decays nothing.
    """

    def __init__(self, encoder: nn.Module, steps: int) -> None:
        self.encoder, self.steps = encoder, steps
        self.trained = [name for name, weight in encoder.named_parameters() if weight.requires_grad]

    def weights(self) -> list[nn.Parameter]:
        """Those that learn; where they are shared out, they are not those of the beginning."""
        return [self.encoder.get_parameter(name) for name in self.trained]

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        """A single process computes no gradients for a frozen encoder; several would wait for them for ever."""
        step = trainer.global_step
        if step > self.steps:
            return
        frozen = step < self.steps
        pl_module.network.train()
        if frozen:
            self.encoder.eval()
        for weight in self.weights():
            weight.requires_grad_(isinstance(trainer.strategy, ParallelStrategy) or not frozen)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: Any, optimizer: Optimizer) -> None:
        """This comes before the learner's own, which clips what gradients there are."""
        if trainer.global_step < self.steps:
            for weight in self.weights():
                weight.grad = None
