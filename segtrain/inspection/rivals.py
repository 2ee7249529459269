"""Several ways to read a folder: what each of them holds, for a person to choose."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..data.classes import ClassTable
from ..data.layouts.choice import OpenFolder
from ..data.layouts.contents import rivals
from ..data.layouts.reading import Reading, spread
from ..data.layouts.tree import below, description_in
from ..data.proposal.proposal import propose
from ..data.survey.memory import remembered
from ..data.survey.survey import survey
from ..data.survey.tally import class_pixels
from .mark import examples

SAMPLES = 24  # masks of a reading that are read to say what they hold


class Rivals(NamedTuple):
    """Other readings of the same images: those with masks that hold the same, and those that hold other things."""

    same: list[Reading]
    different: list[Reading]


class Held(NamedTuple):
    """What the masks of a reading hold."""

    reading: Reading
    example: str  # a mask
    kind: str  # how the masks say their classes, in words
    masks: int  # that were looked at
    shares: list[tuple[str, float]]  # class and its share of their pixels; none where no classes can be proposed


def rivals_of(folder: OpenFolder, layout: str | None) -> Rivals:
    """The other readings that the setting `layout` leaves possible for the same images. None holds other things where
    the class table in the folder says which masks are meant."""
    taken, others = folder.reading, folder.readings
    if layout is not None:
        others = [reading for reading in others if reading.kind == layout and taken.layout != layout]
    same, different = rivals(taken, others)
    return Rivals(same, [] if different and is_described(folder) else different)


def is_described(folder: OpenFolder) -> bool:
    """Whether `check` proposed the class table of the folder for the masks of the reading."""
    masks = {pair.mask.path for pair in folder.reading.pairs}
    path = description_in(folder.root, "classes.yaml")
    return path is not None and any(folder.root / name in masks for name in examples(path))


def ways_of(folder: OpenFolder, different: Sequence[Reading], max_pixels: int) -> list[Held]:
    """What the reading of a folder holds, and what the `different` ones do; nothing where there are none."""
    readings = (folder.reading, *different) if different else ()
    return [held_by(reading, folder.root, max_pixels) for reading in readings]


def held_by(reading: Reading, root: Path, max_pixels: int) -> Held:
    """What a few masks of a reading hold."""
    pairs = spread(reading.pairs, SAMPLES)
    masks = survey(pairs, max_pixels=max_pixels, workers=0, cache=remembered()).usable_masks(pairs)
    example, proposal = below(root, pairs[0].mask.path), propose(masks)
    spec = proposal.spec or (proposal.choices[-1].spec if proposal.choices else None)
    if spec is None:
        return Held(reading, example, proposal.kind, len(masks), [])
    table = ClassTable.from_spec(spec)
    pixels = class_pixels(masks, table)
    total = max(pixels.total(), 1)
    shares = [(name, pixels[index] / total) for index, name in enumerate(table.names)]
    return Held(reading, example, proposal.kind, len(masks), shares)
