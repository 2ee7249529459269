"""Which of cuDNN's kernels are used."""

from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.trainer.states import TrainerFn


class TriedKernels(Callback):
    """Has cuDNN try all its kernels on training crops, which have one size, and keep the fastest.

    Not on whole images, of which each may have another size and would be tried anew; and not where results must be the
    same each time (`trainer.deterministic`), since the fastest may be another one each time.
    """

    def on_train_start(self, *_: Any) -> None:
        self._try(True)

    def on_validation_start(self, *_: Any) -> None:
        self._try(False)

    def on_validation_end(self, trainer: Trainer, *_: Any) -> None:
        self._try(trainer.state.fn == TrainerFn.FITTING)

    def on_train_end(self, *_: Any) -> None:
        self._try(False)

    def on_exception(self, *_: Any) -> None:
        self._try(False)

    def _try(self, wanted: bool) -> None:
        torch.backends.cudnn.benchmark = wanted and not torch.are_deterministic_algorithms_enabled()
