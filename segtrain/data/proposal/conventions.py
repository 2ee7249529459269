"""Masks of one data set that may write the same class in different ways: 1 in some of them, 255 in others."""

from collections import Counter
from collections.abc import Sequence

from ...text import enumerated
from ..survey.facts import MaskFacts
from ..survey.tally import in_coding
from .levels import INDICES
from .matching import MOST
from .table import Choice, table, two_classes

MANY = 3  # more values beyond class indices than that, none beside another, are classes in masks of one class each


def conventions(masks: Sequence[MaskFacts]) -> list[list[int]]:
    """The values besides the background in groups of which no mask holds two: class indices, and others than these.

    Nothing where one group holds all, or where all may be class indices: masks of one class each are nothing unusual.
    """
    held = [set(in_coding(facts, "values")[0]) for facts in masks]
    frequent = Counter[int]()
    for values in held:
        frequent.update(values)
    background = max(frequent, key=lambda value: (frequent[value], -value))
    groups: list[set[int]] = []
    for values in held:
        values = values - {background}
        joined = [group for group in groups if group & values]
        groups = [group for group in groups if not group & values]
        if values:
            groups.append(values.union(*joined))
    indices = [group for group in groups if min(group) <= INDICES]
    others = [sorted(group) for group in groups if min(group) > INDICES]
    small = [sorted(set[int]().union(*indices))] if indices else []
    kinds = [*small, *sorted(others)]
    return kinds if len(kinds) > 1 and len(others) <= MANY else []


def question(kinds: Sequence[Sequence[int]], masks: Sequence[MaskFacts]) -> str:
    """What has to be decided, in a sentence."""
    parts = []
    for values in kinds:
        number = sum(not in_coding(facts, "values")[0].keys().isdisjoint(values) for facts in masks)
        what = f"the value {values[0]}" if len(values) == 1 else f"the values {enumerated([*map(str, values)], MOST)}"
        parts.append(f"{number} of {len(masks)} masks hold {what}" if not parts else f"{number} hold {what}")
    return f"{', '.join(parts)}, and none holds both kinds: do they mean the same, written in two ways?"


def choices(kinds: Sequence[Sequence[int]], values: Sequence[int], names: tuple[str, str]) -> list[Choice]:
    """The tables between which a person has to decide; `values` are all in the masks."""
    rest = sorted(set(values).difference(*kinds))
    every = [{"name": f"class_{value}", "color": [0, 0, 0], "values": [value]} for value in values]
    apart = Choice("each value is a class of its own", table(every))
    if len(set(map(len, kinds))) > 1 or len(kinds[0]) == 1:
        together = sorted(set[int]().union(*kinds))
        return [Choice("they mean the same foreground", two_classes(rest, together, names)), apart]
    same = [{"name": names[0], "color": [0, 0, 0], "values": rest}] if rest else []
    for number, alike in enumerate(zip(*kinds, strict=True), 1):
        same.append({"name": f"class_{number}", "color": [0, 0, 0], "values": list(alike)})
    return [Choice("they mean the same classes, in this order", table(same)), apart]
