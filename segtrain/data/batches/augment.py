"""Random scale, crop, flip and colours of one sample, drawn from its key."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

from ...errors import UserError
from .sides import Pairs

WHOLE = 512 * 512  # pixels of images that are taken whole, rather than in crops
CROP = 384  # of larger ones
# RGB -> YIQ: luma by ITU-R BT.601, and two chroma axes, whose turn is a turn of the hue
YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])


def fitting_crop(sizes: Sequence[tuple[int, int]]) -> list[int]:
    """Height and width that nearly all images of these sizes fill: all of them where images are small, else 384, in
    steps of 8."""
    sides = [int(np.percentile(side, 10)) for side in zip(*sizes, strict=True)] or [CROP, CROP]
    if sides[0] * sides[1] > WHOLE:
        sides = [min(side, CROP) for side in sides]
    return [side // 8 * 8 or side for side in sides]


class Augment:
    """Geometry on integers, and a colour matrix for the device to apply.

    Args:
        scale: Range of the factor by which the image grows before it is cropped; drawn evenly on a log axis.
        flip: Probability of a horizontal flip.
        brightness: Greatest shift, as a fraction of white.
        contrast: Greatest change of the factor around mid-grey.
        saturation: Greatest change of the factor around the pixel's own grey; colour images only.
        hue: Greatest turn, as a fraction of the colour circle, up to 0.5; colour images only.
        rare: Probability of a crop around a pixel of a rare class: of the classes in the mask one is drawn, by the
            inverse of its frequency in all masks, and of its pixels one.
        flip_pairs: Pairs of classes, by name or index, that a flip makes of one another, as it does a left hand and a
            right one; `None` for those whose names say so.
    """

    def __init__(
        self,
        *,
        scale: Sequence[float],
        flip: float,
        brightness: float,
        contrast: float,
        saturation: float,
        hue: float,
        rare: float = 0.0,
        flip_pairs: Pairs | None = (),
    ) -> None:
        low, high = scale if len(scale) == 2 else (0.0, 0.0)
        if not 0 < low <= high < math.inf:
            raise UserError(f"augment.scale={list(scale)}: expected two factors above 0, the smaller one first")
        shares = {"flip": flip, "brightness": brightness, "contrast": contrast, "saturation": saturation, "hue": hue}
        shares["rare"] = rare
        for name, share in shares.items():
            most = 0.5 if name == "hue" else 1
            if not 0 <= share <= most:
                raise UserError(f"augment.{name}={share}: expected 0 to {most}")
        self.scale, self.flip, self.rare, self.flip_pairs = (low, high), flip, rare, flip_pairs
        self.brightness, self.contrast, self.saturation, self.hue = brightness, contrast, saturation, hue

    def window(
        self,
        size: Sequence[int],
        *,
        crop: Sequence[int],
        rng: np.random.Generator,
        mask: Callable[[], Tensor] | None = None,
        rarity: np.ndarray | None = None,
    ) -> "Window":
        """Where to crop an image of `size` (height, width); one that is smaller lies at a random place in the window.

        For crops around a rare class, `mask` reads the mask (H, W), and `rarity` (classes,) is what to draw one by.
        """
        scale = math.exp(rng.uniform(math.log(self.scale[0]), math.log(self.scale[1])))
        sides = [max(1, round(side / scale)) for side in crop]
        corner = [_place(rng, side, inside) for side, inside in zip(size, sides, strict=True)]
        flip = bool(rng.random() < self.flip)
        if self.rare and mask is not None and rarity is not None and rng.random() < self.rare:
            pixel = _rare_pixel(rng, mask(), rarity)
            if pixel is not None:
                corner = [_around(*axis) for axis in zip(pixel, sides, size, corner, strict=True)]
        return Window(tuple(corner), tuple(sides), flip)

    def geometry(
        self, image: Tensor, mask: Tensor, *, crop: Sequence[int], void: int, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Crops of size `crop` of image (C, H, W) and mask (H, W), which stay aligned."""
        return self.window(mask.shape, crop=crop, rng=rng).cut(image, mask, crop=crop, void=void)

    def color(self, channels: int, rng: np.random.Generator) -> Tensor:
        """(C, C+1) float32: the affine map of colours in 0..1, its last column the shift."""
        brightness = rng.uniform(-self.brightness, self.brightness)
        contrast = rng.uniform(1 - self.contrast, 1 + self.contrast)
        saturation = rng.uniform(1 - self.saturation, 1 + self.saturation)
        angle = 2 * math.pi * rng.uniform(-self.hue, self.hue)
        matrix = np.eye(channels)
        if channels == 3:
            turn = np.eye(3)
            turn[1:, 1:] = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
            saturate = saturation * np.eye(3) + (1 - saturation) * YIQ[:1]
            matrix = saturate @ np.linalg.inv(YIQ) @ turn @ YIQ
        shift = np.full((channels, 1), 0.5 - 0.5 * contrast + brightness)
        return torch.from_numpy(np.hstack([contrast * matrix, shift]).astype(np.float32))


class Window(NamedTuple):
    """A rectangle that becomes a crop."""

    corner: tuple[int, ...]  # first row and column, negative where it reaches beyond the image
    size: tuple[int, ...]  # height and width
    flip: bool  # whether the crop is turned left to right
    shrink: int = 1  # how many times smaller than the mask the image is that `cut` is given

    def snapped(self, crop: Sequence[int], limit: Sequence[int]) -> "Window":
        """This window for an image of (height, width) `limit` that is decoded at 1/2, 1/4 or 1/8 of its size.

        That is where the image would be made smaller at least as much; then corner and size are moved to whole blocks,
        so that image and mask are cut exactly alike.
        """
        least = min(side / out for side, out in zip(self.size, crop, strict=True))
        shrink = next((s for s in (8, 4, 2) if s <= least and 2 * s <= min(limit)), 1)
        corner = tuple(c // shrink * shrink for c in self.corner)
        return Window(corner, tuple(side // shrink * shrink for side in self.size), self.flip, shrink)

    def cut(self, image: Tensor, mask: Tensor, *, crop: Sequence[int], void: int) -> tuple[Tensor, Tensor]:
        """Crops of size `crop` of image (C, H / shrink, W / shrink) and mask (H, W), which stay aligned.

        What lies beyond the image is black, with `void` in the mask.
        """
        height, width = (side * self.shrink for side in image.shape[-2:])  # without blocks that are not whole
        corner, size = ([place // self.shrink for place in places] for places in (self.corner, self.size))
        image = resized_window(image, corner, size, crop, smooth, fill=0)
        mask = mask[None, :height, :width]
        mask = resized_window(mask, self.corner, self.size, crop, nearest, fill=void)[0]
        return (image.flip(-1), mask.flip(-1)) if self.flip else (image, mask)


def _rare_pixel(rng: np.random.Generator, mask: Tensor, rarity: np.ndarray) -> tuple[int, ...] | None:
    """(row, column) of a pixel of a class that is drawn by its weight; `None` in a mask that is all void."""
    values = mask.numpy()
    present = np.flatnonzero(np.bincount(values.ravel(), minlength=len(rarity))[: len(rarity)])
    weights = rarity[present]
    if not weights.sum() > 0:
        return None
    chosen = rng.choice(present, p=weights / weights.sum())
    pixels = np.flatnonzero(values == chosen)
    return tuple(int(i) for i in np.unravel_index(pixels[rng.integers(len(pixels))], values.shape))


def _around(middle: int, window: int, size: int, start: int) -> int:
    """First pixel of a window around `middle`, as far as the image allows; one no smaller stays where it starts."""
    return min(max(middle - window // 2, 0), size - window) if window < size else start


def _place(rng: np.random.Generator, size: int, window: int) -> int:
    """First pixel of a window along one axis; negative where the window is larger than the image."""
    slack = size - window
    return int(rng.integers(0, slack + 1)) if slack >= 0 else -int(rng.integers(0, -slack + 1))


def smooth(image: Tensor, size: list[int]) -> Tensor:
    """An image (C, H, W) of another size, bilinear; made smaller, each pixel is a mean of all those that it covers.

    torch 2.15 has a fast kernel for uint8; where the new width is 1, all its kernels are wrong or fail.
    """
    if image.dtype == torch.uint8 and min(*image.shape[-2:], *size) > 1:
        return F.resize(image, size, interpolation=InterpolationMode.BILINEAR, antialias=True)
    planes = (Image.fromarray(channel.numpy().astype(np.float32)) for channel in image)
    resized = [np.asarray(plane.resize((size[1], size[0]), Image.Resampling.BILINEAR)) for plane in planes]
    return torch.from_numpy(np.stack(resized).round()).clamp(0, torch.iinfo(image.dtype).max).to(image.dtype)


def nearest(mask: Tensor, size: list[int]) -> Tensor:
    """A mask (1, H, W) of another size: every value is that of the pixel below the middle of the new one."""
    return F.resize(mask, size, interpolation=InterpolationMode.NEAREST_EXACT)


def resized_window(
    image: Tensor,
    corner: Sequence[int],
    window: Sequence[int],
    size: Sequence[int],
    resize: Callable[[Tensor, list[int]], Tensor],
    fill: int,
) -> Tensor:
    """The window of image (C, H, W) at `corner`, resized to `size`; what lies beyond the image becomes `fill`.

    Only pixels inside the image are resized, so that no fill is mixed into them.
    """
    inside, target = [], []
    for start, length, limit, out in zip(corner, window, image.shape[-2:], size, strict=True):
        first, last = max(start, 0), min(start + length, limit)
        inside.append(slice(first, last))
        begin = min(round((first - start) * out / length), out - 1)
        target.append(slice(begin, max(begin + 1, round((last - start) * out / length))))
    shape = [t.stop - t.start for t in target]
    part = image[:, inside[0], inside[1]]
    if list(part.shape[-2:]) != shape:
        part = resize(part, shape)
    if shape == list(size):
        return part.contiguous()
    canvas = image.new_full((image.shape[0], *size), fill)
    canvas[:, target[0], target[1]] = part
    return canvas
