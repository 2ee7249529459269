"""What Pillow cannot read of TIFF: other numbers of channels than 1 and 3, and channels on pages of their own."""

import importlib
import importlib.util
import logging
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from ...errors import UserError

MAGIC = {b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"}  # the last two: BigTIFF
REDUCED, WIDTH, HEIGHT, BITS, PHOTOMETRIC, SAMPLES = 254, 256, 257, 258, 262, 277
ORIENTATION, PLANAR, EXTRA, FORMAT = 274, 284, 338, 339
DEFAULTS = {SAMPLES: 1, BITS: (1,), PHOTOMETRIC: None, EXTRA: ()}
GREYS, RGB = (0, 1), 2  # photometric interpretations
ALPHA = (1, 2)  # extra samples; 0 is unspecified: a channel as any other
MAX_CHANNELS = 1024


class Unfit(UserError):
    """A file that is whole, and holds something that is not taken."""


class Page(NamedTuple):
    """What a TIFF holds."""

    height: int
    width: int
    channels: int  # without alpha
    bits: int  # of a channel
    paged: bool  # whether each channel is a page
    problem: str = ""  # why neither Pillow nor `read` take it, if they do not

    @property
    def what(self) -> str:
        return f"{self.channels} {'pages' if self.paged else 'channels'}"


def beyond_pillow(path: Path) -> Page | None:
    """What a TIFF holds that Pillow cannot read, or would not read whole; `None` leaves to Pillow other files, by their
    names, and damage. Raises UserError for a file whose tags are larger than it."""
    if path.suffix.lower() not in (".tif", ".tiff"):
        return None
    try:
        with warnings.catch_warnings(action="ignore"):
            pages = directories(path)
            return page_of(pages) if pages else None
    except Unfit as error:
        raise UserError(f"{path}: {error}") from None
    except Exception:  # a damaged file, of which many types come: Pillow says what is wrong
        return None


class Rationed:
    """A file of which little more is read than it holds: its pages may all point at the same large tag.

    Raises:
        Unfit: For more bytes than twice those of the file, and a million.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.seek, self.tell = file, file.seek, file.tell
        self.left = 2 * os.fstat(file.fileno()).st_size + 1_000_000

    def read(self, size: int) -> bytes:
        content = self.file.read(size)
        self.left -= len(content)
        if self.left < 0:
            raise Unfit("its tags are larger than the file: not decoded")
        return content


def directories(path: Path) -> list[ImageFileDirectory_v2]:
    """The tags of every page."""
    if not path.is_file():
        return []
    with path.open("rb") as stream:
        file = Rationed(stream)
        start = file.read(8)
        if start[:4] not in MAGIC:
            return []
        if 43 in start[2:4]:
            start += file.read(8)
        pages, place, seen = [], ImageFileDirectory_v2(start).next, {0}
        while place not in seen and len(pages) <= MAX_CHANNELS:
            seen.add(place)
            file.seek(place)
            tags = ImageFileDirectory_v2(start)
            tags.load(file)  # type: ignore[arg-type]
            pages.append(tags)
            place = tags.next
        return pages


def page_of(pages: Sequence[ImageFileDirectory_v2]) -> Page | None:
    """What the tags say, where that is beyond Pillow."""
    first = pages[0]
    samples, bits, kind, extra = (first.get(tag, default) for tag, default in DEFAULTS.items())
    if kind not in (*GREYS, RGB):
        return None
    alpha = sum(sample in ALPHA for sample in extra)
    if kind == RGB and samples == 4 and not extra:
        alpha = 1  # as Pillow takes it
    height, width, channels = first[HEIGHT], first[WIDTH], samples - alpha
    alike = [page for page in pages if (page.get(HEIGHT), page.get(WIDTH)) == (height, width)]
    paged = len([page for page in alike if not page.get(REDUCED, 0)]) == len(pages) > 1  # no thumbnails
    apart = first.get(PLANAR, 1) == 2 and samples > 1 and max(bits) > 8  # which Pillow reads as something else
    if not paged and not apart and channels == (3 if kind == RGB else 1):
        return None
    page = Page(height, width, len(pages) if paged else channels, max(bits), paged)
    return page._replace(problem=problem(page, first, samples))


def problem(page: Page, tags: ImageFileDirectory_v2, samples: int) -> str:
    """Why `read` does not take this page; nothing if it does."""
    if page.paged and samples > 1:
        return f"{page.what} of {samples} channels each: expected one page, or one channel a page"
    if page.bits not in (8, 16) or max(tags.get(FORMAT, (1,))) != 1:
        return f"channels of {page.bits} bits, with a sign or fractions: images have 8 or 16 bits, from 0 up"
    if tags.get(ORIENTATION, 1) != 1:
        return f"orientation {tags[ORIENTATION]}: expected 1, upright, for {page.what}"
    if page.channels > MAX_CHANNELS:
        return f"{page.what}: up to {MAX_CHANNELS} are read"
    if importlib.util.find_spec("tifffile") is None:
        return f"{page.what} of {page.bits} bits: reading these needs tifffile: pip install 'segtrain[tiff]'"
    return ""


def read(path: Path, page: Page) -> np.ndarray:
    """(H, W, channels) uint8 or uint16; of a damaged file, tifffile raises errors of many types."""
    tifffile: Any = importlib.import_module("tifffile")  # an extra
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what it says of a damaged file, it raises too
    with tifffile.TiffFile(path) as file:
        if page.paged:
            pixels = np.stack([channel.asarray() for channel in file.pages], -1)
        else:
            pixels = file.pages[0].asarray()
            if file.pages[0].axes == "SYX":
                pixels = np.moveaxis(pixels, 0, -1)
    shape = (page.height, page.width, page.channels)
    if pixels.ndim != 3 or pixels.shape[:2] != shape[:2] or pixels.shape[2] < page.channels:
        raise UserError(f"pixels of shape {pixels.shape}, expected {shape}")
    return np.ascontiguousarray(pixels[..., : page.channels], pixels.dtype.newbyteorder("="))
