"""Sequences that take up little memory."""

import tracemalloc
from pathlib import Path

import pytest

from segtrain.data.files.masks import MaskFile
from segtrain.data.files.packed import Joined, PackedPairs, Repeated, Texts, packed, texts_of
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
    assert isinstance(packed(pairs), PackedPairs)


def test_sequences_one_behind_the_other_are_one():
    joined = Joined([pairs_of(2), [], packed(pairs_of(3))])
    assert joined == [*pairs_of(2), *pairs_of(3)]
    assert (len(joined), joined[2], joined[-1]) == (5, pairs_of(1)[0], pairs_of(3)[2])
    assert Joined([]) == []


def test_files_are_told_as_texts():
    pairs = pairs_of(3)
    told = [(f"/data/images/{i}.png", f"/data/masks/{i}.png") for i in range(3)]
    assert list(texts_of(pairs)) == list(texts_of(packed(pairs))) == told
    assert list(texts_of(Joined([pairs, packed(pairs)]))) == [*told, *told]


def test_masks_of_other_kinds_stay_as_they_are():
    class Drawn(MaskFile):
        """A mask that is more than its file."""

    pairs = [*pairs_of(2), Pair("x", Path("x.png"), Drawn(Path("x.json")))]
    assert packed(pairs) is pairs


def test_a_pair_takes_less_than_150_bytes():
    pairs = pairs_of(2000)
    assert packed(pairs) == pairs  # paths note their text
    tracemalloc.start()
    kept = packed(pairs)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(kept) == 2000
    assert size < 150 * 2000
