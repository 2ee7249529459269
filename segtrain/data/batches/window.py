"""A rectangle of an image becomes a crop, with the mask that belongs to it."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F


class Window(NamedTuple):
    """A rectangle that becomes a crop: it is resized, then turned, then flipped."""

    corner: tuple[int, ...]  # first row and column, negative where it reaches beyond the image
    size: tuple[int, ...]  # height and width
    flip: bool  # whether the crop is flipped left to right
    flip_vertical: bool = False  # whether it is flipped upside down
    turn: int = 0  # counterclockwise quarter turns of it, 0 to 3
    shrink: int = 1  # how many times smaller than the mask the image is that `cut` is given

    @property
    def mirrored(self) -> bool:
        """Whether the crop shows a mirror image, in which the left of something looks like its right.

        A turned image is none, and both flips together are a half turn; each of them alone is one.
        """
        return self.flip != self.flip_vertical

    def snapped(self, crop: Sequence[int], limit: Sequence[int]) -> "Window":
        """This window for an image of (height, width) `limit` that is decoded at 1/2, 1/4 or 1/8 of its size.

        That is where the image would be made smaller at least as much; then corner and size are moved to whole blocks,
        so that image and mask are cut exactly alike.
        """
        least = min(side / out for side, out in zip(self.size, unturned(crop, self.turn), strict=True))
        shrink = next((s for s in (8, 4, 2) if s <= least and 2 * s <= min(limit)), 1)
        corner = tuple(c // shrink * shrink for c in self.corner)
        size = tuple(side // shrink * shrink for side in self.size)
        return self._replace(corner=corner, size=size, shrink=shrink)

    def cut(
        self, image: Tensor, mask: Tensor, *, crop: Sequence[int], void: int, low: Sequence[float] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Crops of size `crop` of image (C, H / shrink, W / shrink) and mask (H, W), which stay aligned.

        What lies beyond the image is black, or what is as `low` in its data, with `void` in the mask.
        """
        height, width = (side * self.shrink for side in image.shape[-2:])  # without blocks that are not whole
        corner, size = ([place // self.shrink for place in places] for places in (self.corner, self.size))
        crop, fill = unturned(crop, self.turn), 0 if low is None else stored_as(low, image)
        image = resized_window(image, corner, size, crop, smooth, fill=fill)
        mask = mask[None, :height, :width]
        mask = resized_window(mask, self.corner, self.size, crop, nearest, fill=void)[0]
        return self.oriented(image), self.oriented(mask)

    def oriented(self, picture: Tensor) -> Tensor:
        """An image or a mask (..., H, W), turned and flipped."""
        if self.turn:
            picture = torch.rot90(picture, self.turn, (-2, -1)).contiguous()
        axes = [axis for axis, flipped in ((-2, self.flip_vertical), (-1, self.flip)) if flipped]
        return picture.flip(axes) if axes else picture


def unturned(crop: Sequence[int], turn: int) -> Sequence[int]:
    """Height and width of a crop before so many quarter turns."""
    return crop[::-1] if turn % 2 else crop


def stored_as(values: Sequence[float], image: Tensor) -> Tensor:
    """Values (C,), fractions of white where there is one, as a pixel (C, 1, 1) of the image."""
    numbers = torch.tensor(values, dtype=torch.float64)[:, None, None]
    return rounded(numbers * white(image.dtype), image.dtype)


def white(kind: torch.dtype) -> int:
    """The number that is white; 1 for numbers with fractions."""
    return 1 if kind.is_floating_point else torch.iinfo(kind).max


def rounded(numbers: Tensor, kind: torch.dtype) -> Tensor:
    """Numbers with fractions as those of an image of this kind: whole ones are the nearest from 0 to white."""
    return numbers.to(kind) if kind.is_floating_point else numbers.round().clamp(0, white(kind)).to(kind)


def smooth(image: Tensor, size: list[int]) -> Tensor:
    """An image (C, H, W) of another size, bilinear; made smaller, each pixel is a mean of all those that it covers.

    torch 2.15 has a fast kernel for uint8; where the new width is 1, all its kernels are wrong or fail.
    """
    if image.dtype == torch.uint8 and min(*image.shape[-2:], *size) > 1:
        return F.resize(image, size, interpolation=InterpolationMode.BILINEAR, antialias=True)
    planes = (Image.fromarray(channel.numpy().astype(np.float32)) for channel in image)
    resized = [np.asarray(plane.resize((size[1], size[0]), Image.Resampling.BILINEAR)) for plane in planes]
    return rounded(torch.from_numpy(np.stack(resized)), image.dtype)


def nearest(mask: Tensor, size: list[int]) -> Tensor:
    """A mask (1, H, W) of another size: every value is that of the pixel below the middle of the new one."""
    return F.resize(mask, size, interpolation=InterpolationMode.NEAREST_EXACT)


def resized_window(
    image: Tensor,
    corner: Sequence[int],
    window: Sequence[int],
    size: Sequence[int],
    resize: Callable[[Tensor, list[int]], Tensor],
    fill: int | Tensor,
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
    canvas = image.new_empty((image.shape[0], *size))
    canvas[:] = fill
    canvas[:, target[0], target[1]] = part
    return canvas
