"""Training a network whose weights are shared out: `trainer.strategy=fsdp`."""

from torch import nn
from torch.optim import SGD, Optimizer

from ..machine.shards import WholeCopy, share_out
from .learner import Learner


class ShardedLearner(Learner):
    """A learner of which each process holds a part: of every weight, its gradient, its moments and its average.

    What is shared out computes in all processes at once or not at all, and these score different numbers of images.
    So what is scored is whole in each process, for as long as it is scored.
    """

    whole: WholeCopy | None = None

    @property
    def scored(self) -> nn.Module:
        return super().scored if self.whole is None else self.whole.network

    def configure_model(self) -> None:
        """Share out what is whole so far; Lightning asks for that before a test too."""
        if self.device_mesh is None or self.whole is not None:
            return
        self.whole = WholeCopy(super().scored)
        mesh = self.device_mesh["data_parallel"]
        share_out(self.network, mesh)
        if self.average is not None:
            share_out(self.average.module, mesh)

    def new_optimizer(self) -> Optimizer:
        """Of the fused optimisers that are shipped, torch 2.14's SGD does not take what is shared out."""
        optimizer = super().new_optimizer()
        if isinstance(optimizer, SGD):
            for group in optimizer.param_groups:
                group["fused"] = False
        return optimizer

    def on_validation_epoch_start(self) -> None:
        super().on_validation_epoch_start()
        self.gather()

    def on_validation_epoch_end(self) -> None:
        super().on_validation_epoch_end()
        if self.whole is not None:
            self.whole.empty()

    def on_fit_end(self) -> None:
        """What follows is scored alone; this comes where no step was left too."""
        self.gather()

    def gather(self) -> None:
        """Make what is scored whole."""
        if self.whole is not None:
            self.whole.fill(super().scored, self.device)
