"""Many files are read once: in several processes, while others that want the same wait, and what was found is kept."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from os.path import commonpath
from pathlib import Path
from typing import Any, Generic, TypeVar

from filelock import FileLock
from torch.utils.data import Dataset, Subset

from ..files.pair import Pair
from ..workers import Loader
from .memory import Memory

T = TypeVar("T")


@dataclass(frozen=True)
class Wanted(Generic[T]):
    """What is wanted of each pair.

    Attributes:
        read: Reads it from the files; what it raises ends everything.
        recall: Of each pair what the memory has, or `None`.
        keep: Puts it into the memory.
        few: Pairs that are read before other processes have started.
        at_once: Pairs that a process reads before it hands them over.
    """

    read: Callable[[Pair], T]
    recall: Callable[[Memory, Sequence[Pair]], list[T | None]]
    keep: Callable[[Memory, Pair, T], None]
    few: int
    at_once: int


def read_once(
    pairs: Sequence[Pair], wanted: Wanted[T], *, workers: int, cache: Path | None, advance: Callable[[int], None]
) -> list[T]:
    """What is wanted of each pair; of files that have not changed since it was put into `cache`, they are not read.

    Of several processes that want much of the same folder, the first one reads, and the others wait for it.
    """
    with Memory(cache) as memory:
        results = wanted.recall(memory, pairs)
    todo = missing(results)
    if not todo:
        advance(len(pairs))
        return found(results)
    with first_of_several(pairs, cache) if len(todo) > wanted.few else nullcontext(), Memory(cache) as memory:
        if len(todo) > wanted.few:  # another process may have read them, while this one waited
            results = wanted.recall(memory, pairs)
            todo = missing(results)
        advance(len(pairs) - len(todo))
        fresh = read_all(pairs, todo, wanted, workers)
        for index, result in zip(todo, fresh, strict=True):
            wanted.keep(memory, pairs[index], result)
            results[index] = result
            advance(1)
    return found(results)


def missing(results: Sequence[Any]) -> list[int]:
    return [index for index, result in enumerate(results) if result is None]


def found(results: Sequence[T | None]) -> list[T]:
    """The results, of which none is missing."""
    return [result for result in results if result is not None]


def first_of_several(pairs: Sequence[Pair], cache: Path | None) -> AbstractContextManager[Any]:
    """Lets one process in at a time that reads images of this folder."""
    if cache is None or not cache.parent.is_dir():
        return nullcontext()
    folder = commonpath([pair.image.absolute() for pair in (pairs[0], pairs[-1])])
    digest = hashlib.blake2b(folder.encode(errors="surrogateescape"), digest_size=8).hexdigest()
    return FileLock(cache.with_name(f"{cache.stem}-{digest}.lock"))


class Read(Dataset[T]):
    """Index -> what is wanted of a pair."""

    def __init__(self, pairs: Sequence[Pair], wanted: Wanted[T]) -> None:
        self.pairs, self.wanted = pairs, wanted

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> T:
        return self.wanted.read(self.pairs[index])


def read_all(pairs: Sequence[Pair], todo: Sequence[int], wanted: Wanted[T], workers: int) -> Iterator[T]:
    """What is wanted of the pairs at these places, in order."""
    dataset = Read(pairs, wanted)
    few = min(wanted.few, len(todo)) if workers > 0 else len(todo)
    for index in todo[:few]:
        yield dataset[index]
    if few < len(todo):
        rest = Subset(dataset, todo[few:])
        loader = Loader(rest, batch_size=wanted.at_once, collate_fn=list, num_workers=workers)
        try:
            for batch in loader:
                yield from batch
        finally:
            loader.stop()
