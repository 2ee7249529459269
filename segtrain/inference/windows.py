"""Images of any size, computed a piece at a time: at once where they fit, else in overlapping windows.

A network that looks only so far has windows that overlap by that much, of which the middle is kept: its answer is that
for the whole image. Where the side of the middle is given, a window sees up to half of it more on each side, which is
nearly all that counts. Of any other network, and where an overlap is given, the answers of windows are averaged, with
weights that fall off from the middle as a Gaussian does (nnU-Net, Isensee et al. 2021,
https://doi.org/10.1038/s41592-020-01008-z: a deviation of an eighth of the side).
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from ..errors import UserError
from .cost import bytes_per_pixel
from .reach import Reach, reach_of

FITS = 1 << 30  # bytes that computing takes at a time
SURE = 1 << 18  # pixels that always fit
LARGEST_CORE = 2048  # pixels a side that a window is kept of
LARGEST = 1024  # pixels a side of windows that are averaged
SMALLEST = 128
LEAST = 32  # that can be typed
DEVIATION = 1 / 8  # of a side
OVERLAP = 0.5

Compute = Callable[[Tensor], Tensor]


class Pixels(Protocol):
    """Images (N, C, H, W): a tensor, or what reads the part of them that is wanted."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, place: Any, /) -> Tensor: ...


class Piece(NamedTuple):
    """What a network answers to a part of a batch of images."""

    place: tuple[slice, slice, slice]  # images, rows and columns
    answer: Tensor  # (images, classes, rows, columns)

    @property
    def area(self) -> tuple[slice, slice]:
        """Rows and columns."""
        return self.place[1:]

    def with_maps(self, maps: Tensor, at_once: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The answer, and what maps (N, H, W) have at its place: of whole images in one, and of a part of an image in
        rows with about so many numbers of the answer."""
        inside = maps[self.place]
        if self.area == (slice(None), slice(None)):
            yield self.answer, inside
            return
        rows = max(1, at_once // self.answer[0, :, 0].numel())
        yield from zip(self.answer.split(rows, 2), inside.split(rows, 1), strict=True)


class Span(NamedTuple):
    """Rows or columns of an image."""

    window: slice  # what is computed
    kept: slice  # what is kept of it
    inner: slice  # the same, counted from the window's beginning


class Known(NamedTuple):
    """What is known of a network."""

    cost: float  # bytes that it takes for a pixel
    reach: Reach | None  # how far it looks, if that is known

    @property
    def largest(self) -> int:
        """The side of a square that fits."""
        return math.isqrt(int(FITS / self.cost))


def ignore(done: float) -> None:
    """What is told to nobody."""


class Windows:
    """How images that do not fit are computed.

    Args:
        side: Of windows, in pixels, that every larger image is computed in; `None` for whole images where they fit.
        overlap: Of neighbouring windows, as a share of their side, whose answers are averaged; `None` for the middles
            of larger windows where it is known how far the network looks, and else for `OVERLAP`.
    """

    def __init__(self, side: int | None = None, overlap: float | None = None) -> None:
        if side is not None and not (isinstance(side, int) and side >= LEAST):  # a stored one may be anything
            raise UserError(f"window={side}: expected null, or {LEAST} pixels or more")
        if overlap is not None and not (isinstance(overlap, int | float) and 0 <= overlap < 1):
            raise UserError(f"overlap={overlap}: expected a share of a window, from 0 to below 1")
        self.side, self.overlap = side, overlap
        self.watch: Callable[[float], None] = ignore  # is told how many of the images are done, such as 0.5
        self._known: WeakKeyDictionary[nn.Module, Known] = WeakKeyDictionary()

    def pieces(self, network: nn.Module, images: Pixels, compute: Compute | None = None) -> Iterator[Piece]:
        """What a network answers to images (N, C, H, W), in evaluation mode; each pixel is in one piece.

        `compute` gives images to the network, and by default calls it.
        """
        height, width = images.shape[-2:]
        done = 0  # pixels
        for piece in self._pieces(network, images, compute or network):
            yield piece
            done += piece.answer[:, 0].numel()
            self.watch(done / (height * width))

    def _pieces(self, network: nn.Module, images: Pixels, compute: Compute) -> Iterator[Piece]:
        """The same, watched by nobody."""
        together = self.together(network, images, compute)
        whole = slice(None)
        for index in range(0, len(images), max(together, 1)):
            if together:
                some = slice(index, index + together)
                yield Piece((some, whole, whole), compute(images[some, :, whole, whole]))
            else:
                one = slice(index, index + 1)
                image = images if len(images) == 1 else images[one]
                for rows, columns, answer in self._of_one(network, image, compute):
                    yield Piece((one, rows, columns), answer)

    def together(self, network: nn.Module, images: Pixels, compute: Compute) -> int:
        """How many of some images (N, C, H, W) are computed at once; 0 where each is computed in windows."""
        height, width = images.shape[-2:]
        if self.side is not None and max(height, width) > self.side:
            return 0
        fitting = SURE // (height * width)
        if fitting < len(images):
            cost = self.known(network, images, compute).cost
            fitting = max(fitting, int(FITS / (cost * height * width)))
        return fitting if self.side is None else max(fitting, 1)

    def known(self, network: nn.Module, images: Pixels, compute: Compute) -> Known:
        """What it costs to compute images such as these, and how far the network looks; found out once."""
        noted = getattr(network, "known", None)  # of one that does not show it, since it is another program
        if noted is not None:
            return noted
        if network not in self._known:
            self._known[network] = Known(bytes_per_pixel(compute, images), reach_of(network, compute, images))
        return self._known[network]

    def _of_one(self, network: nn.Module, image: Pixels, compute: Compute) -> Iterator[tuple[slice, slice, Tensor]]:
        """Rows, columns, and the answer there, of an image (1, C, H, W) that does not fit."""
        if self.overlap is None:
            reach, core = self._middles(network, image, compute)
            if reach is not None and core:
                yield from exact(compute, image, reach, core)
                return
        side = self.side or usual_side(self.known(network, image, compute).largest)
        yield from averaged(compute, image, side, OVERLAP if self.overlap is None else self.overlap)

    def _middles(self, network: nn.Module, image: Pixels, compute: Compute) -> tuple[Reach | None, int]:
        """How far windows look beyond their middles, if that is known, and the side of these; 0 where there are no
        such windows."""
        known = self.known(network, image, compute)
        if known.reach is None:
            return None, 0
        if self.side is None:
            return known.reach, core_of(known.largest, known.reach)
        reach = nearer(known.reach, self.side / 2)
        return reach, min(core_of(known.largest, reach), self.side // reach.grid * reach.grid)


def usual_side(largest: int) -> int:
    """Of windows that are averaged, of which a square of this side fits."""
    return min(max(largest // SMALLEST * SMALLEST, SMALLEST), LARGEST)


def core_of(largest: int, reach: Reach) -> int:
    """Pixels a side that are kept of windows of at most `largest`; 0 where these would mostly be computed in vain."""
    core = (min(LARGEST_CORE, largest - 2 * reach.halo) // reach.grid) * reach.grid
    return core if core >= reach.halo else 0


def nearer(reach: Reach, most: float) -> Reach:
    """The same for windows that see about `most` pixels around what is kept of them, if the network looks farther."""
    return reach._replace(halo=min(reach.halo, math.ceil(most / reach.grid) * reach.grid))


def exact(compute: Compute, image: Pixels, reach: Reach, core: int) -> Iterator[tuple[slice, slice, Tensor]]:
    """The middles of windows that see as far as their answers depend on."""
    height, width = image.shape[-2:]
    for rows in spans(height, reach, core):
        band = image[..., rows.window, :]
        for columns in spans(width, reach, core):
            seen = band[..., columns.window]
            kept = compute(seen)[..., rows.inner, columns.inner].clone()  # the rest of the answer is let go
            yield rows.kept, columns.kept, kept


def spans(length: int, reach: Reach, core: int) -> Iterator[Span]:
    """The windows along one side of an image, which begin where a pixel of the coarsest feature does."""
    for start in range(0, length, core):
        end = min(start + core, length)
        first = max(0, start - reach.halo)
        window = slice(first, min(end + reach.halo, length))
        yield Span(window, slice(start, end), slice(start - first, end - first))


def averaged(compute: Compute, image: Pixels, side: int, overlap: float) -> Iterator[tuple[slice, slice, Tensor]]:
    """The weighted mean of windows, in strips of columns whose sums fit, from above to below."""
    height, width = image.shape[-2:]
    tops, lefts = starts(height, side, overlap), starts(width, side, overlap)
    sample = compute(image[..., :side, :side])
    most = max(FITS // (8 * sample[0, :, 0, 0].numel() * side), side)  # columns
    for first in range(0, width, most):
        strip = Strip(sample, slice(first, min(first + most, width)))
        near = [left for left in lefts if strip.columns.start - side < left < strip.columns.stop]
        for top, following in zip(tops, [*tops[1:], height], strict=True):
            band = image[..., top : top + side, near[0] : near[-1] + side]
            for left in near:
                strip.add(compute(band[..., left - near[0] : left - near[0] + side]), left)
            yield slice(top, following), strip.columns, strip.taken(following - top)


class Strip:
    """Adds up the answers of windows, in as many rows as a window has, of some columns of an image.

    `sample` is the answer (1, classes, rows, columns) of one window.
    """

    def __init__(self, sample: Tensor, columns: slice) -> None:
        height, width = sample.shape[-2:]
        self.columns = columns
        self.weights = falling_off(height, sample.device)[:, None] * falling_off(width, sample.device)
        self.sums = sample.new_zeros(*sample.shape[:-1], columns.stop - columns.start, dtype=torch.float32)
        self.total = self.sums.new_zeros(self.sums.shape[-2:])

    def add(self, answer: Tensor, left: int) -> None:
        """Add the answer of the window that begins at the column `left` of the image."""
        start = max(left, self.columns.start)
        stop = min(left + answer.shape[-1], self.columns.stop)
        inside, place = slice(start - left, stop - left), slice(start - self.columns.start, stop - self.columns.start)
        self.sums[..., place] += self.weights[..., inside] * answer[..., inside]
        self.total[..., place] += self.weights[..., inside]

    def taken(self, rows: int) -> Tensor:
        """The mean in the uppermost rows, below which the strip goes on from here."""
        mean = self.sums[..., :rows, :] / self.total[:rows]
        for tensor in (self.sums, self.total):
            rest = tensor[..., rows:, :].clone()
            tensor.zero_()
            tensor[..., : rest.shape[-2], :] = rest
        return mean


def starts(length: int, side: int, overlap: float) -> list[int]:
    """Where windows begin along one side of an image: spread evenly, so that neighbours overlap by at least `overlap`
    of their side."""
    last = length - side
    if last <= 0:
        return [0]
    steps = math.ceil(last / max(1, int(side * (1 - overlap))))
    return [round(step * last / steps) for step in range(steps + 1)]


def falling_off(length: int, device: torch.device) -> Tensor:
    """(length,) float32: a Gaussian around the middle."""
    distance = torch.arange(length, dtype=torch.float32, device=device) - (length - 1) / 2
    return torch.exp(-((distance / (DEVIATION * length)) ** 2) / 2)
