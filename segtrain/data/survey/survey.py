"""What the files of a data set hold, as numbers: read once, in several processes, and remembered."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from torch.utils.data import Dataset, Subset

from ..files.pair import Pair
from ..workers import Loader, cores
from .facts import ImageFacts, MaskFacts
from .measure import examine_image, examine_mask
from .memory import Memory

FEW = 24  # pairs that are read before other processes have started
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
    with Memory(cache) as memory:
        facts = [memory.recall(pair) for pair in pairs]
        todo = [index for index, known in enumerate(facts) if known is None]
        advance(len(pairs) - len(todo))
        fresh = examined([pairs[index] for index in todo], max_pixels, workers)
        for index, both in zip(todo, fresh, strict=True):
            memory.keep(pairs[index], *both)
            facts[index] = both
            advance(1)
    images, masks = {}, {}
    for pair, both in zip(pairs, facts, strict=True):
        assert both is not None
        images[pair.image], masks[pair.mask.name] = both
    return Survey(images, masks)


def unknown(pairs: Sequence[Pair], cache: Path | None) -> list[Pair]:
    """The pairs that `survey` would have to read."""
    with Memory(cache) as memory:
        return [pair for pair in pairs if not memory.recall(pair)]


class Examined(Dataset[tuple[ImageFacts, MaskFacts]]):
    """Index -> the facts of a pair."""

    def __init__(self, pairs: Sequence[Pair], max_pixels: int) -> None:
        self.pairs, self.max_pixels = pairs, max_pixels

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[ImageFacts, MaskFacts]:
        pair = self.pairs[index]
        return examine_image(pair.image, self.max_pixels), examine_mask(pair, self.max_pixels)


def examined(pairs: Sequence[Pair], max_pixels: int, workers: int) -> Iterator[tuple[ImageFacts, MaskFacts]]:
    """The facts of each pair, in order."""
    dataset = Examined(pairs, max_pixels)
    few = min(FEW, len(pairs)) if workers > 0 else len(pairs)
    for index in range(few):
        yield dataset[index]
    if few < len(pairs):
        loader = Loader(Subset(dataset, range(few, len(pairs))), batch_size=4, collate_fn=list, num_workers=workers)
        try:
            for batch in loader:
                yield from batch
        finally:
            loader.stop()


def readers() -> int:
    """Processes that read: one for each core that we may use; none beside a single one."""
    return min(MAX_READERS, cores()) if cores() > 1 else 0
