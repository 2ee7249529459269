"""Colours, sharpness and noise of an image, as another light and another camera would have made them."""

import math

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from ..files.pictures import Span
from .window import rounded, white

# RGB -> YIQ: luma by ITU-R BT.601, and two chroma axes, whose turn is a turn of the hue
YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
LUMA = YIQ[0]
SHARP = 0.15  # pixels: a normal distribution this narrow gives a pixel's neighbours 1e-10 of its weight


def warmed(temperature: float) -> np.ndarray:
    """(3, 3): light that is warmer by this, or colder below 0: so much more red and less blue, in which white keeps its
    luma. One factor for each channel, as in von Kries' model of adaptation."""
    gains = np.array([1 + temperature, 1, 1 - temperature])
    return np.diag(gains / (LUMA @ gains))


def recolored(saturation: float, angle: float) -> np.ndarray:
    """(3, 3): every hue turned by an angle, and every colour then at so many times its distance from its own grey."""
    turn = np.eye(3)
    turn[1:, 1:] = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    saturate = saturation * np.eye(3) + (1 - saturation) * LUMA
    return saturate @ np.linalg.inv(YIQ) @ turn @ YIQ


def within(color: np.ndarray, span: Span) -> np.ndarray:
    """An affine map (C, C+1) of colours in 0..1, as one of colours in `span`: x becomes low + width * map((x - low) /
    width)."""
    low, width = np.array(span.low), span.width
    matrix = width[:, None] * color[:, :-1] / width
    return np.column_stack([matrix, low + width * color[:, -1] - matrix @ low])


def photographed(
    image: Tensor, *, blur: float, noise: float, rng: np.random.Generator, span: Span | None = None
) -> Tensor:
    """An image (C, H, W) out of focus, and with noise: both are computed with fractions, and rounded once.

    Args:
        blur: Standard deviation of a normal distribution, in pixels.
        noise: Standard deviation of what is added to each number, as a fraction of what the images fill.
        span: The values that they fill, if these are not 0..1.
    """
    numbers = image.float()
    if blur > SHARP:
        # the image is mirrored at its edges, which takes one pixel more than the kernel reaches
        reach = [min(math.ceil(3 * blur), side - 1) for side in (image.shape[2], image.shape[1])]
        numbers = F.gaussian_blur(numbers, [2 * pixels + 1 for pixels in reach], [blur, blur])
    if noise:
        # torchvision's gaussian_noise takes neither 16 bits nor a generator
        width = 1.0 if span is None else span.width[:, None, None]
        drawn = rng.standard_normal(image.shape, dtype=np.float32) * (noise * white(image.dtype) * width)
        numbers = numbers + torch.from_numpy(drawn.astype(np.float32))
    return rounded(numbers, image.dtype)
