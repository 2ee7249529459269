"""The mask of an image in several files, one for each class."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...errors import UserError
from ...text import enumerated
from ..color import Coding, hex_of
from .images import displayed_size
from .masks import codes_of, read_mask

DARK, MIDDLE, BRIGHT = 64, 128, 192  # what JPEG and soft edges leave of black and white, and the cut between them
THIN = 0.15  # share of flat places among greys from which these are no edges and no noise
FEW = 5  # values up to which none of them comes from noise or edges
NEARLY_GREY = 24  # between the channels of a pixel, which JPEG does not keep equal
SHOWN = 5  # values in a message


class Painted(NamedTuple):
    """A mask that was put together, and the pixels in it that several classes claimed."""

    values: np.ndarray  # (H, W) uint8, or uint16 for values above 255
    overlap: int


@dataclass(frozen=True)
class ClassMask:
    """The masks of the classes as one: the value of a class where its file is not 0, and 0 elsewhere. Where classes
    overlap, the one with the smaller area in this image is on top.

    Attributes:
        path: The path that all files share, with * where each has the name of its class.
        files: The files with the value of their class; a class may have several.
    """

    path: Path
    files: tuple[tuple[Path, int], ...]

    @property
    def name(self) -> str:
        return str(self.path)

    def size(self, max_pixels: int) -> tuple[int, int]:
        """(height, width) of the first file."""
        return displayed_size(self.files[0][0], max_pixels)

    def read(self, max_pixels: int, coding: Coding) -> np.ndarray:
        """(H, W) uint8, or uint16 for values above 255; UserError as in `painted`."""
        return self.painted(max_pixels).values

    def painted(self, max_pixels: int) -> Painted:
        """UserError names a file that is damaged, too large, of another size than the first one, or no mask of one
        class."""
        height, width = self.size(max_pixels)
        greatest = max(value for _, value in self.files)
        values = np.zeros((height, width), np.uint8 if greatest < 256 else np.uint16)
        areas = np.full(greatest + 1, height * width + 1, np.int64)  # of the classes; 0 is below all
        overlap = np.zeros((height, width), bool)
        for value, files in self.by_value().items():
            region = self.region(files, max_pixels)
            if not value:  # the file of the background
                continue
            areas[value] = region.sum()
            overlap |= region & (values > 0)
            values[region & (areas[value] < areas[values])] = value
        return Painted(values, int(overlap.sum()))

    def by_value(self) -> dict[int, list[Path]]:
        files: dict[int, list[Path]] = defaultdict(list)
        for file, value in self.files:
            files[value].append(file)
        return files

    def region(self, files: list[Path], max_pixels: int) -> np.ndarray:
        """(H, W) bool: the pixels of a class, which any of its files marks."""
        height, width = self.size(max_pixels)
        region = np.zeros((height, width), bool)
        for file in files:
            marked = marked_pixels(file, max_pixels)
            if marked.shape != region.shape:
                first = f"{self.files[0][0].name} is {width} x {height}"
                raise UserError(f"{file}: {marked.shape[1]} x {marked.shape[0]} pixels, but {first}")
            region |= marked
        return region


def marked_pixels(file: Path, max_pixels: int) -> np.ndarray:
    """(H, W) bool: what is not 0, or not black, in the mask of one class; from 128 on where JPEG or soft edges added
    greys. UserError for a file that holds several values or colours, so that it is no mask of one class."""
    mask = read_mask(file, max_pixels)
    codes = codes_of(mask)
    numbers = np.unique(codes)
    if np.count_nonzero(numbers) <= 1:
        return codes != 0
    grey = grey_of(mask)
    if len(numbers) > FEW and grey is not None and is_two_sided(grey):
        return grey >= MIDDLE
    shown = enumerated([hex_of(code) if mask.ndim == 3 else str(code) for code in numbers.tolist()], SHOWN)
    raise UserError(f"{file}: it holds {shown}: a mask of one class holds 0 and one other value")


def grey_of(mask: np.ndarray) -> np.ndarray | None:
    """The greys (H, W) of values or colours; nothing for colours that are no grey."""
    if mask.ndim == 2:
        return mask
    spread = mask.max(2) - mask.min(2)
    return mask.max(2) if spread.max(initial=0) <= NEARLY_GREY else None


def is_two_sided(grey: np.ndarray) -> bool:
    """Whether greys (H, W) are black and white with noise or soft edges: there is hardly a flat place between both."""
    between = (grey >= DARK) & (grey < BRIGHT)
    here = grey[:-1, :-1]
    flat = between[:-1, :-1] & (here == grey[1:, :-1]) & (here == grey[:-1, 1:])
    return BRIGHT <= grey.max() < 256 and grey.min() < DARK and flat.sum() <= THIN * between.sum()
