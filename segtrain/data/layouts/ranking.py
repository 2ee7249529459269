"""Which of the readings of a folder is the best."""

from collections.abc import Sequence

from ..files.images import MAX_PIXELS
from ..files.pair import Pair
from ..survey.facts import MaskFacts
from ..survey.survey import survey
from .reading import Reading
from .words import is_second

LOOSE = ("by_stem", "by_ending")
SAMPLES = 4  # masks that are looked at
MANY = 256  # more numbers than these are no classes

Rank = tuple[bool, bool, int, int, int, bool, bool, bool]


def rank(reading: Reading) -> Rank:
    """Lower is better: the most pairs, then the fewest files left over; what is drawn for people, and what no folder
    tells, comes last. What is sure comes before all if it leaves nothing over."""
    layout = reading.kind
    left = len(reading.images) + len(reading.masks)
    return (
        layout != "splits_csv",
        not reading.sure or left > 0,
        -len(reading.pairs),
        left,
        2 if "" in reading.splits else int(not {"train", "val"} <= reading.splits.keys()),
        any(not alike(pair) for pair in reading.pairs),
        drawn(reading),
        layout in LOOSE,
    )


def alike(pair: Pair) -> bool:
    """Whether image and mask have one name."""
    return pair.image.stem == pair.mask.path.stem


def drawn(reading: Reading) -> bool:
    """Whether the name of the chosen folder says that its masks are pictures for people."""
    variant = reading.layout.partition(":")[2]
    mask = reading.pairs[0].mask.name
    return any(part in mask and is_second(part) for whole in variant.split("+") for part in whole.split("/") if part)


def best_first(found: Sequence[Reading]) -> list[Reading]:
    """By rank; of those that are as good as the first one, by what their masks hold."""
    ordered = sorted(found, key=rank)
    first = [reading for reading in ordered if as_good(reading, ordered[0])]
    if len(first) < 2:
        return ordered
    return [*sorted(first, key=muddle), *(reading for reading in ordered if reading not in first)]


def equals(found: Sequence[Reading]) -> list[Reading]:
    """The first, of all as `best_first` orders them, and those between which and this one nothing decides."""
    first = [reading for reading in found if as_good(reading, found[0]) or as_good(found[0], reading)]
    return [reading for reading in first if len(first) < 2 or muddle(reading) == muddle(found[0])]


def as_good(other: Reading, best: Reading) -> bool:
    """Of equal rank; or with other masks for the same images, but for a test split that `best` alone has masks for."""
    if rank(other) == rank(best):
        return True
    variants = other.kind == best.kind and ":" in other.layout and ":" in best.layout
    return variants and rank(other)[5:] == rank(best)[5:] and learned(other) == learned(best)


def learned(reading: Reading) -> set[object]:
    """The images that are not for the test."""
    return {pair.image for split, pairs in reading.splits.items() if split != "test" for pair in pairs}


def muddle(reading: Reading) -> int:
    """How far the masks are, by a few of them, from one number for each class: 0 for values or a palette, 1 for
    colours, 2 for what was compressed with loss, 3 for one number alone or for more than there are classes."""
    pairs = reading.pairs
    some = pairs[:: max(1, len(pairs) // SAMPLES)][:SAMPLES]
    masks = list(survey(some, max_pixels=MAX_PIXELS, workers=0, cache=None).masks.values())
    numbers = {number for mask in masks for number in mask.counts}
    return 3 if len(numbers) < 2 else max(map(disorder, masks))


def disorder(mask: MaskFacts) -> int:
    many = mask.rest or len(mask.counts) > MANY or (mask.channels < 3 and max(mask.counts, default=0) >= MANY)
    return 3 if mask.problem or many else 2 if mask.lossy else int(mask.channels >= 3)
