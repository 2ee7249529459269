"""Long sequences that take up little memory: their elements are made when they are asked for."""

from array import array
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Generic, TypeVar, overload

import numpy as np

from ..files.masks import MaskFile
from ..files.pair import Pair

T = TypeVar("T")
H = TypeVar("H", bound=Hashable)


class Packed(Sequence[T], Generic[T]):
    """A sequence whose elements `at` makes; it equals a list of the same elements."""

    def at(self, index: int) -> T:
        """The element at an index from 0 on."""
        raise NotImplementedError

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> list[T]: ...

    def __getitem__(self, index: int | slice) -> T | list[T]:
        places = range(len(self))[index]
        return self.at(places) if isinstance(places, int) else [self.at(place) for place in places]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]


class Texts(Packed[str]):
    """Texts, one behind the other."""

    def __init__(self, texts: Iterable[str]) -> None:
        content, ends = bytearray(), array("q", [0])
        for text in texts:
            content += text.encode(errors="surrogateescape")
            ends.append(len(content))
        self.content, self.ends = bytes(content), np.array(ends)

    def __len__(self) -> int:
        return len(self.ends) - 1

    def at(self, index: int) -> str:
        return self.content[self.ends[index] : self.ends[index + 1]].decode(errors="surrogateescape")

    def __iter__(self) -> Iterator[str]:
        for start, end in pairwise(self.ends.tolist()):
            yield self.content[start:end].decode(errors="surrogateescape")


class Repeated(Packed[H]):
    """Elements of which there are many, but few that differ."""

    def __init__(self, elements: Iterable[H]) -> None:
        number_of: dict[H, int] = {}
        numbers = array("i", (number_of.setdefault(element, len(number_of)) for element in elements))
        self.different, self.numbers = list(number_of), np.array(numbers)

    def __len__(self) -> int:
        return len(self.numbers)

    def at(self, index: int) -> H:
        return self.different[self.numbers[index]]

    def __iter__(self) -> Iterator[H]:
        return map(self.different.__getitem__, self.numbers.tolist())

    def firsts(self) -> list[tuple[int, H]]:
        """(index, element) where an element stands for the first time."""
        _, places = np.unique(self.numbers, return_index=True)
        return list(zip(places.tolist(), self.different, strict=True))


class Pairs(Packed[Pair]):
    """Images with masks in files of their own."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self.names = Texts(pair.name for pair in pairs)
        self.images = Texts(str(pair.image) for pair in pairs)
        self.masks = Texts(str(pair.mask.path) for pair in pairs)

    def __len__(self) -> int:
        return len(self.names)

    def at(self, index: int) -> Pair:
        return Pair(self.names[index], Path(self.images[index]), MaskFile(Path(self.masks[index])))


def packed(pairs: Sequence[Pair]) -> Sequence[Pair]:
    """The same pairs; those with masks of other kinds stay as they are."""
    if isinstance(pairs, Packed) or any(type(pair.mask) is not MaskFile for pair in pairs):
        return pairs
    return Pairs(pairs)
