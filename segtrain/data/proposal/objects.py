"""Whether the numbers in masks are those of objects, from 1 on in each mask or once in all of them, and no classes."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from ..color import Coding
from ..survey.facts import MaskFacts
from ..survey.tally import in_coding
from .levels import Histogram

LEAST = 20  # different objects
SURELY = 40  # objects in one piece each that no mask of as many classes has
WHOLE = 0.85  # share of the numbers that are one connected piece in their mask
MOSTLY = 0.9
GAPS = 1.5  # how much further numbers may reach than there are objects, since some were removed


def ground_of(histogram: Histogram) -> int | None:
    """The number that all objects lie on: far more frequent than any other, and in nearly all masks."""
    most = histogram.pixels.most_common(2)
    masks = max(histogram.masks.values(), default=0)
    if len(most) < 2 or most[0][1] < 3 * most[1][1] or histogram.masks[most[0][0]] < MOSTLY * masks:
        return None
    return most[0][0]


def are_objects(masks: Sequence[MaskFacts], histogram: Histogram, coding: Coding) -> bool:
    """Whether nearly every number is one connected piece in its mask, on a common ground, and the numbers of a mask
    are counted: without large gaps, up to another one in each mask, or none of them in two masks."""
    ground = ground_of(histogram)
    if ground is None or len(histogram.pixels) <= LEAST:
        return False
    filled, crowds, whole = 0, [], 0
    for facts in masks:
        numbers = set(in_coding(facts, coding)[0]) - {ground}
        filled += bool(numbers)
        if facts.whole:
            crowds.append(numbers)
            whole += min(facts.whole, len(numbers))
    if 2 * len(crowds) < filled or whole < WHOLE * sum(map(len, crowds)):
        return False
    return are_single(histogram, ground) or (are_counted(crowds) if coding == "values" else are_nested(crowds))


def are_single(histogram: Histogram, ground: int) -> bool:
    """Whether nearly no number is in two masks."""
    alone = [number for number, masks in histogram.masks.items() if masks == 1 and number != ground]
    return histogram.masks[ground] > 1 and len(alone) >= MOSTLY * (len(histogram.masks) - 1)


def are_counted(crowds: Sequence[set[int]]) -> bool:
    """Whether the numbers of a mask follow one another, and most masks end at numbers of their own; classes that all
    masks have, such as the 32 teeth, end at one number."""
    close = [numbers for numbers in crowds if max(numbers) - min(numbers) + 1 <= GAPS * len(numbers)]
    return len(close) >= MOSTLY * len(crowds) and vary([max(numbers) for numbers in crowds], crowds)


def are_nested(crowds: Sequence[set[int]]) -> bool:
    """Whether the colours of masks with few objects are those of masks with more, as colours in a fixed order are."""
    ordered = sorted(crowds, key=len)
    inside = sum(len(few & more) >= MOSTLY * len(few) for few, more in pairwise(ordered))
    return inside >= MOSTLY * (len(crowds) - 1) and vary([len(numbers) for numbers in crowds], crowds)


def vary(ends: Sequence[int], crowds: Sequence[set[int]]) -> bool:
    """Whether masks differ in where they end, as they do for objects; or have so many that it says nothing."""
    if len(crowds) == 1 or sum(map(len, crowds)) >= SURELY * len(crowds):
        return True
    return Counter(ends).most_common(1)[0][1] <= max(1, len(crowds) // 2)


def ranges(ground: int, histogram: Histogram) -> list[str]:
    """The values of all objects, on both sides of the ground, as a class table writes them."""
    below = [value for value in histogram.pixels if value < ground]
    above = [value for value in histogram.pixels if value > ground]
    return [f"{min(side)}-{max(side)}" for side in (below, above) if side]
