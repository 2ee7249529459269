"""What the files of a data set hold, as numbers: read once, in several processes, and remembered."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ..files.pair import Pair
from ..workers import cores
from .facts import ImageFacts, MaskFacts
from .measure import examine_image, examine_mask
from .memory import Memory
from .once import Wanted, read_once

MAX_READERS = 8


class Survey(NamedTuple):
    """Facts by image file, and by the name of the mask."""

    images: dict[Path, ImageFacts]
    masks: dict[str, MaskFacts]

    def image(self, pair: Pair) -> ImageFacts:
        return self.images[pair.image]

    def mask(self, pair: Pair) -> MaskFacts:
        return self.masks[pair.mask.name]

    def usable_images(self, pairs: Iterable[Pair]) -> list[ImageFacts]:
        return [facts for facts in map(self.image, pairs) if not facts.problem]

    def usable_masks(self, pairs: Iterable[Pair]) -> list[MaskFacts]:
        return [facts for facts in map(self.mask, pairs) if not facts.problem]


def survey(
    pairs: Sequence[Pair],
    *,
    max_pixels: int,
    workers: int,
    cache: Path | None,
    advance: Callable[[int], None] = lambda pairs: None,
) -> Survey:
    """The facts of all files. Those that have not changed since they were put into `cache` are not read.

    Args:
        workers: Processes that read.
        cache: A file that is made if it is not there; without it nothing is remembered.
        advance: Called with the number of pairs that are done since it was called last.
    """
    wanted = Wanted(
        read=partial(examine, max_pixels=max_pixels),
        recall=Memory.facts,
        keep=keep_facts,
        few=24,
        at_once=4,
    )
    facts = read_once(pairs, wanted, workers=workers, cache=cache, advance=advance)
    images, masks = {}, {}
    for pair, both in zip(pairs, facts, strict=True):
        images[pair.image], masks[pair.mask.name] = both
    return Survey(images, masks)


def examine(pair: Pair, max_pixels: int) -> tuple[ImageFacts, MaskFacts]:
    """The facts of an image and of its mask."""
    return examine_image(pair.image, max_pixels), examine_mask(pair, max_pixels)


def keep_facts(memory: Memory, pair: Pair, facts: tuple[ImageFacts, MaskFacts]) -> None:
    memory.keep_facts(pair, *facts)


def unknown(pairs: Sequence[Pair], cache: Path | None) -> list[Pair]:
    """The pairs that `survey` would have to read."""
    with Memory(cache) as memory:
        return [pair for pair, known in zip(pairs, memory.knows_facts(pairs), strict=True) if not known]


def readers() -> int:
    """Processes that read: one for each core that we may use; none beside a single one."""
    return min(MAX_READERS, cores()) if cores() > 1 else 0
