"""How fast images become samples, and samples batches."""

import time
from collections.abc import Callable, Iterator
from copy import copy
from itertools import count, islice
from typing import Any, NamedTuple

from torch import Tensor
from torch.utils.data import default_collate

from ..data import DataModule
from ..data.batches.source import Source

Batch = dict[str, Tensor]
MEASURED = 3  # rates of a `Reading`


class Reading(NamedTuple):
    """Images a second."""

    decoded: float  # by one process: from a file to arrays of pixels and classes
    per_worker: float  # by one process: to crops in a batch, or from memory where they are kept there
    all: float  # by all processes that read, while nothing else is computed
    workers: int


def measured(data: DataModule, seconds: float, advance: Callable[[], None]) -> Reading:
    """What `data` reads, measured for so many seconds each; it needs a trainer, which says what its share is. `advance`
    is called after each."""
    source, loader = data.source("train"), data.train_dataloader()
    images = rate(decoded(source), seconds)
    advance()
    if data.cache_bytes:
        fill(source, seconds)
    crops = rate(map(len, crops_of(loader)), seconds)
    advance()
    batches = rate((len(batch["mask"]) for batch in loader), seconds)
    advance()
    loader.stop()
    return Reading(images, crops, batches, data.readers(data.trainer))


def decoded(source: Source) -> Iterator[int]:
    """1 for each image that is read from its file, without end."""
    uncached: Any = copy(source)
    uncached.cache = None
    for index in count():
        uncached.read(index % len(source))
        yield 1


def fill(source: Source, seconds: float) -> None:
    """Read images for at most so many seconds, so that a cache has them as it has them from the second epoch on."""
    end = time.perf_counter() + seconds
    for index in range(len(source)):
        source.read(index)
        if time.perf_counter() > end:
            break


def crops_of(loader: Any) -> Iterator[Tensor]:
    """The masks of batches that are made in this process."""
    for keys in loader.batch_sampler:
        yield default_collate([loader.dataset[key] for key in keys])["mask"]


def rate(counts: Iterator[int], seconds: float) -> float:
    """How many a second come, by the numbers of those that come together; the first ones are waited for and not
    counted."""
    next(counts)
    began, done = time.perf_counter(), 0
    for number in counts:
        done += number
        if time.perf_counter() - began >= seconds:
            break
    return done / (time.perf_counter() - began)


def some_batches(data: DataModule, number: int) -> list[Batch]:
    """Training batches, to be trained on again and again."""
    loader = data.train_dataloader()
    batches = list(islice(loader, number))
    loader.stop()
    return batches
