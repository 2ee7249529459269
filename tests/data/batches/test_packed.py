"""Sequences that take up little memory."""

import tracemalloc
from pathlib import Path

import pytest

from segtrain.data.batches.packed import Pairs, Repeated, Texts, packed
from segtrain.data.files.masks import MaskFile
from segtrain.data.files.pair import Pair

NAMES = ["a", "", "日本 = Straße", "x\udcff", "a"]


def pairs_of(number: int) -> list[Pair]:
    return [Pair(f"{i}", Path(f"/data/images/{i}.png"), MaskFile(Path(f"/data/masks/{i}.png"))) for i in range(number)]


def test_texts_equal_a_list_of_them():
    texts = Texts(NAMES)
    assert texts == NAMES
    assert [texts[i] for i in range(len(texts))] == NAMES
    assert (texts[-1], texts[1:3], texts.index("日本 = Straße")) == ("a", NAMES[1:3], 2)
    with pytest.raises(IndexError):
        texts[5]


def test_elements_that_recur_are_kept_once():
    sizes = Repeated([(2, 3), (4, 5), (2, 3), (2, 3)])
    assert sizes == [(2, 3), (4, 5), (2, 3), (2, 3)]
    assert sizes.firsts() == [(0, (2, 3)), (1, (4, 5))]
    assert len(sizes.different) == 2


def test_pairs_are_made_when_they_are_asked_for():
    pairs = pairs_of(30)
    assert packed(pairs) == pairs
    assert packed(pairs)[29] == pairs[29]


def test_masks_of_other_kinds_stay_as_they_are():
    class Drawn(MaskFile):
        """A mask that is more than its file."""

    pairs = [*pairs_of(2), Pair("x", Path("x.png"), Drawn(Path("x.json")))]
    assert packed(pairs) is pairs


def test_a_pair_takes_less_than_150_bytes():
    pairs = pairs_of(2000)
    assert Pairs(pairs) == pairs  # paths note their text
    tracemalloc.start()
    kept = Pairs(pairs)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(kept) == 2000
    assert size < 150 * 2000
