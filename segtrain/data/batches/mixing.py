"""What of another training image comes into a crop: a rectangle, or the pixels of a rare class.

CutMix: Yun et al. 2019, https://arxiv.org/abs/1905.04899; the rectangle as French et al. 2020 draw it for segmentation,
https://arxiv.org/abs/1906.01916: half of the crop, of any proportions, inside the crop. Copy-paste: Ghiasi et al. 2021,
https://arxiv.org/abs/2012.07177; since masks of classes do not tell objects apart, all pixels of one class are pasted,
where they lie in the other crop.
"""

import math

import numpy as np
import torch
from torch import Tensor

BOX = 0.5  # of the crop's pixels

Crop = tuple[Tensor, Tensor]  # image (C, h, w) and mask (h, w)


def overlaid(crop: Crop, other: Crop, where: Tensor) -> Crop:
    """A crop with the pixels of another one of the same size, `where` (h, w) says so; neither is changed."""
    image, mask = (torch.where(where, new, old) for old, new in zip(crop, other, strict=True))
    return image, mask


def random_box(size: tuple[int, ...], rng: np.random.Generator) -> Tensor:
    """(h, w) bool: a rectangle of half the area, whose proportions and place are drawn."""
    height = math.exp(rng.uniform(math.log(BOX), 0))
    box = torch.zeros(size, dtype=torch.bool)
    places = []
    for side, share in zip(size, (height, BOX / height), strict=True):
        length = round(share * side)
        start = int(rng.integers(side - length + 1))
        places.append(slice(start, start + length))
    box[places[0], places[1]] = True
    return box


def below_average(rarity: np.ndarray) -> np.ndarray:
    """The rarity (classes,) of classes that fill fewer pixels than an average one; 0 for the others."""
    present = rarity[rarity > 0]
    average = (1 / present).sum() / max(len(present), 1)
    return np.where(rarity * average > 1, rarity, 0)


def rare_class(rng: np.random.Generator, mask: Tensor, rarity: np.ndarray) -> int | None:
    """One of the classes in a mask, drawn by its rarity; `None` where there is none, or none with a rarity above 0."""
    present = np.flatnonzero(np.bincount(mask.numpy().ravel(), minlength=len(rarity))[: len(rarity)])
    weights = rarity[present]
    if not weights.sum() > 0:
        return None
    return int(rng.choice(present, p=weights / weights.sum()))


def rare_pixel(rng: np.random.Generator, mask: Tensor, rarity: np.ndarray) -> tuple[int, ...] | None:
    """(row, column) of a pixel of a class that is drawn by its rarity; `None` where there is none."""
    chosen = rare_class(rng, mask, rarity)
    if chosen is None:
        return None
    pixels = np.flatnonzero(mask.numpy() == chosen)
    return tuple(int(i) for i in np.unravel_index(pixels[rng.integers(len(pixels))], mask.shape))
