"""The headers of all files, read once and remembered."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ...errors import UserError
from ..files.images import Header
from ..files.pair import Pair, checked_header
from .memory import Memory
from .once import Wanted, read_once

Problem = UserError | OSError


def read_headers(
    pairs: Sequence[Pair],
    *,
    max_pixels: int,
    workers: int,
    cache: Path | None,
    advance: Callable[[int], None] = lambda pairs: None,
) -> list[Header | Problem]:
    """The header of each image, or why it does not do: its own file, its mask's, or both do not fit together.

    Args:
        workers, cache, advance: As in `survey`.
    """
    wanted = Wanted(
        read=partial(header_or_error, max_pixels=max_pixels),
        recall=partial(known_headers, max_pixels=max_pixels),
        keep=keep_header,
        few=500,
        at_once=64,
    )
    return read_once(pairs, wanted, workers=workers, cache=cache, advance=advance)


def header_or_error(pair: Pair, max_pixels: int) -> Header | Problem:
    try:
        return checked_header(pair, max_pixels)
    except (UserError, OSError) as error:
        return error


def known_headers(memory: Memory, pairs: Sequence[Pair], max_pixels: int) -> list[Header | Problem | None]:
    """The headers that are remembered, but those of images that are too large: another limit may have held then."""
    known: list[Header | Problem | None] = []
    for header in memory.headers(pairs):
        fits = header is not None and header.height * header.width <= max_pixels
        known.append(header if fits else None)
    return known


def keep_header(memory: Memory, pair: Pair, result: Header | Problem) -> None:
    if isinstance(result, Header):
        memory.keep_header(pair, result)
