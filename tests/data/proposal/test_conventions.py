"""What no single mask supports is asked: whether 1 in some masks is 255 in others."""

from collections.abc import Sequence

import pytest

from segtrain.data.classes import ClassTable
from segtrain.data.proposal.class_files import Listed
from segtrain.data.proposal.proposal import propose
from segtrain.data.survey.facts import MaskFacts


def masks(*held: Sequence[int], bits: int = 8) -> list[MaskFacts]:
    """Masks that hold these values, ten pixels of each."""
    facts = []
    for values in held:
        counts = dict.fromkeys(values, 10)
        facts.append(MaskFacts(1, 10 * len(values), 1, bits, counts=counts, solid=dict.fromkeys(values, 8)))
    return facts


ASKED = {
    "0, 1 and 0, 255": ([(0, 1)] * 3 + [(0, 255)] * 3, [1, 255]),
    "0, 1 and 0, 128": ([(0, 1)] * 3 + [(0, 128)], [1, 128]),
    "two levels": ([(0, 100)] * 2 + [(0, 200)] * 2, [100, 200]),
    "several indices beside one level": ([(0, 1, 2)] * 4 + [(0, 255)] * 2, [1, 2, 255]),
    "three ways": ([(0, 1), (0, 128), (0, 255), (0, 1)], [1, 128, 255]),
    "masks that are 255 alone": ([(0, 1)] * 5 + [(255,)], [1, 255]),
    "one class a mask, and 255": ([(0, 1), (0, 2), (0, 3), (0, 255)], [1, 2, 3, 255]),
    "an empty mask among them": ([(0,), (0, 1), (0, 255)], [1, 255]),
    "16 bits": ([(0, 1), (0, 65535)], [1, 65535]),
}


@pytest.mark.parametrize(("held", "foreground"), ASKED.values(), ids=ASKED)
def test_values_that_no_mask_holds_together_are_asked(held: list[tuple[int, ...]], foreground: list[int]):
    proposal = propose(masks(*held))
    assert proposal.spec is None
    together, apart = (ClassTable.from_spec(choice.spec) for choice in proposal.choices)
    assert [together.values[value] for value in (0, *foreground)] == [0] + [1] * len(foreground)
    assert sorted(apart.values[value] for value in (0, *foreground)) == list(range(len(foreground) + 1))
    assert "none holds both kinds" in proposal.notes[0]


CERTAIN = {
    "void in some masks": ([(0, 1)] * 3 + [(0, 1, 255)] + [(0, 255)] * 2, (0, 1), 255),
    "void of indices": ([(0, 1, 2, 3, 255)] * 2 + [(0, 3)], (0, 1, 2, 3), 255),
    "one class a mask": ([(0, 1), (0, 2), (0, 3), (0, 12)], (0, 1, 2, 3, 12), None),
    "one class a mask, and void": ([(0, 1, 255), (0, 2, 255), (0, 3), (0, 255)], (0, 1, 2, 3), 255),
    "two levels in one mask": ([(0, 100), (0, 200), (0, 100, 200)], (0, 100, 200), None),
    "black and white": ([(0, 255), (255,), (0,)], (0, 255), None),
    "a level for each of four kinds of pictures": (
        [(0, 50), (0, 100), (0, 150), (0, 200)],
        (0, 50, 100, 150, 200),
        None,
    ),
}


@pytest.mark.parametrize(("held", "values", "ignore"), CERTAIN.values(), ids=CERTAIN)
def test_what_a_mask_supports_is_not_asked(held: list[tuple[int, ...]], values: tuple[int, ...], ignore: int | None):
    proposal = propose(masks(*held))
    assert proposal.choices == ()
    assert proposal.spec is not None
    assert proposal.spec["ignore"] == ignore
    table = ClassTable.from_spec(proposal.spec)
    assert [table.values[value] for value in values] == list(range(len(values)))


def test_bits_beside_grey_are_one_foreground():
    proposal = propose(masks((0, 1), (0, 1), bits=1) + masks((0, 255)))
    assert proposal.spec is not None
    assert ClassTable.from_spec(proposal.spec).values == {0: 0, 1: 1, 255: 1}


def test_as_many_classes_in_two_ways_are_paired_in_their_order():
    first, _ = propose(masks((0, 1, 2), (0, 127, 254), (0, 1, 2))).choices
    assert ClassTable.from_spec(first.spec).values == {0: 0, 1: 1, 127: 1, 2: 2, 254: 2}


def test_a_class_file_that_lists_all_values_decides():
    listed = [Listed("sky", None, (0,)), Listed("car", None, (1,)), Listed("tree", None, (255,))]
    proposal = propose(masks((0, 1), (0, 255)), listed)
    assert proposal.spec is not None
    assert [entry["name"] for entry in proposal.spec["classes"]] == ["sky", "car", "tree"]
