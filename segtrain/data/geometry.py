"""Random scale, crop, flip and colours of one sample, drawn from its key."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

GREY = np.array([0.299, 0.587, 0.114])  # luma of ITU-R BT.601
# RGB -> YIQ; a turn of the two chroma axes is a turn of the hue
YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])


class Augment:
    """Geometry on integers, and a colour matrix for the device to apply.

    Args:
        scale: range of the factor by which the image grows before it is cropped; drawn evenly on a log axis.
        flip: probability of a horizontal flip.
        brightness: greatest shift, as a fraction of white.
        contrast: greatest change of the factor around mid-grey.
        saturation: greatest change of the factor around the pixel's own grey; colour images only.
        hue: greatest turn, as a fraction of the colour circle, up to 0.5; colour images only.

    Raises:
        ValueError: for a factor or a fraction that is out of range.
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
    ) -> None:
        low, high = scale if len(scale) == 2 else (0.0, 0.0)
        if not 0 < low <= high < math.inf:
            raise ValueError(f"augment.scale={list(scale)}: expected two factors above 0, the smaller one first")
        shares = {"flip": flip, "brightness": brightness, "contrast": contrast, "saturation": saturation, "hue": hue}
        for name, share in shares.items():
            if not 0 <= share <= (most := 0.5 if name == "hue" else 1):
                raise ValueError(f"augment.{name}={share}: expected 0 to {most}")
        self.scale, self.flip = (low, high), flip
        self.brightness, self.contrast, self.saturation, self.hue = brightness, contrast, saturation, hue

    def geometry(
        self, image: Tensor, mask: Tensor, *, crop: Sequence[int], void: int, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Crops of size `crop` of image (C, H, W) and mask (H, W), which stay aligned.

        Where the scaled image is smaller than the crop it lies at a random place on black, with `void` in the mask.
        """
        scale = math.exp(rng.uniform(math.log(self.scale[0]), math.log(self.scale[1])))
        window = [max(1, round(size / scale)) for size in crop]
        corner = [_place(rng, size, inside) for size, inside in zip(image.shape[-2:], window, strict=True)]
        image = resized_window(image, corner, window, crop, InterpolationMode.BILINEAR, fill=0)
        mask = resized_window(mask[None], corner, window, crop, InterpolationMode.NEAREST_EXACT, fill=void)[0]
        if rng.random() < self.flip:
            image, mask = image.flip(-1), mask.flip(-1)
        return image, mask

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
            saturate = saturation * np.eye(3) + (1 - saturation) * GREY[None]
            matrix = saturate @ np.linalg.inv(YIQ) @ turn @ YIQ
        shift = np.full((channels, 1), 0.5 - 0.5 * contrast + brightness)
        return torch.from_numpy(np.hstack([contrast * matrix, shift]).astype(np.float32))


def _place(rng: np.random.Generator, size: int, window: int) -> int:
    """First pixel of a window along one axis; negative where the window is larger than the image."""
    slack = size - window
    return int(rng.integers(0, slack + 1)) if slack >= 0 else -int(rng.integers(0, -slack + 1))


def resized_window(
    image: Tensor,
    corner: Sequence[int],
    window: Sequence[int],
    size: Sequence[int],
    interpolation: InterpolationMode,
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
        part = F.resize(part, shape, interpolation=interpolation, antialias=True)
    if shape == list(size):
        return part.contiguous()
    canvas = image.new_full((image.shape[0], *size), fill)
    canvas[:, target[0], target[1]] = part
    return canvas
