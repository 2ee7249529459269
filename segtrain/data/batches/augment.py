"""Random scale, crop, flips, turns and colours of one sample, drawn from its key."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from ...errors import UserError
from ..files.pictures import Span
from .mixing import rare_pixel
from .photometry import photographed, recolored, warmed, within
from .sides import Pairs
from .window import Window, unturned

WHOLE = 512 * 512  # pixels of images that a GPU takes whole, rather than in crops
CROP = 384  # of larger ones
CROP_ON_CPU = 256  # where a step on half the pixels teaches as much (docs/experiments.md), and takes half the time
STRIDE = 32  # of most networks' coarsest feature


def fitting_crop(sizes: Sequence[tuple[int, int]]) -> list[int]:
    """Height and width that nearly all images of these sizes fill, as far as the machine computes that many pixels.

    They are multiples of a network's stride, but for tiny ones. Otherwise the network would pad each crop, so that its
    last rows and columns, which whole images of other sizes show, would never learn.
    """
    sides = [int(np.percentile(side, 10)) for side in zip(*sizes, strict=True)] or [CROP, CROP]
    if not torch.cuda.is_available():
        sides = [min(side, CROP_ON_CPU) for side in sides]
    elif sides[0] * sides[1] > WHOLE:
        sides = [min(side, CROP) for side in sides]
    return [side // STRIDE * STRIDE if side >= 2 * STRIDE else side // 8 * 8 or side for side in sides]


class Augment:
    """Geometry on integers, and a colour matrix for the device to apply.

    What a setting of 0 turns off draws nothing, so a run of a version without that setting goes on to the same bits.

    Args:
        scale: Range of the factor by which the image grows before it is cropped; drawn evenly on a log axis.
        inside: Whether only those factors are drawn at which the crop lies inside the image, so that no pixel of it is
            void for that reason. With a crop as large as the image that is 1 and above: the image is never made
            smaller. An image that no factor makes large enough is made as large as the range allows, and lies at a
            random place in the crop.
        flip: Probability of a horizontal flip.
        flip_vertical: Probability of a vertical flip.
        turns: Probability of one, two or three quarter turns, each as likely: with 0.75, four directions are. A crop
            that is higher than wide is cut out wider than high where it is turned on its side.
        brightness: Greatest shift, as a fraction of what the images fill: black to white, or a narrower range.
        contrast: Greatest change of the factor around the middle of that.
        saturation: Greatest change of the factor around the pixel's own grey; colour images only.
        hue: Greatest turn, as a fraction of the colour circle, up to 0.5; colour images only.
        temperature: Greatest share of red that warmer light adds, and of blue that it takes away; colder light does the
            opposite. Colour images only.
        blur: Greatest standard deviation, in pixels of the crop, of a normal distribution that blurs it.
        noise: Greatest standard deviation of normal noise, as a fraction of what the images fill.
        rare: Probability of a crop around a pixel of a rare class: of the classes in the mask one is drawn, by the
            inverse of its frequency in all masks, and of its pixels one.
        paste: Probability that pixels of a rare class are pasted, with their labels, out of a crop of another image
            around such a pixel: all those of the class in that crop, where they lie in it. Rare are classes that fill
            fewer pixels of the masks than an average one; of an image without any, nothing is pasted.
        cutmix: Probability that a rectangle of half the area comes from a crop of another image.
        flip_pairs: Pairs of classes, by name or index, that a flip makes of one another, as it does a left hand and a
            right one; `None` for those whose names say so. A vertical flip does too, for it is a horizontal one and a
            half turn; turns alone, and so both flips together, leave a left hand a left hand.
    """

    def __init__(
        self,
        *,
        scale: Sequence[float],
        inside: bool = False,
        flip: float,
        flip_vertical: float = 0.0,
        turns: float = 0.0,
        brightness: float,
        contrast: float,
        saturation: float,
        hue: float,
        temperature: float = 0.0,
        blur: float = 0.0,
        noise: float = 0.0,
        rare: float = 0.0,
        paste: float = 0.0,
        cutmix: float = 0.0,
        flip_pairs: Pairs | None = (),
    ) -> None:
        low, high = scale if len(scale) == 2 else (0.0, 0.0)
        if not 0 < low <= high < math.inf:
            raise UserError(f"augment.scale={list(scale)}: expected two factors above 0, the smaller one first")
        refuse_outside(1, flip=flip, flip_vertical=flip_vertical, turns=turns)
        refuse_outside(1, brightness=brightness, contrast=contrast, saturation=saturation, temperature=temperature)
        refuse_outside(1, noise=noise, rare=rare, paste=paste, cutmix=cutmix)
        refuse_outside(0.5, hue=hue)
        if not 0 <= blur < math.inf:
            raise UserError(f"augment.blur={blur}: expected pixels, 0 or more")
        self.scale, self.inside = (low, high), inside
        self.flip, self.flip_vertical, self.turns, self.flip_pairs = flip, flip_vertical, turns, flip_pairs
        self.brightness, self.contrast, self.saturation, self.hue = brightness, contrast, saturation, hue
        self.temperature, self.blur, self.noise = temperature, blur, noise
        self.rare, self.paste, self.cutmix = rare, paste, cutmix

    def window(
        self,
        size: Sequence[int],
        *,
        crop: Sequence[int],
        rng: np.random.Generator,
        mask: Callable[[], Tensor] | None = None,
        rarity: np.ndarray | None = None,
        rare: float | None = None,
    ) -> Window:
        """Where to crop an image of `size` (height, width); one that is smaller lies at a random place in the window.

        For crops around a rare class, `mask` reads the mask (H, W), and `rarity` (classes,) is what to draw one by;
        `rare` is the probability of such a crop, where it is another than the augmentation's own.
        """
        turn = int(rng.integers(1, 4)) if happens(self.turns, rng) else 0
        crop = unturned(crop, turn)
        scale = self._scale(size, crop, rng)
        sides = [max(1, round(side / scale)) for side in crop]
        corner = [_place(rng, side, inside) for side, inside in zip(size, sides, strict=True)]
        flip = bool(rng.random() < self.flip)
        flip_vertical = happens(self.flip_vertical, rng)
        rare = self.rare if rare is None else rare
        if mask is not None and rarity is not None and happens(rare, rng):
            pixel = rare_pixel(rng, mask(), rarity)
            if pixel is not None:
                corner = [_around(*axis) for axis in zip(pixel, sides, size, corner, strict=True)]
        return Window(tuple(corner), tuple(sides), flip, flip_vertical, turn)

    def _scale(self, size: Sequence[int], crop: Sequence[int], rng: np.random.Generator) -> float:
        """A factor at which the crop lies inside an image of this size, where that is asked for and possible."""
        low, high = self.scale
        if self.inside:
            least = max(side / length for side, length in zip(crop, size, strict=True))
            low = min(max(low, least), high)
        factor = math.exp(rng.uniform(math.log(low), math.log(high)))
        return min(max(factor, low), high)  # a logarithm and back may be off by a last digit

    def geometry(
        self, image: Tensor, mask: Tensor, *, crop: Sequence[int], void: int, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Crops of size `crop` of image (C, H, W) and mask (H, W), which stay aligned."""
        return self.window(mask.shape, crop=crop, rng=rng).cut(image, mask, crop=crop, void=void)

    def color(self, channels: int, rng: np.random.Generator, span: Span | None = None) -> Tensor:
        """(C, C+1) float32: an affine map of colours, its last column the shift.

        `span` has the values that the images fill, if these are not 0..1.
        """
        brightness = rng.uniform(-self.brightness, self.brightness)
        contrast = rng.uniform(1 - self.contrast, 1 + self.contrast)
        saturation = rng.uniform(1 - self.saturation, 1 + self.saturation)
        angle = 2 * math.pi * rng.uniform(-self.hue, self.hue)
        matrix = recolored(saturation, angle) if channels == 3 else np.eye(channels)
        if self.temperature and channels == 3:
            matrix = matrix @ warmed(rng.uniform(-self.temperature, self.temperature))
        shift = np.full((channels, 1), 0.5 - 0.5 * contrast + brightness)
        color = np.hstack([contrast * matrix, shift])
        return torch.from_numpy((color if span is None else within(color, span)).astype(np.float32))

    def camera(self, image: Tensor, rng: np.random.Generator, span: Span | None = None) -> Tensor:
        """An image (C, H, W) that is blurred and noisy, in numbers of the same kind; `span` as for `color`.

        What lies beyond the image counts as a part of it.
        """
        if not self.blur and not self.noise:
            return image
        blur = rng.uniform(0, self.blur) if self.blur else 0.0
        noise = rng.uniform(0, self.noise) if self.noise else 0.0
        return photographed(image, blur=blur, noise=noise, rng=rng, span=span)


def refuse_outside(most: float, **settings: float) -> None:
    """Raises UserError for a setting that is not from 0 to `most`."""
    for name, value in settings.items():
        if not 0 <= value <= most:
            raise UserError(f"augment.{name}={value}: expected 0 to {most}")


def happens(probability: float, rng: np.random.Generator) -> bool:
    """Whether it does this time; what never does draws nothing."""
    return probability > 0 and bool(rng.random() < probability)


def _around(middle: int, window: int, size: int, start: int) -> int:
    """First pixel of a window around `middle`, as far as the image allows; one no smaller stays where it starts."""
    return min(max(middle - window // 2, 0), size - window) if window < size else start


def _place(rng: np.random.Generator, size: int, window: int) -> int:
    """First pixel of a window along one axis; negative where the window is larger than the image."""
    slack = size - window
    return int(rng.integers(0, slack + 1)) if slack >= 0 else -int(rng.integers(0, -slack + 1))
