"""The mask of an image in several files, one for each object."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import UserError
from ..color import Coding
from .masks import mask_size, read_mask


@dataclass(frozen=True)
class UnitedMask:
    """All masks in a folder as one: 1 where any of them is not 0, and 0 elsewhere."""

    path: Path
    files: tuple[Path, ...]

    @property
    def name(self) -> str:
        return str(self.path)

    def size(self, max_pixels: int) -> tuple[int, int]:
        """(height, width) of the first file."""
        return mask_size(self.files[0], max_pixels)

    def read(self, max_pixels: int, coding: Coding) -> np.ndarray:
        """(H, W) uint8; UserError names a file that is damaged, too large, or of another size than the first one."""
        united = np.zeros(self.size(max_pixels), bool)
        for file in self.files:
            mask = read_mask(file, max_pixels)
            if mask.ndim == 3:
                mask = mask.any(axis=-1)
            if mask.shape != united.shape:
                raise UserError(f"{file}: {mask.shape} (height, width), but {self.files[0].name} is {united.shape}")
            united |= mask != 0
        return united.astype(np.uint8)
