"""Generated images of overlapping shapes: data that need no files, and are hard enough that IoU says something."""

import colorsys
import math
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError
from .batches.augment import Augment
from .batches.cache import Cache, is_small
from .batches.module import DataModule
from .classes import ClassTable
from .files.images import Picture
from .files.pictures import Kind

VOID = 255
MAX_IMAGES, MAX_PIXELS = 1_000_000, 1 << 24  # of a split, of an image: what is drawn is many times as large in memory
SHAPES = 3, 7  # fewest and most in an image
REACH = 1.25  # radii from the centre to the farthest point of any shape (a corner of the triangle or the square)
HUE_SPREAD = 0.04  # standard deviation; the hues of neighbouring kinds are 0.2 apart
BORDER = 1.0  # pixels on either side of an edge that are void, as in Pascal VOC


def disk(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.hypot(x, y) - 1


def square(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.maximum(np.abs(x), np.abs(y)) - 0.85


def triangle(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.maximum(np.abs(x) * 0.866 + y * 0.5, -y) - 0.6


def ring(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.abs(np.hypot(x, y) - 0.75) - 0.25


def cross(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    x, y = np.abs(x), np.abs(y)
    return np.minimum(np.maximum(x - 1, y - 0.33), np.maximum(y - 1, x - 0.33))


# Signed distance from the edge in units of the radius, negative inside (exact but near corners).
DISTANCES: tuple[Callable[[np.ndarray, np.ndarray], np.ndarray], ...] = (disk, square, triangle, ring, cross)
CLASSES = {
    "ignore": VOID,
    "classes": [
        {"name": "background", "color": [60, 60, 60]},
        {"name": "disk", "color": [230, 60, 60]},
        {"name": "square", "color": [70, 130, 230]},
        {"name": "triangle", "color": [250, 200, 50]},
        {"name": "ring", "color": [90, 200, 110]},
        {"name": "cross", "color": [190, 100, 220]},
    ],
}


class ShapesSource:
    """`length` images of `size` (height, width), each a pure function of (variant, split, index).

    Attributes:
        cache: What was drawn before, if it is kept.
    """

    def __init__(self, split: int, length: int, size: Sequence[int], variant: int) -> None:
        self.split, self.length, self.size, self.variant = split, length, tuple(size), variant
        self.names = [f"{variant}-{split}-{index:05d}" for index in range(length)]
        self.sizes = [(size[0], size[1])] * length
        self.stored: tuple[Kind, int, int] = ("unsigned", 8, 3)
        self.cache: Cache | None = None

    def __len__(self) -> int:
        return self.length

    def read(self, index: int, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """An image is drawn with its mask, also where that is known."""
        kept = self.cache and self.cache.get(index)
        if kept:
            return kept
        rng = np.random.default_rng([self.variant, self.split, index])
        pixels, drawn = draw(rng, *self.size)
        image, mask = torch.from_numpy(pixels).permute(2, 0, 1), torch.from_numpy(drawn)
        if self.cache:
            self.cache.put(index, image, mask)
        return image, mask

    def keep(self) -> None:
        """Keep what is drawn from now on."""
        self.cache = Cache(self.sizes, 3, torch.uint8, torch.uint8)

    @property
    def decoded_bytes(self) -> int:
        """What all images and masks take."""
        return len(self) * self.size[0] * self.size[1] * (3 + 1)

    def read_in_parts(self, index: int) -> tuple[Tensor, Tensor]:
        return self.read(index)

    def read_mask(self, index: int) -> Tensor:
        return self.read(index)[1]

    def read_picture(self, index: int) -> Picture:
        return Picture(self.read(index)[0])

    def shrinks(self, index: int) -> bool:
        return False

    def read_small(self, index: int, shrink: int) -> Tensor:
        raise NotImplementedError(f"{self.names[index]} is drawn at its own size")


class ShapesData(DataModule):
    """Generated shapes: disk, square, triangle, ring and cross on a background.

    The images have `size` (height, width), up to 4096 x 4096 pixels; each split has up to a million of them, and other
    ones for another `variant`.
    """

    def __init__(
        self,
        *,
        size: Sequence[int],
        train: int,
        val: int,
        test: int,
        variant: int,
        crop: Sequence[int],
        batch_size: int | Literal["auto"],
        workers: int | Literal["auto"],
        augment: Augment | None = None,
        seed: int = 0,
    ) -> None:
        if len(size) != 2 or min(size) < 1:
            raise UserError(f"data.size={list(size)[:3]}: expected height and width in pixels, such as [128, 128]")
        if size[0] * size[1] > MAX_PIXELS:
            raise UserError(f"data.size={list(size)}: up to {MAX_PIXELS} pixels are drawn, such as [4096, 4096]")
        lengths = {"train": train, "val": val, "test": test}
        for split, length in lengths.items():
            if not 1 <= length <= MAX_IMAGES:
                raise UserError(f"data.{split}={length}: expected 1 to {MAX_IMAGES} images")
        if variant < 0:
            raise UserError(f"data.variant={variant}: expected 0 or more")
        self.lengths, self.size, self.variant = lengths, size, variant
        table = ClassTable.from_spec(CLASSES)
        super().__init__(table, crop=crop, batch_size=batch_size, workers=workers, augment=augment, seed=seed)

    def open_splits(self) -> dict[str, ShapesSource]:
        """Train and val, which are read again and again, are drawn once where they take up little memory."""
        sources = {}
        for number, (split, length) in enumerate(self.lengths.items()):
            sources[split] = ShapesSource(number, length, self.size, self.variant)
        again = [sources["train"], sources["val"]]
        if is_small(self.copies * sum(source.decoded_bytes for source in again)):
            for source in again:
                source.keep()
        return sources


def draw(rng: np.random.Generator, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Image (H, W, 3) and mask (H, W), uint8: coloured shapes over one another on a greyish ground, under noise.

    Each kind has its typical hue, so that a short training gets somewhere; overlaps, thin pieces, stripes, light and
    noise are what is left to learn.
    """
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    image = texture(rng, rng.uniform(60, 200) + rng.uniform(-20, 20, 3), rows, columns)
    mask = np.zeros((height, width), np.uint8)
    for _ in range(rng.integers(SHAPES[0], SHAPES[1] + 1)):
        draw_shape(rng, image, mask)
    light = rng.uniform(0.6, 1.2) + rng.uniform(-0.3, 0.3) * (rows / height - 0.5)
    noise = rng.uniform(2, 10) * rng.standard_normal(image.shape, np.float32)
    return (image * light[..., None] + noise).clip(0, 255).astype(np.uint8), mask


def draw_shape(rng: np.random.Generator, image: np.ndarray, mask: np.ndarray) -> None:
    """One shape of random kind, place, size, direction and texture, in place."""
    height, width = mask.shape
    kind = int(rng.integers(len(DISTANCES)))
    radius = rng.uniform(0.09, 0.24) * min(height, width)
    row, column, angle = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(0, 2 * np.pi)
    reach = math.ceil(REACH * radius + BORDER + 1)
    top, left = max(int(row) - reach, 0), max(int(column) - reach, 0)
    box = slice(top, int(row) + reach + 1), slice(left, int(column) + reach + 1)
    shape = mask[box].shape
    rows, columns = np.mgrid[top : top + shape[0], left : left + shape[1]].astype(np.float32)
    x, y = columns - np.float32(column), rows - np.float32(row)
    cos, sin = np.float32(np.cos(angle) / radius), np.float32(np.sin(angle) / radius)
    distance = np.float32(radius) * DISTANCES[kind](cos * x - sin * y, sin * x + cos * y)
    cover = np.clip(0.5 - distance, 0, 1)[..., None]  # anti-aliased, so that the edge gives nothing away
    hue = (kind / len(DISTANCES) + rng.normal(0, HUE_SPREAD)) % 1
    color = 255 * np.array(colorsys.hsv_to_rgb(hue, rng.uniform(0.4, 1), rng.uniform(0.35, 1)))
    image[box] += cover * (texture(rng, color, rows, columns) - image[box])
    mask[box][distance < BORDER] = VOID
    mask[box][distance < -BORDER] = kind + 1


def texture(rng: np.random.Generator, color: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """(H, W, 3) float32: a colour (3,) with stripes of random direction, width and strength."""
    strength = rng.normal(0, 18, 3).astype(np.float32)
    angle, period, phase = rng.uniform(0, np.pi), rng.uniform(4, 24), rng.uniform(0, 2 * np.pi)
    frequency = 2 * np.pi / period
    across = np.float32(frequency * np.cos(angle)) * columns + np.float32(frequency * np.sin(angle)) * rows
    return color.astype(np.float32) + np.sin(across + np.float32(phase))[..., None] * strength
