"""Decoded images and masks in memory, or in a file, that worker processes share."""

import errno
import mmap
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ...disk import cache_folder
from ...errors import UserError

ALIGNMENT = 64  # bytes
CONTAINER = Path("/sys/fs/cgroup/memory.max")  # of control groups 2
SHARE = 8  # of the memory that decoded images may take unasked: one part of so many, for all processes together
CachePlace = Literal["ram", "disk"]


class Cache:
    """Samples that were read once, for images of these `sizes` (height, width); forked processes share them.

    Memory is taken up page by page as samples are put in; on a disk, all of it at once. Whoever reads a sample first
    puts it in; if two do at once, they write the same.
    """

    def __init__(
        self,
        sizes: Sequence[tuple[int, int]],
        channels: int,
        image_type: torch.dtype,
        mask_type: torch.dtype,
        place: CachePlace = "ram",
    ) -> None:
        self.sizes, self.channels, self.types = sizes, channels, (image_type, mask_type)
        pixels = np.array([height * width for height, width in sizes], np.int64)
        lengths = np.stack([pixels * channels * image_type.itemsize, pixels * mask_type.itemsize], 1)
        aligned = -(-lengths // ALIGNMENT) * ALIGNMENT
        self.lengths, self.starts = lengths, (np.cumsum(aligned) - aligned.ravel()).reshape(aligned.shape)
        self.size = int(aligned.sum())
        room = in_memory if place == "ram" else on_disk
        self._memory = torch.frombuffer(room(max(self.size, 1)), dtype=torch.uint8)
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


def is_small(size: int) -> bool:
    """Whether so many bytes of decoded images may be kept in memory without being asked for.

    Only on Linux, where workers are forked in any case.
    """
    return sys.platform == "linux" and SHARE * size <= memory()


def in_memory(size: int) -> mmap.mmap:
    """So many bytes, which forked processes share: unlike /dev/shm they have no limit of their own, and end with the
    last process. Raises UserError if there are not so many."""
    most = memory()
    if size > most:
        there = f"{most / 2**30:.1f} GiB of memory are here"
        raise UserError(
            f"data.cache=ram: {size / 2**30:.1f} GiB of decoded images, but {there}: take data.cache=disk or none"
        )
    return mmap.mmap(-1, size)


def on_disk(size: int) -> mmap.mmap:
    """The same in a file without a name, whose space is free again when the last process ends.

    All of its space is taken now: were the disk full later, a write into memory would kill the process.
    """
    folder = cache_folder() or Path(tempfile.gettempdir())
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            reserve(file.fileno(), size)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            there = f"{shutil.disk_usage(folder).free / 2**30:.1f} GiB are free in {folder}"
            raise UserError(
                f"data.cache=disk: {size / 2**30:.1f} GiB of decoded images, but {there}: make room, set "
                "XDG_CACHE_HOME to a folder on another disk, or take data.cache=none"
            ) from None
        return mmap.mmap(file.fileno(), size)


def reserve(file: int, size: int) -> None:
    """Have an open file take up so many bytes of its disk."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
    else:  # macOS
        os.truncate(file, size)


def memory() -> int:
    """Bytes that all processes here may take up together."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = CONTAINER.read_text().strip() if CONTAINER.is_file() else "max"
    return min(machine, int(limit)) if limit.isdigit() else machine
