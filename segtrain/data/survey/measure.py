"""A file is read and becomes facts: sizes, depths, the numbers in a mask and how often each is there."""

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ...errors import UserError
from ..color import pack
from ..files import tiff
from ..files.arrays import is_array
from ..files.by_class import ClassMask
from ..files.images import (
    FLOAT,
    Picture,
    header,
    is_grey,
    loaded,
    opened,
    orientation,
    read_alpha,
    read_picture,
    shown_size,
)
from ..files.masks import Mask, MaskFile, is_beyond_pillow, read_mask
from ..files.pair import Pair
from ..files.pictures import TAIL, Span, Summary, filled
from .facts import ImageFacts, MaskFacts

MAX_VALUES, MAX_COLOURS = 1024, 256  # different ones of a mask that are counted singly: those with the most pixels
CROWD = 8  # numbers in a mask from which on they may be those of objects
LOOK = 16  # rows and columns of the thumbnail that two images are compared by
LOOSE = 8  # how much JPEG may let neighbours differ that were equal
COMPRESSION = 259  # tag of a TIFF
DEPTHS = {"1": 1, "I;16": 16, "I;16B": 16, "I;16L": 16, "I": 32, "F": 32}  # of Pillow's modes; 8 for all others


def examine_image(path: Path, max_pixels: int) -> ImageFacts:
    """Raises nothing: what is wrong with the file stands in `problem`."""
    facts: dict[str, Any] = {}
    try:
        plain = header(path, max_pixels)
        facts.update(height=plain.height, width=plain.width, bits=plain.bits, kind=plain.kind)
        with path.open("rb") as file:
            facts["digest"] = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
        if is_array(path):
            facts.update(mode="array", format=path.suffix[1:].upper())
        elif plain.channels in (1, 3) and plain.depth != FLOAT:  # others are beyond Pillow
            with opened(path, max_pixels) as image:
                facts.update(header_facts(image, path))
                if plain.bits == 8 and not plain.has_gaps:
                    facts.update(byte_statistics(loaded(image)))
        facts.setdefault("channels", plain.channels)
        if "look" not in facts:
            facts.update(array_statistics(read_picture(path, max_pixels, channels=plain.channels, bits=plain.depth)))
        if plain.alpha:
            facts["alpha"] = share_between(read_alpha(path, max_pixels))
    except (UserError, OSError) as error:
        facts["problem"] = problem(error, path)
    return ImageFacts(**facts)


def examine_mask(pair: Pair, max_pixels: int) -> MaskFacts:
    """Raises nothing: what is wrong with the mask stands in `problem`."""
    facts: dict[str, Any] = {}
    path = pair.mask.path
    try:
        if isinstance(pair.mask, MaskFile):
            if is_beyond_pillow(path):
                facts.update(array_facts(pair.mask, max_pixels), lossy=False)
            else:
                with opened(path, max_pixels) as image:
                    facts.update(header_facts(image, path), lossy=is_lossy(image, path))
            facts.update(number_facts(path, max_pixels, loose=facts["lossy"]))
        else:
            values, facts["overlap"] = painted(pair.mask, max_pixels)
            facts.update(height=values.shape[0], width=values.shape[1], channels=1, bits=8 * values.itemsize)
            facts.update(mode="painted", format="painted", **counted(values, MAX_VALUES))
    except (UserError, OSError) as error:
        facts["problem"] = problem(error, path)
    return MaskFacts(**facts)


def painted(mask: Mask, max_pixels: int) -> tuple[np.ndarray, int]:
    """The values of a mask that is no file of its own, and the pixels that several classes claim."""
    return mask.painted(max_pixels) if isinstance(mask, ClassMask) else (mask.read(max_pixels, None), 0)


def problem(error: Exception, path: Path) -> str:
    """The message, without the file's name in front; or that there is nothing in the file."""
    with suppress(OSError):
        if path.is_file() and path.stat().st_size == 0:
            return "an empty file (0 bytes)"
    text = getattr(error, "strerror", None) or str(error)
    return text.removeprefix(f"{path}: ")


def header_facts(image: Image.Image, path: Path) -> dict[str, Any]:
    """What is known of an image before its pixels are decoded."""
    height, width = shown_size(image)
    return {
        "height": height,
        "width": width,
        "channels": 3 if image.mode in ("P", "PA") else len(image.getbands()),
        "bits": bits_of(image, path),
        "mode": image.mode,
        "format": image.format or "",
        "orientation": orientation(image),
    }


def array_facts(mask: Mask, max_pixels: int) -> dict[str, Any]:
    """Likewise of a mask that Pillow does not read, whose numbers are classes however many bits they take."""
    height, width = mask.size(max_pixels)
    kind = mask.path.suffix[1:].upper()
    return {"height": height, "width": width, "channels": 3, "bits": 8, "mode": "array", "format": kind}


def bits_of(image: Image.Image, path: Path) -> int:
    """Bits per channel as stored; Pillow's modes do not tell those of 2 or 4 bits, nor of colours of 16."""
    if image.format == "PNG":
        with path.open("rb") as file:
            return file.read(25)[24]
    if image.format == "TIFF":
        bits = getattr(image, "tag_v2", {}).get(tiff.BITS, 1)
        return int(np.max(bits))
    return DEPTHS.get(image.mode, 8)


def is_lossy(image: Image.Image, path: Path) -> bool:
    """Whether the format is one that changes numbers: JPEG, WebP unless it is lossless, a TIFF with JPEG inside."""
    if image.format == "WEBP":
        with path.open("rb") as file:
            return b"VP8 " in file.read(1 << 16)
    if image.format == "TIFF":
        return getattr(image, "tag_v2", {}).get(COMPRESSION) in (6, 7)  # kinds of JPEG
    return image.format == "JPEG"


def byte_statistics(image: Image.Image) -> dict[str, Any]:
    """Mean, mean square, low and high of each channel but alpha, and the look, of an image of 8 bits."""
    image = image.convert("L" if is_grey(image) else "RGB")
    shares = np.array(image.histogram(), np.float64).reshape(-1, 256) / (image.width * image.height)
    levels = np.arange(256) / 255
    mean, square = tuple((shares @ levels).tolist()), tuple((shares @ levels**2).tolist())
    below = shares.cumsum(1)
    low, high = (below > TAIL).argmax(1) / 255, (below >= 1 - TAIL).argmax(1) / 255
    span = Span(tuple(low.tolist()), tuple(high.tolist()))
    look = thumbnail(image if image.mode == "L" else image.convert("L"))
    return {**summed_up(Summary(image.width * image.height, mean, square, span)), "look": look}


def array_statistics(picture: Picture) -> dict[str, Any]:
    """Mean, mean square, low and high of each channel, and the look, of an image of 16 bits or of many channels."""
    summary = Summary.of(picture.values())
    look = thumbnail(Image.fromarray(grey_of(picture))) if summary.pixels else b""
    return {**summed_up(summary), "look": look}


def summed_up(summary: Summary) -> dict[str, Any]:
    """A summary as facts."""
    low, high = summary.span
    return {"pixels": summary.pixels, "mean": summary.mean, "square": summary.square, "low": low, "high": high}


def grey_of(picture: Picture) -> np.ndarray:
    """(H, W) float32: the mean of the channels, in 0..1; of deep images, what these fill becomes that."""
    pixels = picture.pixels.float().mean(0).numpy()
    if picture.pixels.dtype == torch.uint8:
        return pixels / 255
    (low,), (high,) = filled(pixels.reshape(1, -1))
    return ((pixels - low) / (high - low)).clip(0, 1) if high > low else np.zeros_like(pixels)


def share_between(alpha: np.ndarray) -> float:
    """The share of the pixels of an alpha channel that are neither clear nor opaque, as those of other data are."""
    opaque = np.iinfo(alpha.dtype).max if alpha.dtype.kind in "ui" else 1
    return float(((alpha > 0) & (alpha < opaque)).mean())


def thumbnail(grey: Image.Image) -> bytes:
    """16 x 16 means of an image of one channel, stretched to 0..255, row by row; nothing where all are the same."""
    side = 4 * LOOK  # Pillow rounds its means to whole numbers: those of a dark image are taken in two steps
    small = grey.resize((side, side), Image.Resampling.BOX, reducing_gap=3)
    means = np.asarray(small, np.float32).reshape(LOOK, 4, LOOK, 4).mean((1, 3))
    low, high = float(means.min()), float(means.max())
    white = {"L": 255, "F": 1.0}[grey.mode]
    if high - low < white / 255:
        return b""
    return ((means - low) * (255 / (high - low))).round().astype(np.uint8).tobytes()


def number_facts(path: Path, max_pixels: int, *, loose: bool) -> dict[str, Any]:
    """The numbers in a mask file with their pixels, and the colours of a palette; `loose` counts neighbours that differ
    a little as equal, as JPEG leaves a flat place."""
    mask = read_mask(path, max_pixels)
    alike = nearly_equal(np.atleast_3d(mask)) if loose else None
    if mask.ndim == 3:
        return counted(pack(mask, np.uint32), MAX_COLOURS, alike)
    low, high = mask.min(initial=0), mask.max(initial=0)
    if low < 0 or high >= 1 << 16:
        raise UserError(f"numbers from {low} to {high}: a mask holds whole numbers from 0 to 65535")
    facts = {**counted(mask, MAX_VALUES, alike), "channels": 1}
    if is_beyond_pillow(path):
        return {**facts, "bits": 8 if high < 256 else 16}
    with opened(path, max_pixels) as image:
        if image.mode in ("P", "PA"):
            palette = np.array(image.getpalette("RGB") or [0, 0, 0], np.uint8).reshape(-1, 3)
            colours = dict(enumerate(pack(palette).tolist()))
            facts["colours"] = {i: colours.get(i, 0) for i in facts["counts"]}
    return facts


def nearly_equal(mask: np.ndarray) -> np.ndarray:
    """(H-1, W-1): whether a pixel of (H, W, C) is nearly that to the right, below and across."""
    mask = mask.astype(np.int16)
    here = mask[:-1, :-1]
    others = (mask[1:, :-1], mask[:-1, 1:], mask[1:, 1:])
    return np.logical_and.reduce([(np.abs(here - other) <= LOOSE).all(2) for other in others])


def counted(codes: np.ndarray, most: int, alike: np.ndarray | None = None) -> dict[str, Any]:
    """The `most` frequent numbers in codes (H, W) with their pixels, and with those of them that are solid: `alike`
    (H-1, W-1), or else those that equal their neighbours."""
    here = codes[:-1, :-1]
    equal = (here == codes[1:, :-1]) & (here == codes[:-1, 1:]) & (here == codes[1:, 1:])
    is_solid = np.zeros(codes.shape, np.uint32)
    is_solid[:-1, :-1] = equal if alike is None else alike
    keys, number = pixels_of((codes.astype(np.uint32) << 1 | is_solid).ravel())  # the last bit: whether it is solid
    numbers, starts = np.unique(keys >> 1, return_index=True)
    whole = in_one_piece(codes) if alike is None and len(numbers) >= CROWD else 0
    pixels = np.add.reduceat(number, starts)
    solid = np.add.reduceat(number * (keys & 1), starts)
    first = np.argsort(-pixels, kind="stable")[:most]
    names = numbers[first].tolist()
    counts = dict(zip(names, pixels[first].tolist(), strict=True))
    return {"counts": counts, "solid": dict(zip(names, solid[first].tolist(), strict=True)), "whole": whole}


def in_one_piece(codes: np.ndarray) -> int:
    """How many of the numbers in codes (H, W) have their pixels in one piece, holes or not; corners connect too.

    The pieces less the holes of a number are its Euler number: its pixels, less the pairs of neighbours, plus the
    squares of four, less those that two pixels share corner to corner. Within a flat place that adds up to nothing.
    """
    share = np.ones(codes.shape, np.int8)
    right, below = codes[:, :-1] == codes[:, 1:], codes[:-1] == codes[1:]
    falling, rising = codes[:-1, :-1] == codes[1:, 1:], codes[:-1, 1:] == codes[1:, :-1]
    share[:, :-1] -= right
    share[:-1] -= below
    share[:-1, :-1] += right[:-1] & below[:, :-1] & falling
    share[:-1, :-1] -= falling & ~right[:-1] & ~below[:, :-1]
    share[:-1, 1:] -= rising & ~right[:-1] & ~below[:, 1:]
    edges = np.nonzero(share)
    numbers, which = np.unique(codes[edges], return_inverse=True)
    euler = np.bincount(which.ravel(), weights=share[edges], minlength=len(numbers))
    return int((euler <= 1).sum())


def pixels_of(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The numbers in codes (N,), sorted, and how often each is there. Runs, if long, are counted whole: faster."""
    starts = np.flatnonzero(np.concatenate([[True], codes[1:] != codes[:-1]]))
    if 4 * len(starts) > len(codes):
        return np.unique(codes, return_counts=True)
    numbers, which = np.unique(codes[starts], return_inverse=True)
    lengths = np.diff(starts, append=codes.size)
    return numbers, np.bincount(which.ravel(), weights=lengths).astype(np.int64)
