"""An image and the mask that belongs to it."""

from pathlib import Path
from typing import NamedTuple

from ...errors import UserError
from .by_class import ClassMask
from .images import Header, header, turned_text
from .masks import Mask
from .united import UnitedMask

SAME_SIZE = "a mask needs the size of its image"


class Unequal(UserError):
    """An image and a mask of different sizes."""


class Pair(NamedTuple):
    """An image and its mask."""

    name: str  # the path of the image below the folder of all images, without the suffix
    image: Path
    mask: Mask


def files_of(mask: Mask) -> list[Path]:
    """The files that a mask is read from; a text file of polygons among them need not be there."""
    if isinstance(mask, ClassMask):
        return [file for file, _ in mask.files]
    return list(mask.files) if isinstance(mask, UnitedMask) else [mask.path]


def checked_header(pair: Pair, max_pixels: int) -> Header:
    """The header of the image; UserError for a mask of another size, a damaged header, and too many pixels."""
    image = header(pair.image, max_pixels)
    height, width = pair.mask.size(max_pixels)
    if (height, width) != (image.height, image.width):
        turned = turned_text(pair.image, (height, width), (image.height, image.width))
        raise Unequal(
            f"{pair.mask.path} is {width} x {height} pixels, but its image {pair.image} is {image.width} x "
            f"{image.height}{turned or f': {SAME_SIZE}'}"
        )
    return image
