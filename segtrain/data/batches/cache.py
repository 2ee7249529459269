"""Decoded images and masks in memory that worker processes share."""

import mmap
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...errors import UserError

ALIGNMENT = 64  # bytes
CONTAINER = Path("/sys/fs/cgroup/memory.max")  # of control groups 2


class Cache:
    """Samples that were read once, for images of these `sizes` (height, width); forked processes share them.

    The memory is taken up page by page as samples are put in. Whoever reads a sample first puts it in; if two do at
    once, they write the same.
    """

    def __init__(
        self, sizes: Sequence[tuple[int, int]], channels: int, image_type: torch.dtype, mask_type: torch.dtype
    ) -> None:
        self.sizes, self.channels, self.types = sizes, channels, (image_type, mask_type)
        pixels = np.array([height * width for height, width in sizes], np.int64)
        lengths = np.stack([pixels * channels * image_type.itemsize, pixels * mask_type.itemsize], 1)
        aligned = -(-lengths // ALIGNMENT) * ALIGNMENT
        self.lengths, self.starts = lengths, (np.cumsum(aligned) - aligned.ravel()).reshape(aligned.shape)
        self.size = int(aligned.sum())
        most = memory()
        if self.size > most:
            raise UserError(
                f"data.cache=ram: {self.size / 2**30:.1f} GiB of decoded images, but {most / 2**30:.1f} GiB of memory "
                "are here: take data.cache=none"
            )
        # anonymous and shared: unlike /dev/shm it has no limit of its own, and ends with the last process
        self._memory = torch.frombuffer(mmap.mmap(-1, max(self.size, 1)), dtype=torch.uint8)
        self._filled = torch.frombuffer(mmap.mmap(-1, max(len(sizes), 1)), dtype=torch.uint8)

    def get(self, index: int) -> tuple[Tensor, Tensor] | None:
        """Image (C, H, W) and mask (H, W), to be read and not written; `None` if they were not put in."""
        if self._filled[index]:
            return self._views(index)
        return None

    def put(self, index: int, image: Tensor, mask: Tensor) -> None:
        for view, tensor in zip(self._views(index), (image, mask), strict=True):
            view.copy_(tensor)
        self._filled[index] = 1

    def _views(self, index: int) -> tuple[Tensor, Tensor]:
        ends = self.starts[index] + self.lengths[index]
        image, mask = (self._memory[start:end] for start, end in zip(self.starts[index], ends, strict=True))
        height, width = self.sizes[index]
        image = image.view(self.types[0]).view(height, width, self.channels)  # pixel by pixel, as decoders write them
        return image.permute(2, 0, 1), mask.view(self.types[1]).view(height, width)


def memory() -> int:
    """Bytes that all processes here may take up together."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = CONTAINER.read_text().strip() if CONTAINER.is_file() else "max"
    return min(machine, int(limit)) if limit.isdigit() else machine
