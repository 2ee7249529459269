"""Numbers of objects are not taken for classes, nor classes for numbers of objects."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segtrain.data.classes import ClassTable
from segtrain.data.files.masks import MaskFile
from segtrain.data.files.pair import Pair
from segtrain.data.proposal.proposal import propose
from segtrain.data.survey.facts import MaskFacts
from segtrain.data.survey.measure import examine_mask

PLACES = 120  # of objects in a mask: 10 rows of 12


def drawn(numbers: Iterable[int], pieces: int = 1, seed: int = 0) -> np.ndarray:
    """Each number in so many places of its own, on a ground of 0."""
    mask = np.zeros((160, 192), np.uint16)
    free = iter(np.random.default_rng(seed).permutation(PLACES).tolist())
    for number in numbers:
        for _ in range(pieces):
            row, column = divmod(next(free), 12)
            mask[16 * row + 2 : 16 * row + 11, 16 * column + 3 : 16 * column + 11] = number
    return mask


def facts_of(folder: Path, masks: Iterable[np.ndarray]) -> list[MaskFacts]:
    facts = []
    for i, mask in enumerate(masks):
        path = folder / f"{i}.png"
        Image.fromarray(mask if mask.ndim == 3 or mask.max() > 255 else mask.astype(np.uint8)).save(path)
        facts.append(examine_mask(Pair("x", path, MaskFile(path)), 10_000_000))
    return facts


def draw(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


OBJECTS = {
    "two masks, counted in each": ([range(1, 63), range(1, 105)], ["1-104"]),
    "two masks, counted on": ([range(1, 53), range(53, 105)], ["1-104"]),
    "two masks with as many": ([range(1, 105)] * 2, ["1-104"]),
    "one mask": ([range(1, 60)], ["1-59"]),
    "some were removed": ([sorted({*range(1, n)} - {3, 7, 8, 20}) for n in (30, 50, 26)], ["1-49"]),
    "from 1000 on": ([range(1001, 1001 + n) for n in (30, 44, 25)], ["1001-1044"]),
    "anywhere in 16 bits": ([draw(i).choice(60000, 40, replace=False) + 1 for i in range(4)], None),
    "few objects in some": ([range(1, 1 + n) for n in (60, 3, 40, 35, 2)], ["1-60"]),
}


def test_few_objects_that_fill_the_picture_are_told_by_how_they_are_counted(tmp_path: Path):
    masks = [np.repeat(np.arange(number + 1, dtype=np.uint8), 8)[None].repeat(40, 0) for number in (4, 7, 10, 13)]
    assert propose(facts_of(tmp_path, masks)).kind == "instance numbers"
    assert propose(facts_of(tmp_path, masks[:1] * 4)).kind == "class index"


@pytest.mark.parametrize(("held", "values"), OBJECTS.values(), ids=OBJECTS)
def test_numbers_of_objects_are_one_class(tmp_path: Path, held: list[Iterable[int]], values: list[str] | None):
    masks = [drawn(numbers, seed=i) for i, numbers in enumerate(held)]
    proposal = propose(facts_of(tmp_path, masks))
    assert proposal.spec is not None
    assert proposal.kind == "instance numbers"
    assert "numbers of objects" in proposal.notes[0]
    assert values in (None, proposal.spec["classes"][1]["values"])
    table = ClassTable.from_spec(proposal.spec)
    assert table.names == ("background", "object")
    assert all((table.encode(mask) == (mask > 0)).all() for mask in masks)


def test_a_colour_for_each_object_is_one_class(tmp_path: Path):
    colors = draw(0).integers(1, 256, (256, 3), np.uint8)
    colors[0] = 0
    masks = [colors[drawn(numbers, seed=i)] for i, numbers in enumerate((range(1, 60), range(60, 105)))]
    proposal = propose(facts_of(tmp_path, masks))
    assert proposal.spec is not None
    table = ClassTable.from_spec(proposal.spec)
    assert table.names == ("background", "object")
    assert all((table.encode(mask) == mask.any(2)).all() for mask in masks)


def some(seed: int, number: int, most: int) -> np.ndarray:
    return draw(seed).choice(most, number, replace=False) + 1


CLASSES = {
    "150 classes in pieces": ([some(i, 20, 150) for i in range(12)], 4),
    "150 classes, two masks": ([some(i, 30, 150) for i in range(2)], 3),
    "organs in one piece each": ([some(i, 30, 104) for i in range(12)], 1),
    "32 teeth": ([range(1, 33)] * 6, 1),
    "32 teeth, of which some are missing": ([range(1, 33)] * 4 + [some(i, 28, 32) for i in range(4)], 1),
    "ten classes in one piece each": ([some(i, 9, 10) for i in range(3)], 1),
}


@pytest.mark.parametrize(("held", "pieces"), CLASSES.values(), ids=CLASSES)
@pytest.mark.parametrize("colours", [False, True])
def test_many_classes_stay_classes(tmp_path: Path, held: list[Iterable[int]], pieces: int, colours: bool):
    masks = [drawn(numbers, pieces, seed=i) for i, numbers in enumerate(held)]
    if colours:
        colors = draw(0).integers(0, 256, (256, 3), np.uint8)
        masks = [colors[mask] for mask in masks]
    spec = propose(facts_of(tmp_path, masks)).spec
    assert spec is not None
    present = {number for numbers in held for number in numbers}
    assert len(ClassTable.from_spec(spec)) == len(present) + 1
