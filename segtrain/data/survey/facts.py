"""What is known of an image file and of a mask, as numbers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..files.pictures import Kind, Pictures, Span, Summary


@dataclass(frozen=True)
class FileFacts:
    """What is known of images and masks alike; height and width, after the EXIF orientation, are 0 if it is damaged."""

    height: int = 0
    width: int = 0
    channels: int = 0
    bits: int = 0  # of a channel
    mode: str = ""  # Pillow's, such as L, P, RGB, I;16
    format: str = ""
    orientation: int = 1  # by EXIF, 1 to 8
    problem: str = ""  # why the file cannot be used; then what lies behind its header is unknown


@dataclass(frozen=True)
class ImageFacts(FileFacts):
    """An image file. Its channels are those stored, alpha among them; a palette counts as 3.

    Attributes:
        kind: Of its numbers: unsigned, signed or float.
        alpha: The share of the pixels that the channel marked as alpha makes neither clear nor opaque; `None` if there
            is none. It is not read otherwise.
        digest: A hash of the file's bytes.
        look: The image in 16 x 16 grey pixels, stretched to 0..255; empty if it is of one grey.
        pixels: Those that hold data.
        mean: The mean of each channel but alpha, as a fraction of white where there is one; `square` is the mean of the
            squares.
        low: The value below which half a per cent of the pixels lie, and `high` the one above which others do.
    """

    kind: Kind = "unsigned"
    alpha: float | None = None
    digest: str = ""
    look: bytes = b""
    pixels: int = 0
    mean: tuple[float, ...] = ()
    square: tuple[float, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()

    @property
    def summary(self) -> Summary:
        return Summary(self.pixels, self.mean, self.square, Span(self.low, self.high))


@dataclass(frozen=True)
class MaskFacts(FileFacts):
    """A mask file. Its channels are those read: 1 for values and palette indices; 3 or more for colours.

    Attributes:
        lossy: Whether the file format changes numbers when it is written.
        colours: Index -> 24-bit colour of a palette mask, for the indices that occur.
        counts: Value, palette index or 24-bit colour -> pixels, for up to `MAX_VALUES` or `MAX_COLOURS` of them.
        solid: The pixels among them that equal their neighbours to the right, below and across, or nearly if `lossy`.
        whole: How many of the numbers have all their pixels in one connected piece; 0 for few numbers, and if `lossy`.
        overlap: Pixels that masks of several classes claim, where each class has its own.
    """

    lossy: bool = False
    colours: Mapping[int, int] = field(default_factory=dict)
    counts: Mapping[int, int] = field(default_factory=dict)
    solid: Mapping[int, int] = field(default_factory=dict)
    whole: int = 0
    overlap: int = 0

    @property
    def rest(self) -> int:
        """Pixels of numbers that are not counted singly."""
        return 0 if self.problem else self.height * self.width - sum(self.counts.values())


def pictures(images: Sequence[ImageFacts]) -> Pictures | None:
    """What these images are like together: of the kind that most of them are. Among colours, grey is repeated."""
    images = [image for image in images if image.low]
    kinds: Counter[tuple[Kind, int]] = Counter((image.kind, max(image.bits, 8)) for image in images)
    if not kinds:
        return None
    (kind, bits), _ = kinds.most_common(1)[0]
    channels = max(len(image.low) for image in images)
    same = [
        image.summary.of_channels(channels)
        for image in images
        if image.kind == kind and len(image.low) in (1, channels)
    ]
    return Pictures.of(kind, bits, channels, [summary.span for summary in same])
