"""The masks of the Semantic Boundaries Dataset, which are MATLAB files (http://home.bharathh.info/pubs/codes/SBD)."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...errors import UserError
from ..color import Coding

MAX_BYTES = 1 << 26  # of a file, packed or unpacked; those of SBD have some kilobytes
COMPRESSED, MATRIX, STRUCT = 15, 14, 2  # types of elements, and the class of a structure
NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8"}


@dataclass(frozen=True)
class MatMask:
    """The field `Segmentation` of a .mat file."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path)

    def size(self, max_pixels: int) -> tuple[int, int]:
        """(height, width), for which the whole file is read."""
        height, width = self.read(max_pixels, None).shape
        return height, width

    def read(self, max_pixels: int, coding: Coding) -> np.ndarray:
        """The values (H, W); UserError for a file that is damaged, too large, or holds something else."""
        with self.path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        try:
            mask = segmentation(content)
        except (ValueError, KeyError, IndexError, struct.error, zlib.error) as error:
            raise UserError(f"{self.path}: no mask of SBD: {str(error)[:100]}") from None
        if mask.size > max_pixels:
            raise UserError(f"{self.path}: {mask.size} pixels, more than data.max_pixels={max_pixels}")
        return mask


class Element(NamedTuple):
    """A piece of a MATLAB 5 file."""

    kind: int
    data: bytes


def segmentation(content: bytes) -> np.ndarray:
    """The field `Segmentation` of the one structure in a MATLAB 5 file.

    Format: https://www.mathworks.com/help/pdf_doc/matlab/matfile_format.pdf, chapter 1.
    """
    if len(content) > MAX_BYTES or content[126:128] not in (b"IM", b"MI"):
        raise UserError("not a MATLAB 5 file")
    order = "<" if content[126:128] == b"IM" else ">"
    element = next(elements(content[128:], order))
    if element.kind == COMPRESSED:
        unpack = zlib.decompressobj()
        content = unpack.decompress(element.data, MAX_BYTES)
        if unpack.unconsumed_tail:
            raise UserError(f"more than {MAX_BYTES} bytes")
        element = next(elements(content, order))
    flags, _, _, length, names, *fields = elements(element.data, order)
    if flags.data[3 if order == ">" else 0] != STRUCT:
        raise UserError("it holds no structure")
    size = struct.unpack(f"{order}i", length.data[:4])[0]
    if not 0 < size <= 64:
        raise UserError(f"names of {size} characters")
    keys = [names.data[i : i + size].rstrip(b"\0") for i in range(0, len(names.data), size)]
    return matrix(dict(zip(keys, fields, strict=True))[b"Segmentation"], order)


def elements(content: bytes, order: str) -> Iterator[Element]:
    """The elements one after the other: type, length and data, filled up to 8 bytes; short ones are 8 bytes in all."""
    place = 0
    while place + 8 <= len(content):
        kind, length = struct.unpack_from(f"{order}II", content, place)
        start, following = place + 8, place + 8 + length + (-length % 8 if kind != COMPRESSED else 0)
        if kind >> 16:
            kind, length, start, following = kind & 0xFFFF, kind >> 16, place + 4, place + 8
        if start + length > len(content):
            raise UserError("cut off")
        yield Element(kind, content[start : start + length])
        place = following


def matrix(element: Element, order: str) -> np.ndarray:
    """(rows, columns) of a matrix of numbers, which is stored column by column."""
    if element.kind != MATRIX:
        raise UserError("the segmentation is no matrix")
    _, size, _, numbers = list(elements(element.data, order))[:4]
    height, width = struct.unpack(f"{order}2i", size.data)
    values = np.frombuffer(numbers.data, np.dtype(order + NUMBERS[numbers.kind]))
    return values.reshape(width, height).T.astype(np.uint8)
