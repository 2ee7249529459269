"""Several processes with one result: which of them speaks and writes, and how they score together."""

import atexit
import os
from collections.abc import Mapping
from typing import Any

import torch
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy, Strategy
from torch.optim import Optimizer

from ..data.workers import die_with
from ..errors import UserError
from .device import device_count, device_type
from .shards import gathered, like

RANKS = ("RANK", "SLURM_PROCID", "NODE_RANK", "LOCAL_RANK")  # set by torchrun, SLURM, and Lightning itself
PARENT = "SEGTRAIN_PARENT"  # the search that a training is a trial of, by its process


class SharedScoring(DDPStrategy):
    """Lightning's DDP, but scores are computed outside of its wrapper, each of whose calls waits for all processes:
    their shares of a split may differ by an image."""

    def setup_environment(self) -> None:
        super().setup_environment()
        atexit.register(leave_group)

    def validation_step(self, *args: Any, **kwargs: Any) -> Any:
        with self.precision_plugin.val_step_context():
            return self.lightning_module.validation_step(*args, **kwargs)  # type: ignore[union-attr]

    def test_step(self, *args: Any, **kwargs: Any) -> Any:
        with self.precision_plugin.test_step_context():
            return self.lightning_module.test_step(*args, **kwargs)  # type: ignore[union-attr]


class SharedWeights(ModelParallelStrategy):
    """Lightning's FSDP, with the checkpoints of any other strategy: whole tensors, in one file, by our reader."""

    def __init__(self, processes: int) -> None:
        super().__init__(data_parallel_size=processes, tensor_parallel_size=1, save_distributed_checkpoint=False)

    def setup_environment(self) -> None:
        super().setup_environment()
        atexit.register(leave_group)

    def setup(self, trainer: Trainer) -> None:
        """Lightning's own asks that of what is only scored, too, something is shared out."""
        Strategy.setup(self, trainer)

    def lightning_module_state_dict(self) -> dict[str, Any]:
        state = Strategy.lightning_module_state_dict(self)
        state.update(gathered(state, keep=self.is_global_zero))  # in place: it has the versions of modules with it
        return state

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        return gathered(Strategy.optimizer_state(self, optimizer), keep=self.is_global_zero)

    @property
    def lightning_restore_optimizer(self) -> bool:
        return True

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        return Strategy.load_checkpoint(self, checkpoint_path, weights_only)

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        state, own = checkpoint["state_dict"], self.lightning_module.state_dict()  # type: ignore[union-attr]
        state.update({name: like(tensor, own.get(name)) for name, tensor in state.items()})
        Strategy.load_model_state_dict(self, checkpoint, strict)

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        Strategy.load_optimizer_state_dict(self, checkpoint)


def count(trainer: Mapping[str, Any]) -> tuple[str, int]:
    """(device type, processes on all machines) for the settings of the trainer."""
    device, nodes = device_type(trainer["accelerator"]), trainer.get("num_nodes", 1)
    if nodes < 1:
        raise UserError(f"trainer.num_nodes={nodes}: expected 1 or more")
    if nodes > 1 and not any(name in os.environ for name in RANKS):
        raise UserError(f"trainer.num_nodes={nodes}: start the processes with torchrun or srun (docs/scaling.md)")
    processes = device_count(trainer["devices"], device) * nodes
    if trainer.get("sync_batchnorm") and device != "cuda":
        raise UserError("trainer.sync_batchnorm=true: batch norm is shared between GPUs only; leave it false on a CPU")
    return device, processes


def strategy(processes: int, *, sharded: bool = False) -> Any:
    """How so many processes train together, each with all weights or with a part of them (`sharded`).

    Batch norm's running statistics are not sent about at each step: the first process's are what counts, and the
    others get them before they score.
    """
    if sharded:
        return SharedWeights(processes)
    if processes == 1:
        return "auto"
    return SharedScoring(broadcast_buffers=False, gradient_as_bucket_view=True)


def environment() -> list[Any]:
    """Lightning's plugins for where we run: under SLURM it must not requeue jobs with checkpoints of its own."""
    return [SLURMEnvironment(auto_requeue=False)] if SLURMEnvironment.detect() else []


def is_main(processes: int) -> bool:
    """Whether this process, of all that compute together, is the one that speaks and writes."""
    return processes == 1 or is_first()


def is_first() -> bool:
    """Whether this is the first of the processes that were started together, or the only one."""
    return all(os.environ.get(name, "0") == "0" for name in RANKS)


def leave_group() -> None:
    """Ends the threads by which this process talks to the others: those of gloo may hold tensors, and to free a tensor
    while the interpreter ends aborts the process (github.com/pytorch/pytorch/pull/179291)."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def end_with_parent() -> None:
    """In a process that Lightning or a search has started: be gone when the first one, or the search, is."""
    if int(os.environ.get("LOCAL_RANK", "0")) > 0:
        die_with(os.getppid())
    elif PARENT in os.environ:
        die_with(int(os.environ[PARENT]))
