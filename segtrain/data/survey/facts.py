"""What is known of an image file and of a mask, as numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ImageFacts:
    """An image file. Height and width are those shown, after the EXIF orientation; 0 where the header is damaged.

    Attributes:
        channels: Channels that are stored, alpha among them; a palette counts as 3.
        bits: Bits of a channel.
        mode: Pillow's mode, such as L, P, RGB, I;16.
        orientation: The EXIF orientation, 1 to 8.
        digest: A hash of the file's bytes.
        look: The image in 16 x 16 grey pixels, stretched to 0..255; empty if it is of one grey.
        mean: The mean of each channel but alpha, as a fraction of white; `square` is the mean of the squares.
        problem: Why the image cannot be used; then what lies behind the header is unknown.
    """

    height: int = 0
    width: int = 0
    channels: int = 0
    bits: int = 0
    mode: str = ""
    format: str = ""
    orientation: int = 1
    digest: str = ""
    look: bytes = b""
    mean: tuple[float, ...] = ()
    square: tuple[float, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class MaskFacts:
    """A mask file, with what `ImageFacts` holds of an image, and the numbers of its pixels.

    Attributes:
        channels: Channels as they are read: 1 for values and palette indices; 3 or more for colours.
        lossy: Whether the file format changes numbers when it is written.
        colours: Index -> 24-bit colour of a palette mask, for the indices that occur.
        counts: Value, palette index or 24-bit colour -> pixels, for up to `MAX_VALUES` or `MAX_COLOURS` of them.
        solid: The pixels among them that equal their neighbours to the right, below and across, or nearly if `lossy`.
    """

    height: int = 0
    width: int = 0
    channels: int = 0
    bits: int = 0
    mode: str = ""
    format: str = ""
    orientation: int = 1
    lossy: bool = False
    colours: Mapping[int, int] = field(default_factory=dict)
    counts: Mapping[int, int] = field(default_factory=dict)
    solid: Mapping[int, int] = field(default_factory=dict)
    problem: str = ""

    @property
    def rest(self) -> int:
        """Pixels of numbers that are not counted singly."""
        return 0 if self.problem else self.height * self.width - sum(self.counts.values())
