"""What Pillow cannot read of TIFF: other numbers of channels than 1 and 3, channels on pages of their own, and numbers
of more than 16 bits, with a sign or with fractions."""

import importlib
import importlib.util
import logging
import os
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from ...errors import UserError
from .pictures import DEPTHS as READ
from .pictures import Kind

MAGIC = {b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"}  # the last two: BigTIFF
REDUCED, WIDTH, HEIGHT, BITS, PHOTOMETRIC, SAMPLES = 254, 256, 257, 258, 262, 277
ORIENTATION, PLANAR, EXTRA, FORMAT, NODATA = 274, 284, 338, 339, 42113
TILE_WIDTH, TILE_HEIGHT = 322, 323
KINDS: dict[int, Kind] = {1: "unsigned", 2: "signed", 3: "float", 4: "unsigned"}  # sample formats; 4 is undefined
DEFAULTS = {SAMPLES: 1, BITS: (1,), PHOTOMETRIC: None, EXTRA: ()}
GREYS, RGB, YCBCR = (0, 1), 2, 6  # photometric interpretations
COMPRESSION, JPEG = 259, 7
ALPHA = (1, 2)  # extra samples; 0 is unspecified: a channel as any other
MAX_CHANNELS = 1024
NEEDED = "reading these needs tifffile: pip install 'segtrain[tiff]'"


class Unfit(UserError):
    """A file that is whole, and holds something that is not taken."""


class Page(NamedTuple):
    """What a TIFF holds."""

    height: int
    width: int
    channels: int  # without alpha
    bits: int  # of a channel
    paged: bool  # whether each channel is a page
    apart: bool  # whether Pillow cannot read its channels, or not all of them
    kind: Kind | None = "unsigned"  # of its numbers; `None` for complex ones
    nodata: str = ""  # the number that stands for no data, as GDAL writes it; nothing if there is none
    alpha: bool = False  # whether there are channels that are marked as alpha
    largest: int = 0  # pixels of it, or of one of its tiles, which may be larger
    big_endian: bool = False
    problem: str = ""  # why neither Pillow nor `read` take it, if they do not

    @property
    def what(self) -> str:
        return f"{self.channels} {'pages' if self.paged else 'channels'}"

    @property
    def is_for_pillow(self) -> bool:
        """Whether Pillow reads it as an image, whole and exact."""
        return not self.apart and self.kind == "unsigned" and self.bits <= 16


def beyond_pillow(path: Path) -> Page | None:
    """What a TIFF holds whose channels Pillow cannot read, or would not read whole; `None` leaves to Pillow other
    files, by their names, and errors."""
    page = page_in(path)
    return page if page and page.apart else None


def page_in(path: Path) -> Page | None:
    """What a TIFF holds; `None` for other files, by their names, for damaged ones, and for palettes and their like,
    which are Pillow's. Raises UserError for a file whose tags are larger than it."""
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
    """What the tags say of an image that is grey, in colours, or has any other number of channels."""
    first = pages[0]
    samples, bits, kind, extra = (first.get(tag, default) for tag, default in DEFAULTS.items())
    lossy = kind == YCBCR and first.get(COMPRESSION) == JPEG
    if kind not in (*GREYS, RGB) and not lossy:
        return None
    alpha = sum(sample in ALPHA for sample in extra)
    if kind == RGB and samples == 4 and not extra:
        alpha = 1  # as Pillow takes it
    height, width, channels = first[HEIGHT], first[WIDTH], samples - alpha
    if not isinstance(height, int) or not isinstance(width, int):
        return None
    tile = first.get(TILE_HEIGHT, 1) * first.get(TILE_WIDTH, 1)
    alike = [page for page in pages if (page.get(HEIGHT), page.get(WIDTH)) == (height, width)]
    paged = len([page for page in alike if not page.get(REDUCED, 0)]) == len(pages) > 1  # no thumbnails
    apart = first.get(PLANAR, 1) == 2 and samples > 1 and max(bits) > 8  # which Pillow reads as something else
    page = Page(
        height,
        width,
        channels=len(pages) if paged else channels,
        bits=max(bits),
        paged=paged,
        apart=paged or apart or channels != (1 if kind in GREYS else 3),
        kind=KINDS.get(max(first.get(FORMAT, (1,)))),
        nodata="" if lossy else str(first.get(NODATA, "")).strip("\0 "),  # which pixels may no longer have
        alpha=alpha > 0,
        largest=max(height * width, tile),
        big_endian=first._endian == ">",
    )
    return page if page.is_for_pillow else page._replace(problem=problem(page, first, samples))


def problem(page: Page, tags: ImageFileDirectory_v2, samples: int) -> str:
    """Why `read` does not take this page; nothing if it does."""
    if page.paged and samples > 1:
        return f"{page.what} of {samples} channels each: expected one page, or one channel a page"
    if page.kind is None or page.bits not in READ[page.kind]:
        kind = {"float": " with fractions", None: ", complex"}.get(page.kind, "")
        return f"numbers of {page.bits} bits{kind}: images have 8, 16 or 32 bits, or fractions of 16, 32 or 64 bits"
    if tags.get(ORIENTATION, 1) != 1:
        return f"orientation {tags[ORIENTATION]}: expected 1, upright, for {page.what}"
    if page.channels > MAX_CHANNELS:
        return f"{page.what}: up to {MAX_CHANNELS} are read"
    if not has_tifffile():
        return f"{page.what} of {page.bits} bits: {NEEDED}"
    return ""


def has_tifffile() -> bool:
    return importlib.util.find_spec("tifffile") is not None


def read(path: Path, page: Page, *, whole: bool = False) -> np.ndarray:
    """(H, W, channels) of the numbers as they are stored, with those marked as alpha if it is the `whole`; of a damaged
    file, tifffile raises errors of many types."""
    tifffile: Any = importlib.import_module("tifffile")  # an extra
    be_quiet()
    with tifffile.TiffFile(path) as file:
        if page.paged:
            pixels = np.stack([channel.asarray() for channel in file.pages], -1)
        else:
            pixels = file.pages[0].asarray()
            if file.pages[0].axes == "SYX":
                pixels = np.moveaxis(pixels, 0, -1)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    shape = (page.height, page.width, page.channels)
    if pixels.ndim != 3 or pixels.shape[:2] != shape[:2] or pixels.shape[2] < page.channels:
        raise UserError(f"pixels of shape {pixels.shape}, expected {shape}")
    pixels = pixels if whole else pixels[..., : page.channels]
    return np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("="))


def be_quiet() -> None:
    """What tifffile says of a damaged file, it raises too."""
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)


def absent(pixels: np.ndarray, nodata: str) -> np.ndarray | None:
    """(H, W, C): which of the numbers stored in pixels (H, W, C) stand for no data; `None` if all are data.

    These are NaN, infinity, and the number `nodata` that GDAL has noted. Where that is an ordinary number, such as the
    0 of an unsigned image, it is data beside others: all channels of a pixel have to hold it.
    """
    missing = np.zeros(pixels.shape, bool)
    if pixels.dtype.kind == "f":
        with np.errstate(over="ignore"):
            missing = ~np.isfinite(pixels.astype(np.float32))
    with suppress(ValueError, OverflowError):
        marked = pixels == of_type(nodata, pixels.dtype)
        if pixels.dtype.kind == "u":
            marked &= marked.all(2, keepdims=True)
        missing |= marked
    return missing if missing.any() else None


def of_type(number: str, dtype: np.dtype) -> Any:
    """A number that was written down, as pixels hold it. Raises ValueError or OverflowError where they cannot."""
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return dtype.type(float(number))
    if float(number) != int(float(number)):
        raise ValueError(number)
    return dtype.type(int(float(number)))
