"""Masks in TIFF files whose numbers are of a type that Pillow does not read: 64 bits, or fractions of 16."""

import importlib
import importlib.util
import logging
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import tiff
from .tiff import Unfit

TILE_WIDTH, TILE_HEIGHT = 322, 323
UNSIGNED, FLOAT = 1, 3  # sample formats; 2 has a sign


class Wide(NamedTuple):
    """What the tags of such a file say."""

    height: int
    width: int
    bits: int
    largest: int  # pixels of it, or of one of its tiles, which may be larger


def wide_page(path: Path) -> Wide | None:
    """What a TIFF of one page and one channel holds, if it is of such numbers; `None` for all other files."""
    if path.suffix.lower() not in (".tif", ".tiff"):
        return None
    try:
        pages = tiff.directories(path)
    except Exception:  # a damaged file, of which many types come: Pillow says what is wrong
        return None
    if len(pages) != 1 or pages[0].get(tiff.SAMPLES, 1) != 1 or pages[0].get(tiff.PHOTOMETRIC) not in tiff.GREYS:
        return None
    tags = pages[0]
    bits, kind = max(tags.get(tiff.BITS, (1,))), max(tags.get(tiff.FORMAT, (UNSIGNED,)))
    is_big_endian = tags._endian == ">"
    is_wide = bits == 64 or (bits, kind) == (16, FLOAT) or ((bits, kind) == (32, UNSIGNED) and is_big_endian)
    height, width = tags.get(tiff.HEIGHT), tags.get(tiff.WIDTH)
    if not is_wide or kind > FLOAT or not isinstance(height, int) or not isinstance(width, int):
        return None
    tile = tags.get(TILE_HEIGHT, 1) * tags.get(TILE_WIDTH, 1)
    return Wide(height, width, bits, max(height * width, tile))


def read_wide(path: Path, page: Wide, max_pixels: int) -> np.ndarray:
    """(H, W) of the type that is stored; of a damaged file, tifffile raises errors of many types."""
    if page.largest > max_pixels:
        raise Unfit(f"{page.largest} pixels, more than data.max_pixels={max_pixels}: not decoded")
    if importlib.util.find_spec("tifffile") is None:
        raise Unfit(f"numbers of {page.bits} bits: reading these needs tifffile: pip install 'segtrain[tiff]'")
    tifffile: Any = importlib.import_module("tifffile")  # an extra
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what it says of a damaged file, it raises too
    with tifffile.TiffFile(path) as file:
        numbers = file.pages[0].asarray()
    if numbers.shape != (page.height, page.width):
        raise Unfit(f"numbers of shape {numbers.shape}, expected {(page.height, page.width)}")
    return np.ascontiguousarray(numbers, numbers.dtype.newbyteorder("="))
