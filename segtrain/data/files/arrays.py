"""Images and masks in NumPy's files: .npy, and .npz with one array. Nothing that is pickled is read."""

import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from ...errors import UserError
from .tiff import Unfit

SUFFIXES = frozenset({".npy", ".npz"})
MAX_CHANNELS = 1024
MAX_BYTES = 8  # for each pixel that `max_pixels` allows
AS_IMAGE = "images have 8 or 16 bits, from 0 up: save them as np.uint8 or np.uint16"


class Stored(NamedTuple):
    """What an array is, by its header."""

    shape: tuple[int, ...]
    fortran: bool  # whether the first index runs fastest
    dtype: np.dtype


class Axes(NamedTuple):
    """Which numbers in the shape of an array are which."""

    height: int
    width: int
    channels: int
    last: bool  # whether the channels stand last; else first, or they have no axis


def is_array(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


@contextmanager
def opened_array(path: Path) -> Iterator[tuple[BinaryIO, Stored]]:
    """A file whose header was read, at the first byte of its numbers; for a file that is whole, by what it says.

    Raises:
        UserError: For objects and texts in place of numbers, and for a file without one array.
    """
    with path.open("rb") as file:
        if path.suffix.lower() == ".npy":
            yield file, header_of(file, os.fstat(file.fileno()).st_size)
            return
        with zipfile.ZipFile(file) as archive:
            members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
            if len(members) != 1:
                names = ", ".join(member.filename[:40] for member in members[:4])
                raise Unfit(f"{len(members)} arrays ({names}): expected one, save each as a file of its own")
            with archive.open(members[0]) as member:
                yield member, header_of(member, members[0].file_size)  # type: ignore[misc]


def header_of(file: BinaryIO, size: int) -> Stored:
    """What the header of an array says, whose file has `size` bytes."""
    if np.lib.format.read_magic(file) != (1, 0):  # of 64 KiB at most; later ones are for records with many names
        raise Unfit("an array of records: expected numbers")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.kind not in "buif":
        raise Unfit(f"an array of {str(dtype)[:40]}: expected numbers; what is pickled is not read")
    if file.tell() + prod(shape) * dtype.itemsize > size:
        raise UserError("it ends too early")
    return Stored(shape, fortran, dtype)


def axes_of(stored: Stored, max_pixels: int) -> Axes:
    """(H, W), (H, W, C) or (C, H, W): the channels are the fewer of first and last.

    Raises:
        UserError: For other shapes, for more than `max_pixels`, and for more than `MAX_BYTES` for each of these.
    """
    shape = stored.shape
    if len(shape) not in (2, 3) or 0 in shape:
        raise Unfit(f"an array of shape {shape}: expected (height, width), or with channels first or last")
    last = len(shape) == 3 and shape[2] <= shape[0]
    if len(shape) == 2:
        height, width, channels = *shape, 1
    elif last:
        height, width, channels = shape
    else:
        channels, height, width = shape
    if channels > MAX_CHANNELS or (len(shape) == 3 and shape[0] == shape[2] > 4):
        raise Unfit(f"an array of shape {shape}: it does not say which are the channels, first or last")
    if max(height * width, prod(shape) * stored.dtype.itemsize // MAX_BYTES) > max_pixels:
        size = f"{height * width} pixels, {prod(shape) * stored.dtype.itemsize} bytes"
        raise Unfit(f"{size}, more than data.max_pixels={max_pixels}: not read")
    return Axes(height, width, channels, last)


def array_size(path: Path, max_pixels: int) -> tuple[int, int]:
    """(height, width)"""
    with opened_array(path) as (_, stored):
        return axes_of(stored, max_pixels)[:2]


def array_header(path: Path, max_pixels: int) -> tuple[Axes, int]:
    """The axes of an image, and the bits of its channels: 16 for all whole numbers that may need them."""
    with opened_array(path) as (_, stored):
        if stored.dtype.kind == "f":
            raise Unfit(f"an array of {stored.dtype}: {AS_IMAGE}")
        return axes_of(stored, max_pixels), 8 if stored.dtype.itemsize == 1 else 16


def read_array(path: Path, max_pixels: int) -> tuple[np.ndarray, Axes]:
    """The numbers (H, W, C) as they are stored, and what they were."""
    with opened_array(path) as (file, stored):
        axes = axes_of(stored, max_pixels)
        numbers = np.empty(prod(stored.shape), stored.dtype)
        left = memoryview(numbers).cast("B")  # type: ignore[arg-type]
        while left:
            number = file.readinto(left)  # type: ignore[attr-defined]
            if not number:
                raise UserError("it ends too early")
            left = left[number:]
        file.read(1)  # at the end of a member, its checksum is compared
    numbers = numbers.reshape(stored.shape, order="F" if stored.fortran else "C")
    numbers = numbers.astype(stored.dtype.newbyteorder("="), copy=False)
    if numbers.ndim == 2:
        numbers = numbers[..., None]
    elif not axes.last:
        numbers = np.moveaxis(numbers, 0, -1)
    return numbers, axes


def image_in(path: Path, max_pixels: int) -> np.ndarray:
    """(H, W, C) uint8 or uint16."""
    array_header(path, max_pixels)
    numbers, _ = read_array(path, max_pixels)
    if numbers.dtype == bool:
        return np.ascontiguousarray(numbers) * np.uint8(255)  # black and white
    low, high = numbers.min(), numbers.max()
    if low < 0 or high >= 1 << 16:
        raise Unfit(f"numbers from {low} to {high}: {AS_IMAGE}")
    return np.ascontiguousarray(numbers, np.uint8 if numbers.dtype.itemsize == 1 else np.uint16)


def mask_in(path: Path, max_pixels: int) -> np.ndarray:
    """(H, W) of whatever type is stored, or (H, W, 3) uint8 of colours."""
    numbers, axes = read_array(path, max_pixels)
    if axes.channels == 1:
        return np.ascontiguousarray(numbers[..., 0])
    if axes.channels == 3 and numbers.dtype == np.uint8:
        return np.ascontiguousarray(numbers)
    channels = f"{axes.channels} channels of {numbers.dtype}"
    raise Unfit(f"{channels}: a mask has one number a pixel, or colours; of a channel for each class, take argmax")
