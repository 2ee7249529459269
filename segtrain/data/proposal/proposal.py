"""How masks say their classes, and the class table that this asks for."""

from collections.abc import Sequence

from ..color import GREY_STEP, Coding
from ..survey.facts import MaskFacts
from ..survey.tally import grey_level
from .class_files import Listed
from .color_names import in_one_channel
from .colors import propose_colors
from .table import Proposal
from .values import propose_values


def propose(masks: Sequence[MaskFacts], listed: Sequence[Listed] | None = None) -> Proposal:
    """A class table for these masks, with the names of a class file's entries where these fit."""
    readable = [facts for facts in masks if not facts.problem]
    if not readable:
        why = f", such as one with {masks[0].problem}" if masks else ""
        return Proposal("unknown", None, [f"None of the masks can be read{why}."])
    lossless = [facts for facts in readable if not facts.lossy]
    if 2 * len(lossless) > len(readable):  # the others are faults, and no examples
        readable = lossless
    ask = propose_colors if coding_of(readable) == "colors" else propose_values
    return ask(readable, listed or ())


def coding_of(masks: Sequence[MaskFacts]) -> Coding:
    """Whether values (or palette indices) or colours tell the classes apart in all of the masks."""
    codes: set[int] = set()
    palette: dict[int, int] = {}
    for facts in masks:
        if facts.channels >= 3:
            codes.update(facts.counts)
        for index, code in facts.colours.items():
            if palette.setdefault(index, code) != code:
                return "colors"
    if not codes:
        return "values"
    grey = all(grey_level(code) is not None for code in codes) and not in_one_channel(codes)
    same = all(code == index * GREY_STEP for index, code in palette.items())
    return "values" if grey and same else "colors"
