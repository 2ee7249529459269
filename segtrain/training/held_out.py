"""Numbers of val, summed for each block of its images apart, so that what fits all blocks but one is tried on that."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from ..inference.folding import Folded
from ..inference.windows import Windows
from ..scoring.scorer import Batch

BLOCKS = 5  # of neighbouring images, since frames and tiles beside one another are alike


class BlockScorer(LightningModule):
    """Sums whole numbers over images that a network answers to, a block of neighbouring images at a time.

    `shape` is that of the numbers of an image, and `images` how many images there are. After a test, `totals`
    (`BLOCKS`, *shape) int64 are the sums over all processes.
    """

    doing = "scoring blocks of images"
    sums: Tensor

    def __init__(
        self, network: nn.Module, shape: Sequence[int], *, void: int, images: int, windows: Windows | None = None
    ) -> None:
        super().__init__()
        self.network, self.void, self.images = network, void, images
        self.windows = windows or Windows()
        self.folded = Folded()
        self.register_buffer("sums", torch.zeros(BLOCKS, *shape, dtype=torch.int64), persistent=False)

    def add(self, logits: Tensor, mask: Tensor, sums: Tensor) -> None:
        """Add the numbers of an image, or of a part of one, by its logits (classes, H, W) and mask (H, W)."""
        raise NotImplementedError

    def test_step(self, batch: Batch, _: int) -> None:
        for piece in self.windows.pieces(self.folded.of(self.network), batch["image"]):
            keys, masks = batch["key"][piece.place[0]], batch["mask"][piece.place]
            for index, logits, mask in zip(keys.tolist(), piece.answer, masks, strict=True):
                self.add(logits, mask, self.sums[index * BLOCKS // self.images])

    def on_test_epoch_end(self) -> None:
        self.folded.forget()
        total: Any = self.trainer.strategy.reduce(self.sums, reduce_op="sum")
        self.totals = total.cpu()


def jackknife_error(values: Sequence[float]) -> float:
    """The standard error of a statistic, from its values without one block each."""
    mean = sum(values) / len(values)
    squares = sum((value - mean) ** 2 for value in values)
    return math.sqrt(squares * (len(values) - 1) / len(values))
