"""Where a training on a CPU keeps memory that is freed for what comes next."""

from collections.abc import Iterable, Iterator
from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from ..data import DataModule
from ..machine.memory import give_freed_memory_back, keep_freed_memory

FEW_PIXELS = 1 << 20  # pixels of an image, up to which keeping its memory costs little


class KeptMemory(Callback):
    """Has a CPU keep freed memory while steps are computed, and while images of these `sizes` (height, width) are
    scored if all are small: for large ones, memory matters more than time."""

    def __init__(self, device: str, sizes: Iterable[tuple[int, int]]) -> None:
        self.on_cpu = device == "cpu"
        self.all_small = max((height * width for height, width in sizes), default=0) <= FEW_PIXELS

    def on_train_start(self, *_: Any) -> None:
        self._keep(True)

    def on_validation_start(self, *_: Any) -> None:
        self._keep(self.all_small)

    def on_validation_end(self, trainer: Trainer, *_: Any) -> None:
        self._keep(trainer.state.fn == TrainerFn.FITTING)

    def on_train_end(self, *_: Any) -> None:
        self._keep(False)

    def on_test_start(self, *_: Any) -> None:
        self._keep(self.all_small)

    def on_test_end(self, *_: Any) -> None:
        self._keep(False)

    def on_exception(self, *_: Any) -> None:
        self._keep(False)

    def _keep(self, wanted: bool) -> None:
        if self.on_cpu and wanted:
            keep_freed_memory()
        elif self.on_cpu:
            give_freed_memory_back()


def sizes_of(data: DataModule) -> Iterator[tuple[int, int]]:
    """Heights and widths of the images that may be scored."""
    for split, source in data.splits.items():
        if split != "train":
            yield from source.sizes
