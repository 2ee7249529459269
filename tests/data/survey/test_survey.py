"""What is read of the files of a data set, and what is remembered of it."""

import os
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segtrain.data.color import Coding
from segtrain.data.files.by_class import ClassMask
from segtrain.data.files.images import read_image
from segtrain.data.files.masks import MaskFile
from segtrain.data.files.packed import Joined, packed
from segtrain.data.files.pair import Pair
from segtrain.data.survey.facts import MaskFacts
from segtrain.data.survey.measure import counted, examine_image, examine_mask
from segtrain.data.survey.memory import Memory, both_files, both_files_of
from segtrain.data.survey.survey import survey, unknown

RNG = np.random.default_rng(0)
LIMIT = 10_000_000


def saved(path: Path, pixels: np.ndarray, **options: Any) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


def mask_facts(path: Path) -> MaskFacts:
    return examine_mask(Pair("x", path, MaskFile(path)), LIMIT)


def pairs_in(folder: Path, number: int) -> list[Pair]:
    return [
        Pair(
            str(i),
            saved(folder / f"{i}.jpg", RNG.integers(0, 256, (20, 30, 3), np.uint8)),
            MaskFile(saved(folder / f"{i}.png", RNG.integers(0, 3, (20, 30), np.uint8))),
        )
        for i in range(number)
    ]


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 3)])
@pytest.mark.parametrize("name", ["x.png", "x.jpg"])
def test_mean_and_square_are_those_of_the_pixels(tmp_path: Path, shape: tuple[int, ...], name: str):
    path = saved(tmp_path / name, RNG.integers(0, 256, shape, np.uint8))
    facts, channels = examine_image(path, LIMIT), 3 if len(shape) == 3 else 1
    pixels = read_image(path, channels=channels).numpy() / 255
    assert (facts.height, facts.width, facts.channels, facts.bits) == (20, 30, channels, 8)
    assert facts.mean == pytest.approx(pixels.mean((1, 2)))
    assert facts.square == pytest.approx((pixels**2).mean((1, 2)))


def test_sixteen_bits_are_fractions_of_white_too(tmp_path: Path):
    facts = examine_image(saved(tmp_path / "x.png", np.array([[0, 65535]], np.uint16)), LIMIT)
    assert (facts.channels, facts.bits, facts.mean, facts.square) == (1, 16, (0.5,), (0.5,))


def test_the_alpha_of_an_image_is_seen_and_not_counted(tmp_path: Path):
    facts = examine_image(saved(tmp_path / "x.png", np.full((4, 4, 4), 255, np.uint8)), LIMIT)
    assert (facts.channels, facts.mode, len(facts.mean)) == (4, "RGBA", 3)


@pytest.mark.parametrize("name", ["x.jpg", "x.png"])
def test_orientation_turns_the_size(tmp_path: Path, name: str):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(tmp_path / name, RNG.integers(0, 256, (20, 30, 3), np.uint8), exif=exif)
    facts = examine_image(path, LIMIT)
    assert (facts.height, facts.width, facts.orientation) == (30, 20, 6)


def test_the_look_is_the_same_at_another_size_quality_and_brightness(tmp_path: Path):
    smooth = np.array(Image.fromarray(RNG.integers(0, 200, (8, 9, 3), np.uint8)).resize((200, 160)))
    first = examine_image(saved(tmp_path / "a.png", smooth), LIMIT).look
    assert len(first) == 256
    for i, picture in enumerate((smooth, smooth // 2, np.array(Image.fromarray(smooth).resize((80, 64))))):
        other = examine_image(saved(tmp_path / f"{i}.jpg", picture, quality=60), LIMIT).look
        assert np.abs(np.subtract(list(first), list(other))).max() < 16
    assert examine_image(saved(tmp_path / "flat.png", np.full((40, 40), 7, np.uint8)), LIMIT).look == b""


def test_pixels_of_values_are_counted(tmp_path: Path):
    mask = np.zeros((4, 6), np.uint8)
    mask[:2, :3] = 7
    facts = mask_facts(saved(tmp_path / "x.png", mask))
    assert (facts.counts, facts.solid, facts.rest, facts.colours) == ({0: 18, 7: 6}, {0: 9, 7: 2}, 0, {})


def test_pixels_of_colours_are_counted(tmp_path: Path):
    mask = np.zeros((4, 6, 3), np.uint8)
    mask[:2, :3] = (1, 2, 3)
    facts = mask_facts(saved(tmp_path / "x.png", mask))
    assert (facts.channels, facts.counts) == (3, {0: 18, 0x010203: 6})


@pytest.mark.parametrize("length", [1, 40])
def test_long_and_short_runs_are_counted_alike(length: int):
    codes = RNG.integers(0, 50, (60, 40)).repeat(length, 1)
    values, pixels = np.unique(codes, return_counts=True)
    assert counted(codes, 100)["counts"] == dict(zip(values.tolist(), pixels.tolist(), strict=True))


def test_only_the_most_frequent_numbers_are_counted_singly(tmp_path: Path):
    facts = mask_facts(saved(tmp_path / "x.png", np.arange(3000, dtype=np.uint16).reshape(50, 60)))
    assert (len(facts.counts), facts.rest) == (1024, 3000 - 1024)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_palette_has_its_bits_and_colours(tmp_path: Path, bits: int):
    picture = Image.fromarray(np.array([[0, 1], [1, 1]], np.uint8)).convert("P")
    picture.putdata([0, 1, 1, 1])
    picture.putpalette([10, 20, 30, 40, 50, 60, *bytes(3 * 2**bits - 6)])
    picture.save(tmp_path / "x.png", bits=bits)
    facts = mask_facts(tmp_path / "x.png")
    assert (facts.bits, facts.channels, facts.counts) == (bits, 1, {1: 3, 0: 1})
    assert facts.colours == {0: 0x0A141E, 1: 0x28323C}


@pytest.mark.parametrize(
    ("name", "options", "lossy"),
    [
        ("x.png", {}, False),
        ("x.jpg", {}, True),
        ("x.webp", {"lossless": True}, False),
        ("x.webp", {}, True),
        ("x.tif", {"compression": "tiff_lzw"}, False),
        ("x.tif", {"compression": "jpeg"}, True),
        ("x.bmp", {}, False),
    ],
)
def test_formats_that_change_numbers_are_known(tmp_path: Path, name: str, options: dict[str, Any], lossy: bool):
    path = saved(tmp_path / name, RNG.integers(0, 256, (16, 16, 3), np.uint8), **options)
    assert mask_facts(path).lossy == lossy


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def text(path: Path) -> None:
    path.write_text("no picture")


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (empty, r"an empty file \(0 bytes\)"),
        (cut, "damaged image"),
        (text, "not an image that can be read"),
        (Path.unlink, "there is no such file"),
    ],
)
@pytest.mark.parametrize("name", ["x.png", "x.jpg"])
def test_a_file_that_cannot_be_read_is_a_problem_and_no_error(
    tmp_path: Path, name: str, damage: Callable[[Path], Any], why: str
):
    path = saved(tmp_path / name, RNG.integers(0, 256, (40, 40, 3), np.uint8))
    damage(path)
    for facts in (examine_image(path, LIMIT), mask_facts(path)):
        assert re.match(why, facts.problem)
        assert str(tmp_path) not in facts.problem


def test_too_many_pixels_are_a_problem(tmp_path: Path):
    path = saved(tmp_path / "x.png", np.zeros((10, 10), np.uint8))
    assert "more than data.max_pixels=99" in examine_image(path, 99).problem


def test_processes_find_the_same_as_none(tmp_path: Path):
    pairs, done = pairs_in(tmp_path, 60), []
    alone = survey(pairs, max_pixels=LIMIT, workers=0, cache=None)
    assert survey(pairs, max_pixels=LIMIT, workers=2, cache=None, advance=done.append) == alone
    assert sum(done) == 60
    assert alone.image(pairs[7]) == examine_image(pairs[7].image, LIMIT)
    assert alone.mask(pairs[7]) == examine_mask(pairs[7], LIMIT)


def test_unchanged_files_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pairs, cache = pairs_in(tmp_path, 5), tmp_path / "cache" / "facts.sqlite"
    first = survey(pairs, max_pixels=LIMIT, workers=0, cache=cache)
    read: list[Pair] = []

    def noted(pair: Pair, limit: int) -> MaskFacts:
        read.append(pair)
        return examine_mask(pair, limit)

    monkeypatch.setattr("segtrain.data.survey.survey.examine_mask", noted)
    assert unknown(pairs, cache) == []
    assert survey(pairs, max_pixels=LIMIT, workers=0, cache=cache) == first
    assert read == []
    os.utime(pairs[1].image, ns=(0, 12345))
    saved(pairs[3].mask.path, np.zeros((20, 30), np.uint8))
    assert unknown(pairs, cache) == [pairs[1], pairs[3]]
    assert survey(pairs, max_pixels=LIMIT, workers=0, cache=cache).mask(pairs[3]).counts == {0: 600}
    assert read == [pairs[1], pairs[3]]


def test_files_with_a_problem_are_read_again(tmp_path: Path):
    pairs, cache = pairs_in(tmp_path, 2), tmp_path / "facts.sqlite"
    empty(pairs[0].image)
    survey(pairs, max_pixels=LIMIT, workers=0, cache=cache)
    assert unknown(pairs, cache) == [pairs[0]]


def test_what_was_read_before_an_interruption_is_kept(tmp_path: Path):
    pairs, cache = pairs_in(tmp_path, 4), tmp_path / "facts.sqlite"

    def stop(number: int) -> None:
        done.append(number)
        if sum(done) == 3:
            raise KeyboardInterrupt

    done: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        survey(pairs, max_pixels=LIMIT, workers=0, cache=cache, advance=stop)
    assert unknown(pairs, cache) == pairs[3:]


@pytest.mark.parametrize("content", [b"", b"no database", bytes(5000)])
def test_a_memory_that_is_damaged_is_made_anew(tmp_path: Path, content: bytes):
    pairs, cache = pairs_in(tmp_path, 2), tmp_path / "facts.sqlite"
    cache.write_bytes(content)
    first = survey(pairs, max_pixels=LIMIT, workers=0, cache=cache)
    assert unknown(pairs, cache) == []
    assert survey(pairs, max_pixels=LIMIT, workers=0, cache=cache) == first


def test_a_memory_that_another_process_writes_is_left_alone(tmp_path: Path):
    pairs, cache = pairs_in(tmp_path, 2), tmp_path / "facts.sqlite"
    survey(pairs[:1], max_pixels=LIMIT, workers=0, cache=cache)
    other = sqlite3.connect(cache)
    other.execute("BEGIN EXCLUSIVE")
    assert len(survey(pairs, max_pixels=LIMIT, workers=0, cache=cache).images) == 2
    other.close()
    assert unknown(pairs, cache) == pairs[1:]


def test_without_a_place_for_it_nothing_is_remembered(tmp_path: Path):
    pairs = pairs_in(tmp_path, 2)
    (tmp_path / "file").write_text("")
    assert len(survey(pairs, max_pixels=LIMIT, workers=0, cache=tmp_path / "file" / "facts.sqlite").images) == 2


class Painted:
    """A mask that is painted from a file of many."""

    def __init__(self, path: Path, values: np.ndarray) -> None:
        self.path, self.values = path, values

    @property
    def name(self) -> str:
        return f"{self.path}: {self.values.max()}"

    def size(self, max_pixels: int) -> tuple[int, int]:
        return self.values.shape[0], self.values.shape[1]

    def read(self, max_pixels: int, coding: Coding) -> np.ndarray:
        return self.values


def test_masks_that_are_painted_are_known_by_their_file_and_name(tmp_path: Path):
    (tmp_path / "all.json").write_text("{}")
    image = saved(tmp_path / "a.png", RNG.integers(0, 256, (4, 5), np.uint8))
    pairs = [Pair(f"{i}", image, Painted(tmp_path / "all.json", np.full((4, 5), i, np.uint8))) for i in range(2)]
    cache = tmp_path / "facts.sqlite"
    for _ in range(2):
        found = survey(pairs, max_pixels=LIMIT, workers=0, cache=cache)
        assert [found.mask(pair).counts for pair in pairs] == [{0: 20}, {1: 20}]


def test_masks_for_each_class_are_known_by_their_files_and_values(tmp_path: Path):
    image = saved(tmp_path / "x.jpg", RNG.integers(0, 256, (4, 5, 3), np.uint8))
    car, road = np.eye(4, 5, dtype=np.uint8) * 255, np.tri(4, 5, dtype=np.uint8) * 255  # 4 pixels in 10
    files = saved(tmp_path / "x_car.png", car), saved(tmp_path / "x_road.png", road)
    memory = tmp_path / "facts"

    def facts(*values: int) -> MaskFacts:
        mask = ClassMask(tmp_path / "x_*.png", tuple(zip(files, values, strict=True)))
        pair = Pair("x", image, mask)
        return survey([pair], max_pixels=LIMIT, workers=0, cache=memory).mask(pair)

    assert (facts(1, 2).counts, facts(1, 2).overlap, facts(1, 2).problem) == ({0: 10, 2: 6, 1: 4}, 4, "")
    assert facts(2, 7).counts == {0: 10, 7: 6, 2: 4}
    saved(files[0], np.zeros((4, 5), np.uint8))
    assert (facts(1, 2).counts, facts(1, 2).overlap) == ({0: 10, 2: 10}, 0)
    files[0].unlink()
    assert "x_car.png: there is no such file" in facts(1, 2).problem


def test_numbers_in_one_piece_are_counted_where_there_are_many(tmp_path: Path):
    mask = np.zeros((40, 40), np.uint8)
    for number in range(1, 10):
        top, left = 12 * ((number - 1) // 3), 12 * ((number - 1) % 3)
        mask[top : top + 8, left : left + 8] = number
    mask[2:5, 2:5] = 0  # a hole: still one piece
    assert mask_facts(saved(tmp_path / "x.png", mask)).whole == 10
    mask[8, 8] = 1  # corner to corner
    assert mask_facts(saved(tmp_path / "x.png", mask)).whole == 10
    mask[39, 39] = mask[39, 37] = 2
    assert mask_facts(saved(tmp_path / "x.png", mask)).whole == 9
    assert mask_facts(saved(tmp_path / "x.png", np.minimum(mask, 5))).whole == 0


def test_what_is_known_of_some_pairs_is_told(tmp_path: Path):
    pairs, cache = pairs_in(tmp_path, 4), tmp_path / "facts.sqlite"
    first = survey(pairs[:3], max_pixels=LIMIT, workers=0, cache=cache)
    with Memory(cache) as memory:
        assert memory.facts(pairs[2:]) == [(first.image(pairs[2]), first.mask(pairs[2])), None]
        assert memory.knows_facts(pairs) == [True, True, True, False]


def test_packed_pairs_are_remembered_under_the_same_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("below").mkdir()
    pairs = [*pairs_in(tmp_path, 2), *pairs_in(Path("below"), 2)]
    names = list(map(both_files_of, pairs))
    assert list(both_files(pairs)) == names
    assert list(both_files(packed(pairs))) == names
    assert list(both_files(Joined([packed(pairs[:1]), pairs[1:]]))) == names
