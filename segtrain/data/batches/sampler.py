"""Which samples make up batch number n, without end and without state."""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import count

import numpy as np
from torch.utils.data import Sampler

from ...errors import UserError

ORDER, SAMPLE = 0, 1  # domains of `generator`
PIXELS, MOST = 1 << 20, 16  # of the whole images that are scored at a time, and how many they may be


def generator(seed: int, domain: int, position: int) -> np.random.Generator:
    """All randomness of the data is drawn from here: a pure function of the seed and a position."""
    return np.random.default_rng([seed, domain, position])


class EndlessBatchSampler(Sampler[list[int]]):
    """Yields lists of keys; the key of a sample is epoch * length + index, so it also says which visit this is.

    Batch n holds the positions n * batch_size to (n + 1) * batch_size - 1 of one endless sequence of shuffled epochs,
    whoever computes it: ranks share it out. Batches run across epochs, so that
    each epoch visits each sample exactly once.

    Args:
        length: The number of samples.
        done: Batches that were computed before, where to start.
    """

    def __init__(
        self, length: int, batch_size: int, seed: int, *, done: int = 0, rank: int = 0, ranks: int = 1
    ) -> None:
        if batch_size % ranks:
            raise UserError(f"data.batch_size={batch_size} cannot be shared by {ranks} processes: take a multiple")
        self.length, self.batch_size, self.seed = length, batch_size, seed
        self.done, self.rank, self.ranks = done, rank, ranks
        self._order = lru_cache(maxsize=2)(self._shuffled)

    def __iter__(self) -> Iterator[list[int]]:
        share = self.batch_size // self.ranks
        for batch in count(self.done):
            first = batch * self.batch_size + self.rank * share
            yield [self._key(position) for position in range(first, first + share)]

    def _key(self, position: int) -> int:
        epoch, place = divmod(position, self.length)
        return epoch * self.length + int(self._order(epoch)[place])

    def _shuffled(self, epoch: int) -> np.ndarray:
        return generator(self.seed, ORDER, epoch).permutation(self.length)


class Share(Sampler[list[int]]):
    """Every `ranks`-th of some batches: all ranks together take each once.

    A rank that gets none still says that it has one, since Lightning leaves out the scoring of a rank without,
    and the others would wait for it.
    """

    def __init__(self, batches: Sequence[list[int]], rank: int, ranks: int) -> None:
        self.batches = batches[rank::ranks]

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return max(len(self.batches), 1)


def number_together(height: int, width: int) -> int:
    """How many whole images of this size are scored at a time."""
    return max(1, min(MOST, PIXELS // (height * width)))


def of_one_size(sizes: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Batches of the indices of images of one (height, width): up to `MOST`, of up to `PIXELS` together, or one.

    They depend on the sizes alone: where sums depend on what is computed together, as in bf16, a score must not depend
    on how many processes there are.
    """
    alike: dict[tuple[int, int], list[int]] = {}
    for index, (height, width) in enumerate(sizes):
        alike.setdefault((height, width), []).append(index)
    batches = []
    for (height, width), indices in alike.items():
        number = number_together(height, width)
        batches += [indices[start : start + number] for start in range(0, len(indices), number)]
    return batches
