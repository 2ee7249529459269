"""What the pictures of a data set are like: the kind and the depth of their numbers, and which values they fill."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from ...text import counted

Kind = Literal["unsigned", "signed", "float"]
DEPTHS = {"unsigned": (8, 16, 32), "signed": (8, 16, 32), "float": (16, 32, 64)}  # bits of the numbers that are read
TAIL = 0.005  # share of an image's pixels that lie below its low, and share of those above its high
ODD = 0.05  # share of the images whose low may lie below that of all together, and likewise above
FULL = 0.5  # pictures that fill this share of black to white are jittered as photographs are
ALIKE = 4  # times that one colour channel may fill more than another, where they share one range
SAMPLE = 1 << 18  # pixels of an image that its low and its high are taken of
FAR, OTHER_DEPTH = 8, 2  # times that an image may fill less than a dim one of the training; where its depth differs
BRIGHT = 2  # times that an image may fill more than the brightest one of the training


class Span(NamedTuple):
    """The lowest and the highest value of each channel that pictures fill, without outliers."""

    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def width(self) -> np.ndarray:
        return np.array(self.high) - np.array(self.low)


def scale_of(kind: str, bits: int) -> int:
    """The number that is white; 1 for kinds of numbers that have none."""
    return 2**bits - 1 if kind == "unsigned" and bits <= 16 else 1


def filled(pixels: np.ndarray) -> Span:
    """The values that pixels (C, N) of one image fill, but for the darkest and the brightest half per cent."""
    if not pixels.size:
        return Span((), ())
    step = -(-pixels.shape[1] // SAMPLE)
    low, high = np.quantile(pixels[:, ::step].astype(np.float64), [TAIL, 1 - TAIL], axis=1)
    return Span(tuple(low.tolist()), tuple(high.tolist()))


class Summary(NamedTuple):
    """What a training wants to know of the pixels of one image.

    Attributes:
        pixels: Those that hold data.
        mean: The mean of each channel; `square` is the mean of the squares.
    """

    pixels: int
    mean: tuple[float, ...]
    square: tuple[float, ...]
    span: Span

    @classmethod
    def of(cls, values: np.ndarray) -> "Summary":
        """Of the values (C, N) of an image."""
        if not values.size:
            return cls(0, (), (), Span((), ()))
        mean, square = values.mean(1), (values**2).mean(1)
        return cls(values.shape[1], tuple(mean.tolist()), tuple(square.tolist()), filled(values))

    def of_channels(self, channels: int) -> "Summary":
        """The same with the first `channels` alone; of grey with all of them, which are then equal."""
        low, high = self.span
        several = (
            numbers * channels if len(numbers) == 1 else numbers for numbers in (self.mean, self.square, low, high)
        )
        mean, square, low, high = (numbers[:channels] for numbers in several)
        return Summary(self.pixels, mean, square, Span(low, high))


@dataclass(frozen=True)
class Pictures:
    """What the pictures that a network was trained on are like.

    Values are fractions of white where the numbers are unsigned and have up to 16 bits, else the numbers themselves.

    Attributes:
        bits: Bits of a channel, as the files store it.
        channels: The channels of the files, without alpha; a training may have taken the first of them alone.
        low, high: The values that the pictures together fill, for each channel that a network is given.
        peaks: The highest value of a dim image and of the brightest one, on a scale that is 0 at low and 1 at high.
    """

    kind: Kind
    bits: int
    channels: int
    low: tuple[float, ...]
    high: tuple[float, ...]
    peaks: tuple[float, float]

    @classmethod
    def of(cls, kind: Kind, bits: int, channels: int, spans: Sequence[Span]) -> "Pictures | None":
        """From the values that each image fills; `None` without any image."""
        spans = [span for span in spans if span.low]
        if not spans:
            return None
        low = np.quantile([span.low for span in spans], ODD, axis=0)
        high = np.quantile([span.high for span in spans], 1 - ODD, axis=0)
        whole = Span(tuple(low.tolist()), tuple(high.tolist()))
        peaks = [peak(span, whole) for span in spans]
        dim = float(np.quantile(peaks, ODD))
        return cls(kind, bits, channels, whole.low, whole.high, (dim, max(peaks)))

    @classmethod
    def stored(cls, content: Any) -> "Pictures | None":
        """What a record says, which may be a stranger's; `None` where it says nothing that can be used."""
        try:
            low, high, peaks = (tuple(map(float, content[name])) for name in ("low", "high", "peaks"))
            kind, bits, channels = content["kind"], int(content["bits"]), int(content["channels"])
        except (KeyError, TypeError, ValueError, OverflowError):
            return None
        is_whole = 0 < len(low) == len(high) and len(peaks) == 2 and kind in get_args(Kind) and bits in DEPTHS[kind]
        if not is_whole or not np.isfinite([*low, *high, *peaks]).all() or not np.less_equal(low, high).all():
            return None
        return cls(kind, bits, channels, low, high, (peaks[0], peaks[1]))

    @property
    def stores(self) -> str:
        """How the numbers are stored, in words."""
        return stores(self.kind, self.bits)

    @property
    def fills(self) -> str:
        """Which values the pictures fill, in words, as they stand in the files."""
        return fills(self.kind, self.bits, Span(self.low, self.high))

    def span(self) -> Span | None:
        """The range in which colours are jittered; `None` for black to white, as photographs fill it.

        Three channels that fill nearly the same have one range, so that grey stays grey. What is the same in all
        pictures has the range of the others.
        """
        whole = Span(self.low, self.high)
        varied = whole.width > 0
        if not varied.any():
            return None
        low, high = np.array(whole.low), np.array(whole.high)
        joint = low[varied].min(), high[varied].max()
        are_colors = len(low) == 3 and whole.width[varied].min() * ALIKE >= joint[1] - joint[0]
        together = ~varied | are_colors
        low, high = np.where(together, joint[0], low), np.where(together, joint[1], high)
        as_photograph = (high - low >= FULL) & (low >= 0) & (high <= 1)
        if as_photograph.all():
            return None
        low, high = np.where(as_photograph, 0, low), np.where(as_photograph, 1, high)
        return Span(tuple(low.tolist()), tuple(high.tolist()))

    def remark(self, kind: str, bits: int, channels: int, span: Span) -> str:
        """All that is said of an image that differs from these pictures; nothing of one that does not."""
        return "; ".join(filter(None, (self.differ_in_channels(channels), self.differ(kind, bits, span))))

    def differ(self, kind: str, bits: int, span: Span) -> str:
        """What is said of an image that differs so much from these pictures that a network will take it for another
        thing; nothing of one that does not. Channels are judged by `differ_in_channels`."""
        whole = Span(self.low, self.high)
        if not span.low or len(span.low) != len(self.low) or not (whole.width > 0).any():
            return ""
        own, (dim, brightest) = peak(span, whole), self.peaks
        if (kind, bits) == (self.kind, self.bits):
            least = dim / FAR if dim > 0 else -np.inf  # black pictures were among those of the training
        else:
            least = (dim if dim > 0 else 1) / OTHER_DEPTH
        if least <= own <= BRIGHT * max(brightest, 1):
            return ""
        return (
            f"{stores(kind, bits)} that fill {fills(kind, bits, span)}, where the training's pictures have "
            f"{self.stores} and fill {self.fills}"
        )

    def differ_in_channels(self, channels: int) -> str:
        """What is said of an image with another number of channels than these pictures have; nothing of grey, which
        is repeated for colours as a viewer does."""
        if channels == self.channels or (channels, len(self.low)) == (1, 3):
            return ""
        use = "they become grey" if len(self.low) == 1 and channels == 3 else f"the first {len(self.low)} are used"
        return f"{counted(channels, 'channel')}, where the training's pictures have {self.channels}: {use}"


def peak(span: Span, whole: Span) -> float:
    """Where the highest values of an image lie, on a scale that is 0 at the low and 1 at the high of all pictures."""
    varied = whole.width > 0
    if not varied.any():
        return 1.0
    return float(((np.array(span.high) - np.array(whole.low))[varied] / whole.width[varied]).max())


def stores(kind: str, bits: int) -> str:
    """How numbers are stored, in words."""
    return f"{bits} bits" + {"unsigned": "", "signed": " with a sign", "float": " with fractions"}[kind]


def fills(kind: str, bits: int, span: Span) -> str:
    """Which values a span covers, in words, as they stand in the files."""
    white = scale_of(kind, bits)
    low, high = min(span.low) * white, max(span.high) * white
    if white > 1:
        return f"{low:.0f} to {high:.0f} of {white}"
    return " to ".join(f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}" for value in (low, high))
