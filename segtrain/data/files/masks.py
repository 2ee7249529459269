"""Masks: what holds the classes of an image's pixels, and how the numbers in a mask file are read."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from ...errors import UserError
from ..color import Coding, pack
from . import tiff
from .arrays import is_array, mask_in
from .images import MAX_PIXELS, displayed_size, how_stored, loaded, low_bytes, opened, refusals, refuse_large
from .tiff import Unfit

GREY_ENOUGH = 8  # between the channels of a pixel, which JPEG does not keep equal
IN_COLOURS = ("RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "LAB", "HSV")  # Pillow's modes that are read as RGB


class Mask(Protocol):
    """What holds the classes of an image's pixels: a file, a part of a file, or several files."""

    @property
    def path(self) -> Path:
        """The file, or the folder of the files."""
        ...

    @property
    def name(self) -> str:
        """What tells this mask from all others: its path, and more where one file holds many masks."""
        ...

    def size(self, max_pixels: int) -> tuple[int, int]:
        """(height, width), as far as possible without decoding; UserError as in `read`."""
        ...

    def read(self, max_pixels: int, coding: Coding) -> np.ndarray:
        """The numbers (H, W), or the colours (H, W, 3) uint8.

        Raises:
            UserError: For a damaged file, for more than `max_pixels`, and for what does not say classes by `coding`.
        """
        ...


@dataclass(frozen=True)
class MaskFile:
    """A mask in an image file of its own."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path)

    def size(self, max_pixels: int) -> tuple[int, int]:
        return mask_size(self.path, max_pixels)

    def read(self, max_pixels: int, coding: Coding) -> np.ndarray:
        return read_mask(self.path, max_pixels, coding)


def is_beyond_pillow(path: Path) -> bool:
    """Whether a mask of numbers is in a file that Pillow does not read."""
    return is_array(path) or wide_page(path) is not None


def wide_page(path: Path) -> tiff.Page | None:
    """What a TIFF of one channel holds, if its numbers are of a type that Pillow does not read: 64 bits, fractions of
    16, or 32 without a sign and with the highest byte first; `None` for all other files."""
    page = tiff.page_in(path)
    if page is None or page.paged or page.channels != 1 or page.kind is None:
        return None
    is_wide = page.bits == 64 or (page.bits, page.kind) == (16, "float")
    return page if is_wide or (page.big_endian and (page.bits, page.kind) == (32, "unsigned")) else None


def mask_size(path: Path, max_pixels: int) -> tuple[int, int]:
    """(height, width) from the header alone."""
    page = wide_page(path)
    return (page.height, page.width) if page else displayed_size(path, max_pixels)


def read_mask(path: Path, max_pixels: int = MAX_PIXELS, coding: Coding = None) -> np.ndarray:
    """The numbers in a mask file: (H, W) values or palette indices, or (H, W, 3) colours; alpha is dropped.

    Args:
        coding: `colors` reads colours, whatever is stored: those of a palette, and grey as three equal channels.
            `values` reads values, whatever is stored: colours have to be grey, but for what JPEG makes of that.

    Raises:
        UserError: For a damaged file, and for one that cannot be read exactly: several pages, channels that are
            neither grey nor colours, colours of 16 bits, fractions.
    """
    if is_array(path):
        with refusals(path, max_pixels):
            return in_coding(mask_in(path, max_pixels), coding)
    if wide := wide_page(path):
        with refusals(path, max_pixels):
            refuse_large(wide, max_pixels)
            if not tiff.has_tifffile():
                raise Unfit(f"numbers of {wide.bits} bits: {tiff.NEEDED}")
            return in_coding(tiff.read(path, wide)[..., 0], coding)
    if page := tiff.beyond_pillow(path):
        raise UserError(f"{path}: {page.what}: a mask has one page of values, palette indices or 8-bit colours")
    with opened(path, max_pixels) as image:
        if low_bytes(image) is not None:
            raise Unfit("colours of 16 bits: a mask has 8-bit colours, or numbers of up to 16 bits")
        stretch = stretched(image)
        image = loaded(image)
        if coding == "colors":
            return np.asarray(as_colors(image))
        if image.mode in IN_COLOURS:
            image = image.convert("RGB")
        mask = np.asarray(image)
        if image.mode == "RGB":
            return grey_values(mask) if coding == "values" else mask
        return as_values(mask, stretch)


def different_numbers(path: Path, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """The different values in a mask file, or its colours as 24-bit numbers, sorted; UserError as in `read_mask`."""
    return np.unique(codes_of(read_mask(path, max_pixels)))


def codes_of(mask: np.ndarray) -> np.ndarray:
    """(H, W): the values of a mask, or its colours as 24-bit numbers."""
    return pack(mask, np.uint32) if mask.ndim == 3 else mask


def in_coding(mask: np.ndarray, coding: Coding) -> np.ndarray:
    """The values or colours of an array (H, W) or (H, W, 3), read as `coding` says."""
    if mask.ndim == 3:
        return grey_values(mask) if coding == "values" else mask
    mask = as_values(mask, None)
    if coding != "colors":
        return mask
    if mask.min() < 0 or mask.max() > 255:
        raise Unfit(f"numbers from {mask.min()} to {mask.max()}: a mask of colours has 8 bits a channel")
    return np.repeat(mask.astype(np.uint8)[..., None], 3, 2)


def as_colors(image: Image.Image) -> Image.Image:
    """A mask as colours; 8-bit values v, and 1-bit ones as 0 or 255, are grey (v, v, v)."""
    if image.mode.startswith(("I", "F")):
        bits = 32 if image.mode == "F" else 16
        raise Unfit(f"numbers of {bits} bits: a mask of colours has 8 bits a channel")
    return image if image.mode == "RGB" else image.convert("RGB")


def as_values(mask: np.ndarray, stretch: tuple[int, int] | None) -> np.ndarray:
    """The values (H, W) of what Pillow hands out: without alpha, not stretched, and as integers."""
    if mask.ndim == 3 and mask.shape[2] == 2:  # grey or a palette with alpha
        mask = mask[..., 0]
    if stretch is not None:
        handed_out, stored = stretch
        return ((mask.astype(np.uint32) * stored + handed_out // 2) // handed_out).astype(mask.dtype)
    if mask.dtype == bool:
        return mask.astype(np.uint8)
    return whole_numbers(mask) if mask.dtype.kind == "f" else mask


def grey_values(colors: np.ndarray) -> np.ndarray:
    """The values (H, W) of grey (H, W, 3), exact where the channels are equal; UserError for what is not grey."""
    spread = colors.max(2) - colors.min(2)
    pixels = int((spread > GREY_ENOUGH).sum())
    if pixels:
        raise Unfit(f"{pixels} pixels are no grey: `masks: values` takes values, or colours that are all grey")
    return np.asarray(Image.fromarray(colors).convert("L"))


def stretched(image: Image.Image) -> tuple[int, int] | None:
    """(greatest number handed out, greatest one stored), where Pillow stretches what is stored over all greys."""
    raw, others = how_stored(image)
    if match := re.match(r"L;([24])", raw):
        return 255, 2 ** int(match[1]) - 1
    greatest = {"L": 255, "I": 65535}.get(image.mode)
    if image.format == "PPM" and greatest and others and others[0] not in (255, 65535):
        return greatest, others[0]
    return None


def whole_numbers(mask: np.ndarray) -> np.ndarray:
    """Floating-point numbers as integers; UserError for fractions, and for what does not fit 32 bits."""
    finite = np.isfinite(mask).all()
    if not finite or not np.array_equal(mask, mask.round()) or np.abs(mask).max(initial=0) >= 2**31:
        raise Unfit("numbers with fractions: a mask holds whole numbers")
    return mask.astype(np.int32)
