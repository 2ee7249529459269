"""Large TIFF files, of which only the tiles or strips that are wanted are decoded."""

import importlib
import importlib.util
import math
from collections.abc import Iterator
from copy import copy
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from . import tiff
from .images import Picture, of_depth, picture_of, preview_step, refusals, refuse_page
from .pictures import SAMPLE

LARGEST_WHOLE = 1 << 26  # bytes of the pixels of an image, several of which may be in memory at a time
AT_ONCE = 1 << 26  # bytes that are decoded at a time while an image is looked through, and of a tile or strip at most
MIN_IS_BLACK, RGB, YCBCR = 1, 2, 6  # photometric interpretations; the last is decoded to RGB
JPEG = (6, 7, 33007, 34892)  # compressions whose tables lie outside of the tiles
PREMULTIPLIED = 1  # extra samples: alpha by which the colours were multiplied


class ImageInParts:
    """The image in a large TIFF, in parts that are those of the `Picture` that `read_picture` reads.

    It is a batch (1, channels, H, W), of which `image[..., rows, columns]` gives pixels as of a tensor. It is gone
    through when it is opened, so that damage is found before anything is computed.

    Attributes:
        valid: Where there are data, (H, W) bool; `None` stands for everywhere.
        preview: (up to 3, h, w) of every few rows and columns, as a picture shows them.
    """

    def __init__(self, path: Path, max_pixels: int, page: tiff.Page, *, channels: int, bits: int) -> None:
        self.path, self.max_pixels, self.page, self.bits = path, max_pixels, page, bits
        self.shape = (1, channels, page.height, page.width)
        self.device = torch.device("cpu")
        self._fill = self._means() if page.kind == "float" or page.nodata else None
        self.valid, self.preview, self._sample = self._looked_through()

    @property
    def size(self) -> tuple[int, int]:
        return self.shape[-2:]

    @property
    def batch(self) -> "ImageInParts":
        return self

    @property
    def nbytes(self) -> int:
        """Bytes of all pixels."""
        return math.prod(self.shape) * self.bits // 8

    def __len__(self) -> int:
        return 1

    def to(self, device: torch.device) -> "ImageInParts":
        """The same image, of which the parts come on another device."""
        moved = copy(self)
        moved.device = device
        return moved

    def __getitem__(self, place: tuple[Any, ...]) -> Tensor:
        """(1, channels, rows, columns) of the last two slices."""
        rows, columns = (range(length)[part] for part, length in zip(place[-2:], self.size, strict=True))
        return self._part(rows, columns).pixels[None].to(self.device)

    def values(self, most: int | None = None) -> np.ndarray:
        """What `Picture.values` gives, of evenly spaced pixels."""
        return self._sample.values(most)

    def thinned(self, step: int) -> np.ndarray:
        """(up to 3, h, w) of every so many rows and columns, or of those before them that the preview has."""
        rows, columns = (np.arange(0, length, step) // preview_step(self.size) for length in self.size)
        return self.preview[:, rows[:, None], columns]

    def _part(self, rows: range, columns: range) -> Picture:
        stored = self._stored(rows, columns)
        channels = self.shape[1]
        return picture_of(stored, self.page.nodata, channels=channels, bits=self.bits, path=self.path, fill=self._fill)

    def _stored(self, rows: range, columns: range) -> np.ndarray:
        with refusals(self.path, self.max_pixels):
            return stored(self.path, self.page, rows, columns)

    def _bands(self) -> Iterator[range]:
        """All rows, as many at a time as are decoded at once, in whole tiles."""
        height, width = self.size
        with refusals(self.path, self.max_pixels), opened(self.path) as file:
            length = rows_of_segment(file.pages[0])
        row = width * self.page.channels * self.page.bits // 8
        step = max(1, AT_ONCE // (row * length)) * length
        return (range(top, min(top + step, height)) for top in range(0, height, step))

    def _means(self) -> list[float] | None:
        """The mean of each channel where it holds data; `None` if that is everywhere."""
        sums, counts, pixels = np.zeros(self.page.channels), np.zeros(self.page.channels, np.int64), 0
        for rows in self._bands():
            part = self._stored(rows, range(self.size[1]))
            pixels += part[..., 0].size
            missing = tiff.absent(part, self.page.nodata)
            data = True if missing is None else ~missing
            sums += of_depth(part, self.bits, self.path).sum((0, 1), np.float64, where=data)
            counts += np.broadcast_to(data, part.shape).sum((0, 1))
        return None if (counts == pixels).all() else (sums / np.maximum(counts, 1)).tolist()

    def _looked_through(self) -> tuple[Tensor | None, np.ndarray, Picture]:
        """Where there are data, the preview, and pixels that stand for all."""
        seen, shown, sampled = [], [], []
        step, sparse = preview_step(self.size), math.isqrt(-(-math.prod(self.size) // SAMPLE))
        for rows in self._bands():
            part = self._part(rows, range(self.size[1]))
            valid = torch.ones(part.pixels.shape[-2:], dtype=torch.bool) if part.valid is None else part.valid
            if self._fill is not None:
                seen.append(valid)
            shown.append(every(step, rows, part.pixels[:3]).clone())
            sampled.append((every(sparse, rows, part.pixels).clone(), every(sparse, rows, valid).clone()))
        pixels, valid = (torch.cat(parts, -2) for parts in zip(*sampled, strict=True))
        return torch.cat(seen) if seen else None, torch.cat(shown, 1).numpy(), Picture(pixels, valid)


def every(step: int, rows: range, pixels: Tensor) -> Tensor:
    """Of the pixels (..., H, W) in some rows of an image, those whose place in it is a multiple of `step`."""
    return pixels[..., -rows.start % step :: step, ::step]


def is_read_in_parts(size: tuple[int, int], channels: int, bits: int) -> bool:
    """Whether an image of this height and width is read in parts where it can be."""
    return math.prod(size) * channels * bits // 8 > LARGEST_WHOLE


def open_in_parts(path: Path, max_pixels: int, *, channels: int, bits: int) -> ImageInParts | None:
    """The image in a TIFF that is decoded in parts; `None` if it has to be decoded as a whole, as one that Pillow turns
    or whose colours it converts. Raises UserError for one that is damaged or has more than `max_pixels`."""
    page = tiff.page_in(path)
    if page is None or not all(map(importlib.util.find_spec, ("tifffile", "imagecodecs"))):
        return None
    with refusals(path, max_pixels):
        refuse_page(page, max_pixels)
        with opened(path) as file:
            if not has_parts(file.pages[0]) or (page.is_for_pillow and not as_pillow(file.pages[0], channels)):
                return None
    return ImageInParts(path, max_pixels, page, channels=channels, bits=bits)


def has_parts(page: Any) -> bool:
    """Whether a page of tifffile's consists of parts that are small enough."""
    segment = math.prod(page.chunks) * page.dtype.itemsize
    return page.imagedepth == 1 and (lies_in_rows(page) or segment <= AT_ONCE)


def as_pillow(page: Any, channels: int) -> bool:
    """Whether tifffile gives the pixels of a page, which Pillow reads, as that does."""
    upright = tiff.ORIENTATION not in page.tags or page.tags[tiff.ORIENTATION].value == 1
    as_stored = page.photometric in (MIN_IS_BLACK, RGB, YCBCR) and PREMULTIPLIED not in page.extrasamples
    in_grey = channels == 1 and page.photometric != MIN_IS_BLACK  # Pillow rounds otherwise
    return upright and as_stored and page.bitspersample in (8, 16) and not in_grey


def opened(path: Path) -> Any:
    """tifffile's file, for `with`."""
    tifffile: Any = importlib.import_module("tifffile")  # an extra
    return tifffile.TiffFile(path)


def stored(path: Path, page: tiff.Page, rows: range, columns: range) -> np.ndarray:
    """(rows, columns, channels) of the numbers as they are stored; of a damaged file, tifffile raises errors of many
    types."""
    tiff.be_quiet()
    with opened(path) as file:
        if page.paged:
            return np.concatenate([part_of(channel, rows, columns) for channel in file.pages], 2)
        return part_of(file.pages[0], rows, columns)[..., : page.channels]


def part_of(page: Any, rows: range, columns: range) -> np.ndarray:
    """(rows, columns, samples) of a page of tifffile's."""
    if lies_in_rows(page):
        return rows_of(page, rows)[:, columns.start : columns.stop]
    part = np.zeros((len(rows), len(columns), page.samplesperpixel), page.dtype)
    tables = {"jpegtables": page.jpegtables, "jpegheader": page.jpegheader} if page.compression in JPEG else {}
    indices = segments(page, rows, columns)
    offsets, sizes = ([numbers[index] for index in indices] for numbers in (page.dataoffsets, page.databytecounts))
    for content, index in page.parent.filehandle.read_segments(offsets, sizes, indices):
        pixels, (sample, _, top, left, _), shape = page.decode(content, index, **tables)
        if pixels is None:  # not in the file, since it is empty
            pixels = np.full(shape, page.nodata, page.dtype)
        within = pixels[0]
        into, from_rows = overlap(rows, top, within.shape[0])
        across, from_columns = overlap(columns, left, within.shape[1])
        part[into, across, sample : sample + within.shape[2]] = within[from_rows, from_columns]
    return part


def overlap(wanted: range, start: int, length: int) -> tuple[slice, slice]:
    """Where rows or columns that are wanted meet `length` others from `start` on: the slice of the wanted ones, and the
    slice of the others."""
    first, last = max(wanted.start, start), min(wanted.stop, start + length)
    return slice(first - wanted.start, last - wanted.start), slice(first - start, last - start)


def rows_of_segment(page: Any) -> int:
    """Rows of a tile or a strip."""
    if lies_in_rows(page):
        return 1
    return page.tilelength if page.is_tiled else min(page.rowsperstrip, page.imagelength)


def segments(page: Any, rows: range, columns: range) -> list[int]:
    """The numbers of the tiles or strips that hold some of these pixels."""
    length, width = rows_of_segment(page), page.tilewidth if page.is_tiled else page.imagewidth
    down, across = -(-page.imagelength // length), -(-page.imagewidth // width)
    planes = page.samplesperpixel if page.planarconfig == 2 else 1
    downward = range(rows.start // length, -(-rows.stop // length))
    sideways = range(columns.start // width, -(-columns.stop // width))
    return [(plane * down + i) * across + j for plane, i, j in product(range(planes), downward, sideways)]


def lies_in_rows(page: Any) -> bool:
    """Whether the numbers of a page lie in the file one after another, without compression."""
    return page.is_contiguous and not page.is_tiled


def rows_of(page: Any, rows: range) -> np.ndarray:
    """(rows, W, samples) of a page that lies in rows."""
    planes, samples = (page.samplesperpixel, 1) if page.planarconfig == 2 else (1, page.samplesperpixel)
    width, kind = page.imagewidth * samples, page.dtype.newbyteorder(page.parent.byteorder)
    found = []
    for plane in range(planes):
        place = (plane * page.imagelength + rows.start) * width * kind.itemsize
        numbers = np.fromfile(page.parent.filehandle.path, kind, len(rows) * width, offset=page.dataoffsets[0] + place)
        found.append(numbers.reshape(len(rows), page.imagewidth, samples))
    return np.concatenate(found, 2).astype(page.dtype, copy=False)
