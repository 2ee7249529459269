"""Long sequences that take up little memory: their elements are made when they are asked for."""

from array import array
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import chain, pairwise
from pathlib import Path
from typing import Generic, TypeVar, overload

import numpy as np

from .masks import MaskFile
from .pair import Pair

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


class Joined(Packed[T]):
    """Sequences one behind the other."""

    def __init__(self, parts: Iterable[Sequence[T]]) -> None:
        self.parts = list(parts)

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def at(self, index: int) -> T:
        for part in self.parts:
            if index < len(part):
                return part[index]
            index -= len(part)
        raise IndexError(index)

    def __iter__(self) -> Iterator[T]:
        return chain.from_iterable(self.parts)


class PackedPairs(Packed[Pair]):
    """Images with masks in files of their own, by the names of the pairs and the paths of the files."""

    def __init__(self, names: Iterable[str], images: Iterable[str], masks: Iterable[str]) -> None:
        self.names, self.images, self.masks = Texts(names), Texts(images), Texts(masks)

    def __len__(self) -> int:
        return len(self.names)

    def at(self, index: int) -> Pair:
        return Pair(self.names[index], Path(self.images[index]), MaskFile(Path(self.masks[index])))

    def __iter__(self) -> Iterator[Pair]:
        for name, image, mask in zip(self.names, self.images, self.masks, strict=True):
            yield Pair(name, Path(image), MaskFile(Path(mask)))


def packed(pairs: Sequence[Pair]) -> Sequence[Pair]:
    """The same pairs; those with masks of other kinds stay as they are."""
    if isinstance(pairs, Packed) or any(type(pair.mask) is not MaskFile for pair in pairs):
        return pairs
    names = (pair.name for pair in pairs)
    images = (str(pair.image) for pair in pairs)
    return PackedPairs(names, images, (pair.mask.name for pair in pairs))


def texts_of(pairs: Sequence[Pair]) -> Iterator[tuple[str, str]]:
    """(path of the image, name of the mask) of each pair. No paths are made of packed pairs, which would take long."""
    if isinstance(pairs, Joined):
        return chain.from_iterable(map(texts_of, pairs.parts))
    if isinstance(pairs, PackedPairs):
        return zip(pairs.images, pairs.masks, strict=True)
    return ((str(pair.image), pair.mask.name) for pair in pairs)
