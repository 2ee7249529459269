"""Images that a network is to see, read as it takes them, by processes ahead of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch.utils.data import Dataset

from ..data.files.images import Picture, header, read_picture
from ..data.files.large import LARGEST_WHOLE, ImageInParts, is_read_in_parts, open_in_parts
from ..data.files.pictures import SAMPLE, Pictures, filled
from ..errors import UserError
from .journal import stamp_of


class Still(NamedTuple):
    """An image that was read, or of a large one what reads it in parts."""

    image: Picture | ImageInParts
    remark: str  # in what it is not like those of the training
    stamp: list[Any]  # of its file, before it was read


def is_small(image: Picture | ImageInParts) -> bool:
    """Whether several such images may be kept in memory at a time."""
    return isinstance(image, Picture) and image.pixels.nbytes <= LARGEST_WHOLE


class Stills(Dataset[Still | Exception | None]):
    """Index -> the image; an error about its file; or `None` for a large one, which `read` reads in its turn.

    Args:
        channels: Channels that the network takes.
        pictures: What is known of the images of its training.
        max_pixels: The most pixels of an image that is decoded.
    """

    def __init__(self, paths: Sequence[Path], *, channels: int, pictures: Pictures | None, max_pixels: int) -> None:
        self.paths, self.channels, self.pictures, self.max_pixels = paths, channels, pictures, max_pixels

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Still | Exception | None:
        path = self.paths[index]
        try:
            head = header(path, self.max_pixels)
            return None if is_read_in_parts(head[:2], self.channels, head.depth) else self.read(path)
        except (UserError, OSError) as error:
            return error

    def read(self, path: Path) -> Still:
        """Raises UserError for a file that is none, or damaged, or too large."""
        stamp, head = stamp_of(path), header(path, self.max_pixels)
        image = None
        if is_read_in_parts(head[:2], self.channels, head.depth):
            image = open_in_parts(path, self.max_pixels, channels=self.channels, bits=head.depth)
        if image is None:
            image = read_picture(path, self.max_pixels, channels=self.channels, bits=head.depth)
        values = filled(image.values(SAMPLE))
        return Still(image, self.pictures.remark(*head.stored, values) if self.pictures else "", stamp)


def as_it_is(item: Any) -> Any:
    """What a loader makes of an item that is no batch."""
    return item
