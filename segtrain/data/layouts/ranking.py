"""Which of the readings of a folder is the best."""

import re
from collections.abc import Sequence

from ..files.images import MAX_PIXELS
from ..files.pair import Pair
from ..survey.facts import MaskFacts
from ..survey.survey import survey
from .reading import Reading, spread
from .words import is_second

LOOSE = ("by_stem", "by_ending")
NAMED = ("one_folder", *LOOSE)  # layouts that the names of files tell
SAMPLES = 4  # masks that are looked at
MANY = 256  # more numbers than these are no classes


def rank(reading: Reading) -> tuple[int, ...]:
    """Lower is better: the most pairs, then the fewest files left over; what is drawn for people, and what no folder
    tells, comes last. What is sure comes before all if it leaves nothing over, or if the masks bear it
    out; what a person wrote comes before that."""
    left = len(reading.images) + len(reading.masks)
    return (
        reading.kind != "splits_csv",
        not reading.written,
        not (reading.content == "fits" or (reading.sure and not left)),
        not reading.sure or left > 0,
        -len(reading.pairs),
        left,
        "" in reading.splits,
        not {"train", "val"} <= reading.splits.keys(),
        not all(map(alike, reading.pairs)),
        drawn(reading),
        reading.kind in LOOSE,
    )


def alike(pair: Pair) -> bool:
    """Whether image and mask have one name."""
    image, mask = pair.image.name, pair.mask.path.name
    return image == mask or pair.image.stem == pair.mask.path.stem


def drawn(reading: Reading) -> bool:
    """Whether the name of the chosen folder says that its masks are pictures for people."""
    variant = reading.layout.partition(":")[2]
    mask = reading.pairs[0].mask.name
    return any(part and part in mask and is_second(part) for part in re.split(r"[+/]", variant))


def best_first(readings: Sequence[Reading]) -> list[Reading]:
    """The readings by rank; those that are as good as the first one, by what their masks hold; what is unclear last."""
    if len(readings) < 2:  # whose rank takes a while to tell if its pairs are many
        return list(readings)
    ordered = sorted(readings, key=lambda reading: (reading.content == "unclear", rank(reading)))
    first = [reading for reading in ordered if as_good(reading, ordered[0])]
    others = [reading for reading in ordered if reading not in first]
    if len(first) > 1:
        first.sort(key=muddle)
    return first + others


def equals(readings: Sequence[Reading]) -> list[Reading]:
    """The first, of all as `best_first` orders them, and those between which and this one nothing decides."""
    unclear = [reading for reading in readings if reading.content == "unclear"]
    others = [reading for reading in readings if reading.content != "unclear"]
    if not others:
        return unclear
    best, *others = others
    equal = [best, *(reading for reading in others if as_good(reading, best) or as_good(best, reading))]
    if len(equal) > 1:
        least = muddle(best)
        equal = [reading for reading in equal if muddle(reading) == least]
    is_settled = best.kind == "splits_csv" or (best.sure and not best.images and not best.masks)
    return equal if is_settled else equal + unclear


def as_good(other: Reading, best: Reading) -> bool:
    """Of equal rank; or with other masks for the same images, but for a test split that `best` alone has masks for."""
    if rank(other) == rank(best):
        return True
    variants = other.kind == best.kind and ":" in other.layout and ":" in best.layout
    return variants and rank(other)[8:] == rank(best)[8:] and learned(other) == learned(best)


def learned(reading: Reading) -> set[object]:
    """The images that are not for the test."""
    images: set[object] = set()
    for split, pairs in reading.splits.items():
        if split != "test":
            images.update(pair.image for pair in pairs)
    return images


def muddle(reading: Reading) -> int:
    """How far the masks are, by a few of them, from one number for each class: 0 for values or a palette, 1 for
    colours, 2 for what was compressed with loss, 3 for one number alone or for more than there are classes."""
    some = spread(reading.pairs, SAMPLES)
    masks = survey(some, max_pixels=MAX_PIXELS, workers=0, cache=None).masks.values()
    numbers = set[int]().union(*(mask.counts for mask in masks))
    return max(map(disorder, masks)) if len(numbers) > 1 else 3


def disorder(mask: MaskFacts) -> int:
    """`muddle` of one mask."""
    beyond_8_bits = mask.channels < 3 and max(mask.counts, default=0) >= MANY
    if mask.problem or mask.rest or len(mask.counts) > MANY or beyond_8_bits:
        return 3
    if mask.lossy:
        return 2
    return int(mask.channels >= 3)
