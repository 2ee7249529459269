"""Whether a few masks hold what the names of files promise: a mask for each class."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import combinations
from pathlib import Path

import numpy as np

from ...errors import UserError
from ..files.by_class import marked_pixels
from ..files.images import MAX_PIXELS
from ..files.masks import different_numbers
from .reading import Content, spread

LOOKS = 4  # images that are looked at for each class
ALIKE = 0.5  # intersection over union from which two masks may mean the same
WITHIN = 0.95  # share of a mask inside another from which it is a part of it, if it is smaller than
SMALLER = 0.8  # times the other: a cup in a disc

Files = Mapping[str, Mapping[str, Sequence[Path]]]  # image -> class -> files


def agreement(files: Files) -> tuple[Content, set[str]]:
    """Whether masks are those of classes, and the classes whose masks hold one value each.

    They differ where that is not so for two classes at least, and it is unclear where the masks of two classes mark
    nearly the same pixels, as those do that two people drew of one class.
    """
    regions = {image: dict(looked_at(files[image])) for image in some_images(files)}
    fits: dict[str, list[bool]] = defaultdict(list)
    for by_word in regions.values():
        for word, region in by_word.items():
            fits[word].append(region is not None)
    words = {word for word, looks in fits.items() if 2 * sum(looks) > len(looks)}
    if len(words) < 2:
        return "differs", words
    return "unclear" if any(likeness(regions)) else "fits", words


def some_images(files: Files) -> list[str]:
    """A few images for each class, those first that have many classes, and hence few images in all."""
    looks = Counter[str]()
    images: list[str] = []
    for image in sorted(files, key=lambda image: -len(files[image])):
        if any(looks[word] < LOOKS for word in files[image]):
            images.append(image)
            looks.update(files[image].keys())
    return images


def looked_at(by_word: Mapping[str, Sequence[Path]]) -> Iterator[tuple[str, np.ndarray | None]]:
    """(class, region) of an image; no region where a file holds more than one value, or cannot be read."""
    for word, paths in by_word.items():
        try:
            masks = [marked_pixels(path, MAX_PIXELS) for path in paths]
        except (UserError, OSError):
            masks = []
        same_size = len({mask.shape for mask in masks}) == 1
        yield word, np.logical_or.reduce(masks) if same_size else None


def likeness(regions: Mapping[str, Mapping[str, np.ndarray | None]]) -> list[bool | None]:
    """For each two classes that some image has both of: whether they mark nearly the same pixels."""
    counts: dict[tuple[str, str], np.ndarray] = {}
    for by_word in regions.values():
        for one, other in combinations(sorted(by_word), 2):
            a, b = by_word[one], by_word[other]
            if a is not None and b is not None and a.shape == b.shape:
                sums = np.array([(a & b).sum(), a.sum(), b.sum()])
                counts[one, other] = counts.get((one, other), 0) + sums
    return [is_alike(*sums.tolist()) for sums in counts.values()]


def is_alike(both: int, one: int, other: int) -> bool | None:
    """Whether two regions are nearly one, by the pixels of both together and of each; nothing where one is empty."""
    small, large = sorted((one, other))
    if not small:
        return None
    nested = both >= WITHIN * small and small <= SMALLER * large
    return not nested and both >= ALIKE * (one + other - both)


def hold_classes(masks: Sequence[Path]) -> bool:
    """Whether masks hold more than two values, by a few of them."""
    numbers: set[int] = set()
    for path in spread(masks, LOOKS):
        with suppress(UserError, OSError):
            numbers.update(different_numbers(path).tolist())
    return len(numbers) > 2
