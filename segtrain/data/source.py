"""The pairs of one split, and how they are read."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from .classes import ClassTable
from .images import MAX_PIXELS, displayed_size, read_image, read_mask


class Pair(NamedTuple):
    """One image with its mask; `name` is the path below the image folder without its suffix."""

    name: str
    image: Path
    mask: Path


class FolderSource:
    """The pairs of one split, read one at a time; none of more than `max_pixels` is decoded."""

    def __init__(self, pairs: Sequence[Pair], classes: ClassTable, max_pixels: int = MAX_PIXELS) -> None:
        self.pairs, self.classes, self.max_pixels = pairs, classes, max_pixels
        self.names = [pair.name for pair in pairs]
        self.sizes = [checked_size(pair, max_pixels) for pair in pairs]  # headers alone are read

    def __len__(self) -> int:
        return len(self.pairs)

    def read(self, index: int) -> tuple[Tensor, Tensor]:
        """Image (3, H, W) uint8 and mask (H, W) of class indices.

        Raises:
            ValueError: naming the file, for damaged files and for values that no class owns.
        """
        return read_image(self.pairs[index].image, self.max_pixels), self.read_mask(index)

    def read_mask(self, index: int) -> Tensor:
        path = self.pairs[index].mask
        stored = read_mask(path, self.max_pixels)
        try:
            return torch.from_numpy(self.classes.encode(stored))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None


def checked_size(pair: Pair, max_pixels: int) -> tuple[int, int]:
    """(height, width) of the image, which its mask must have too."""
    image, mask = displayed_size(pair.image, max_pixels), displayed_size(pair.mask, max_pixels)
    if image != mask:
        raise ValueError(
            f"{pair.mask} is {mask[1]} x {mask[0]} pixels, but its image {pair.image} is {image[1]} x {image[0]}: "
            "a mask needs the size of its image"
        )
    return image
