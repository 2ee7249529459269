"""Films: their frames as images, and images as the frames of a film. PyAV, which reads and writes them, is an extra."""

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...errors import UserError

SUFFIXES = {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm"}
NEEDED = "films need PyAV: pip install 'segtrain[video]'"
RATE = Fraction(25)  # frames a second of a film that does not say it
QUALITY = {"crf": "18"}  # of H.264: no difference is seen


def is_film(path: Path) -> bool:
    """Whether a file is a film by its name."""
    return path.suffix.lower() in SUFFIXES


class Film(NamedTuple):
    """A film that is open; `length` is the number of its frames as the file says it, or about that by its duration; 0
    where it says neither."""

    rate: Fraction
    length: int
    frames: Iterator[np.ndarray]  # (H, W, 3) uint8, upright


@contextmanager
def opened(path: Path, max_pixels: int) -> Iterator[Film]:
    """The first film in a file. Raises UserError for what is none, for a damaged one when its frames are read, and for
    frames of too many pixels."""
    with readable(path):
        container = library().open(str(path))
    with container:
        if not container.streams.video:
            raise UserError(f"{path}: it holds no film")
        stream = container.streams.video[0]
        if stream.height * stream.width > max_pixels:
            raise UserError(f"{path}: frames of {stream.height} x {stream.width}, more than {max_pixels} pixels")
        stream.thread_type = "AUTO"
        rate = stream.average_rate or RATE
        yield Film(rate, stream.frames or by_duration(container, rate), frames(path, container, stream))


def by_duration(container: Any, rate: Fraction) -> int:
    """About how many frames a film of this rate has, which WebM and Matroska do not count; 0 where it does not say how
    long it is."""
    return round(Fraction(container.duration or 0, library().time_base) * rate)


def frames(path: Path, container: Any, stream: Any) -> Iterator[np.ndarray]:
    """The frames of a stream, turned as the camera was."""
    with readable(path):
        for frame in container.decode(stream):
            yield np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Inside, what PyAV says of a damaged file becomes a UserError."""
    av = library()
    try:
        yield
    except av.FFmpegError as error:
        raise UserError(f"{path}: not a film that can be read ({type(error).__name__})") from None


@contextmanager
def written(path: Path, rate: Fraction) -> Iterator[Callable[[np.ndarray], None]]:
    """A film (MP4, H.264), to which a call adds a frame (H, W, 3) uint8; all are of one size.

    Frames of odd sides are made even, which the colours of H.264 ask for, by their last row or column once more.
    """
    av = library()
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate, options=QUALITY)
        stream.pix_fmt = "yuv420p"

        def add(picture: np.ndarray) -> None:
            height, width, _ = picture.shape
            even = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
            if not stream.codec_context.is_open:
                stream.height, stream.width = even.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))

        yield add
        container.mux(stream.encode(None))


def has_library() -> bool:
    return importlib.util.find_spec("av") is not None


def library() -> Any:
    """PyAV. Raises UserError where it is not installed."""
    try:
        return importlib.import_module("av")
    except ImportError:
        raise UserError(NEEDED) from None
