"""The mask of an image in several files, one for each object."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import UserError
from .images import displayed_size, read_mask


class UnitedMask:
    """1 where any of the masks in a folder is not 0, and 0 elsewhere; `path` and `name` are the folder."""

    def __init__(self, path: Path, files: Sequence[Path]) -> None:
        self.path, self.name, self.files = path, str(path), files

    def __str__(self) -> str:
        return self.name

    def size(self) -> tuple[int, int]:
        """(height, width) of the first file."""
        return displayed_size(self.files[0])

    def read(self) -> np.ndarray:
        """(H, W) uint8.

        Raises:
            UserError: naming the file that is damaged, or of another size than the first one.
        """
        united = np.zeros(self.size(), bool)
        for file in self.files:
            stored = read_mask(file)
            one = stored.any(axis=-1) if stored.ndim == 3 else stored != 0
            if one.shape != united.shape:
                raise UserError(f"{file}: {one.shape} (height, width), but {self.files[0].name} is {united.shape}")
            united |= one
        return united.astype(np.uint8)
