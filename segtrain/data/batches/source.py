"""The pairs of one split, and how they are read."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ...errors import UserError
from ..classes import ClassTable
from ..files.images import FLOAT, MAX_PIXELS, Header, Picture, read_picture
from ..files.large import ImageInParts, is_read_in_parts, open_in_parts
from ..files.packed import PackedPairs, Repeated, Texts, packed
from ..files.pair import Pair, checked_header
from ..files.pictures import Kind, stores
from .cache import Cache, CachePlace

MAX_CHANNELS = 1024


class Source(Protocol):
    """The images and masks of one split.

    `read` gives image (C, H, W) uint8, uint16 or float32 and mask (H, W) of class indices, with the table's `void` for
    no class, and where the image has no data; a mask that it is given is not read again. `read_in_parts` gives the
    same, but a large TIFF as an image whose parts are decoded when they are taken; `read_mask`, which is faster, the
    mask alone; `read_picture` the image alone. Where an image `shrinks`, `read_small` reads it faster by blocks of 2, 4
    or 8 pixels a side: (C, H // shrink, W // shrink).
    """

    @property
    def names(self) -> Sequence[str]: ...

    @property
    def sizes(self) -> Sequence[tuple[int, int]]: ...  # (height, width)

    @property
    def stored(self) -> tuple[Kind, int, int]: ...  # most images' kind of numbers, bits and channels

    def __len__(self) -> int: ...

    def read(self, index: int, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

    def read_in_parts(self, index: int) -> tuple[Tensor | ImageInParts, Tensor]: ...

    def read_mask(self, index: int) -> Tensor: ...

    def read_picture(self, index: int) -> Picture: ...

    def shrinks(self, index: int) -> bool: ...

    def read_small(self, index: int, shrink: int) -> Tensor: ...


class FolderSource:
    """The pairs of one split, read one at a time; none of more than `max_pixels` is decoded.

    Args:
        channels: Channels of the images handed out; `agree` has several sources hand out as many.
        headers: Those of the images, where they were read before.

    Attributes:
        bits: Bits of a channel of the images handed out: 32 for float32, 16 if any image has as many, else 8.
        cache: What was read before, if it is kept.
    """

    channels: int
    bits: int

    def __init__(
        self,
        pairs: Sequence[Pair],
        classes: ClassTable,
        max_pixels: int = MAX_PIXELS,
        channels: int | None = None,
        headers: Sequence[Header] | None = None,
    ) -> None:
        self.pairs, self.classes, self.max_pixels = packed(pairs), classes, max_pixels
        self.names = self.pairs.names if isinstance(self.pairs, PackedPairs) else Texts(pair.name for pair in pairs)
        self.headers = Repeated(headers or [checked_header(pair, max_pixels) for pair in pairs])
        self.sizes = Repeated((header.height, header.width) for header in self.headers)
        self.cache: Cache | None = None
        agree([self], channels)

    def __len__(self) -> int:
        return len(self.pairs)

    def read(self, index: int, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Raises UserError for damaged files and for values that no class owns, naming the file."""
        kept = self.cache and self.cache.get(index)
        if kept:
            return kept
        picture = self.read_picture(index)
        mask = self._mask(index) if mask is None else mask
        image, mask = picture.pixels, without_gaps(mask, picture, self.classes.void)
        if self.cache:
            self.cache.put(index, image, mask)
        return image, mask

    def read_in_parts(self, index: int) -> tuple[Tensor | ImageInParts, Tensor]:
        """From a cache, which has images as a whole, as `read`."""
        if self.cache or not is_read_in_parts(self.sizes[index], self.channels, self.bits):
            return self.read(index)
        image = open_in_parts(self.pairs[index].image, self.max_pixels, channels=self.channels, bits=self.bits)
        if image is None:
            return self.read(index)
        return image, without_gaps(self._mask(index), image, self.classes.void)

    def read_mask(self, index: int) -> Tensor:
        if self.headers[index].has_gaps:
            return self.read(index)[1]
        kept = self.cache and self.cache.get(index)
        return kept[1] if kept else self._mask(index)

    def read_picture(self, index: int, shrink: int = 1) -> Picture:
        path = self.pairs[index].image
        return read_picture(path, self.max_pixels, channels=self.channels, bits=self.bits, shrink=shrink)

    def is_luma(self, index: int) -> bool:
        """Whether an image of colours is handed out in grey."""
        return (self.headers[index].channels, self.channels) == (3, 1)

    @property
    def stored(self) -> tuple[Kind, int, int]:
        return Counter(header.stored for header in self.headers).most_common(1)[0][0]

    def shrinks(self, index: int) -> bool:
        return self.headers[index].shrinks

    def read_small(self, index: int, shrink: int) -> Tensor:
        """From the file, so that a cache changes nothing."""
        return self.read_picture(index, shrink).pixels

    def _mask(self, index: int) -> Tensor:
        mask = self.pairs[index].mask
        stored = mask.read(self.max_pixels, self.classes.coding)
        try:
            return torch.from_numpy(self.classes.encode(stored))
        except UserError as error:
            raise UserError(f"{mask.path}: {error}") from None

    def keep(self, place: CachePlace = "ram") -> int:
        """Keep what is read from now on, decoded, and return the bytes that all of it will take."""
        self.cache = Cache(self.sizes, self.channels, *self._types, place)
        return self.cache.size

    @property
    def decoded_bytes(self) -> int:
        """What all images and masks take, decoded."""
        image_type, mask_type = self._types
        pixels = sum(height * width for height, width in self.sizes)
        return pixels * (self.channels * image_type.itemsize + mask_type.itemsize)

    @property
    def _types(self) -> tuple[torch.dtype, torch.dtype]:
        """Types of the numbers of an image and of a mask."""
        image_type = {8: torch.uint8, 16: torch.uint16, FLOAT: torch.float32}[self.bits]
        return image_type, torch.uint8 if self.classes.dtype == np.uint8 else torch.int16


def without_gaps(mask: Tensor, picture: Picture | ImageInParts, void: int) -> Tensor:
    """The mask with `void` where the image has no data."""
    return mask if picture.valid is None else mask.masked_fill(~picture.valid, void)


def agree(sources: Iterable[FolderSource], channels: int | None) -> None:
    """Have all images of a data set handed out with as many channels, by default `common_channels`, and as many bits.

    Raises UserError for images that have too few channels, and for numbers without a white beside others with one.
    """
    sources = list(sources)
    headers: list[tuple[Path, Header]] = []
    for source in sources:
        for index, header in source.headers.firsts():
            headers.append((source.pairs[index].image, header))
    if channels is None:
        channels = common_channels(headers)
    if not 1 <= channels <= MAX_CHANNELS:
        raise UserError(f"data.channels={channels}: expected null, or 1 to {MAX_CHANNELS}")
    for path, header in headers:
        if header.channels < channels and (header.channels, channels) != (1, 3):
            raise UserError(
                f"{path} has {header.channels} channels, the data {channels}: leave it out, or type data.channels="
                f"{header.channels} for the first ones of all images"
            )
    refuse_two_scales(headers)
    bits = max((header.depth for _, header in headers), default=8)
    for source in sources:
        source.channels, source.bits = channels, bits


def refuse_two_scales(headers: Sequence[tuple[Path, Header]]) -> None:
    """Raises UserError for images whose numbers have a white (8 or 16 bits) beside such whose numbers have none."""
    first: dict[bool, tuple[Path, Header]] = {}
    for path, header in headers:
        first.setdefault(header.depth == FLOAT, (path, header))
    if len(first) == 2:
        (one, a), (two, b) = first.values()
        reason = f"{one} has {stores(a.kind, a.bits)}, but {two} has {stores(b.kind, b.bits)}"
        raise UserError(f"{reason}: their values have no common scale; save all images alike")


def common_channels(headers: Sequence[tuple[Path, Header]]) -> int:
    """1 if all images are grey, 3 if any is in colours, or the number of those with more; UserError for two such."""
    others = {header.channels: path for path, header in headers if header.channels not in (1, 3)}
    if len(others) > 1:
        (one, first), (two, second) = list(others.items())[:2]
        raise UserError(
            f"{first} has {one} channels, but {second} has {two}: type data.channels={min(one, two)} for the first ones"
        )
    if others:
        return next(iter(others))
    return max((header.channels for _, header in headers), default=3)
