"""Images that belong together: frames, tiles, look-alikes."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from segtrain.data.files.masks import MaskFile
from segtrain.data.files.pair import Pair
from segtrain.data.findings import across_splits
from segtrain.data.survey.facts import ImageFacts
from segtrain.data.survey.related import Sample, overlapping, scene_pattern, together
from segtrain.data.survey.survey import Survey


def sample(name: str, split: str = "", *, size: tuple[int, int] = (64, 64), look: bytes | None = None) -> Sample:
    """An image of this name that looks like no other, or as `look` says."""
    if look is None:
        look = np.random.default_rng(list(name.encode())).integers(0, 256, 256, np.uint8).tobytes()
    pair = Pair(name, Path(f"{split}/{name}.png"), MaskFile(Path(f"masks/{name}.png")))
    return Sample(split, pair, ImageFacts(height=size[0], width=size[1], digest=name, look=look))


def groups(samples: Iterable[Sample]) -> list[list[str]]:
    """The names of the images that stay together, for groups of two and more."""
    samples = list(samples)
    facts = Survey({sample.pair.image: sample.image for sample in samples}, {})
    found: dict[str, list[str]] = {}
    for image, group in together([sample.pair for sample in samples], facts).names.items():
        found.setdefault(group, []).append(image.stem)
    return sorted(sorted(names) for names in found.values() if len(names) > 1)


def grid(name: Callable[[int, int, int], str], step: int, scenes: int = 2, rows: int = 3) -> list[str]:
    """The names of the tiles of scenes."""
    places = [(row * step, column * step) for row in range(rows) for column in range(rows)]
    return [name(scene, row, column) for scene in range(scenes) for row, column in places]


NAMES: dict[str, Callable[[int, int, int], str]] = {
    "padded": lambda s, r, c: f"scene{s}_{r:05d}_{c:05d}",
    "plain": lambda s, r, c: f"s{s}_{r}_{c}",
    "dashes": lambda s, r, c: f"area-{s}-{r}-{c}",
    "words": lambda s, r, c: f"town{s}_x{c}_y{r}",
    "rows and columns": lambda s, r, c: f"town{s}_row_{r}_col_{c}",
    "r and c": lambda s, r, c: f"{s}_r{r:04d}_c{c:04d}",
    "with the size": lambda s, r, c: f"town{s}_{c}_{r}_64_64",
    "with an ending": lambda s, r, c: f"town{s}_{c}_{r}_v2",
    "folders": lambda s, r, c: f"town{s}/{r}_{c}",
    "the place first": lambda s, r, c: f"{r}_{c}_town{s}",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("step", [16, 32, 63])
def test_overlapping_tiles_of_a_scene_stay_together(name: Callable[[int, int, int], str], step: int):
    names = grid(name, step)
    found = overlapping(list(map(sample, names)))
    assert len({tile.scene for tile in found}) == 2
    assert len(groups(map(sample, names))) == 2


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("step", [1, 64, 100])
def test_tiles_that_do_not_overlap_and_places_that_are_counted_are_no_groups(
    name: Callable[[int, int, int], str], step: int
):
    assert overlapping(list(map(sample, grid(name, step)))) == []


def test_tiles_that_are_lacking_and_a_last_one_that_is_shifted_change_nothing():
    names = [f"a_{row}_{column}" for row in (0, 32, 64, 75) for column in (0, 32, 64, 96, 101)]
    assert len(overlapping(list(map(sample, names[::2] + names[1::4])))) == len(names[::2] + names[1::4])


@pytest.mark.parametrize(
    "names",
    [
        [f"img_{i:04d}" for i in range(60)],
        [f"clip_{i}_{j * 30:04d}" for i in range(6) for j in range(8)],
        [f"2019_{i:04d}" for i in range(0, 900, 30)],
        [f"2019{i:02d}{j:02d}_{100 * i + j}" for i in range(1, 5) for j in range(1, 9)],
        [f"patient{i}_slice{j}" for i in range(9) for j in range(0, 40, 5)],
    ],
    ids=["numbers", "clips", "years", "dates", "slices"],
)
def test_other_numbers_are_no_places(names: list[str]):
    assert overlapping([sample(name, size=(480, 640)) for name in names]) == []


def test_of_a_long_tile_the_words_say_which_side_is_which():
    names = grid(lambda s, r, c: f"a{s}_y{r}_x{2 * c}", 32)  # x has a step of 64
    assert overlapping([sample(name, size=(32, 64)) for name in names]) == []
    assert overlapping([sample(name, size=(64, 64)) for name in names])
    assert overlapping([sample(name, size=(32, 65)) for name in names])


@pytest.mark.parametrize("name", [name for key, name in NAMES.items()], ids=NAMES)
def test_two_tiles_in_two_splits_are_named_with_the_pattern_that_keeps_them_together(
    name: Callable[[int, int, int], str],
):
    samples = [sample(text, "val" if i % 4 == 0 else "train") for i, text in enumerate(grid(name, 32))]
    found = [finding for finding in across_splits(samples) if finding.kind == "overlap"]
    assert found
    pattern = scene_pattern(overlapping(samples))
    if pattern:
        assert f"data.group={pattern}" in found[0].detail.replace("'\"'\"'", "'")
        scenes = {re.search(pattern, s.pair.name)[1] for s in samples}
        assert len(scenes) == 2


def test_frames_that_say_so_and_frames_that_are_alike_stay_together():
    assert groups(sample(f"video_a_{i}") for i in range(5)) == [[f"video_a_{i}" for i in range(5)]]
    assert groups(sample(f"photo_{i}") for i in range(20)) == []
    drift = np.random.default_rng(0).integers(0, 256, 256).astype(float)
    looks = []
    for seed in range(12):
        looks.append(drift.clip(0, 255).astype(np.uint8).tobytes())
        drift = 0.8 * drift + 0.2 * np.random.default_rng(seed).integers(0, 256, 256)
    assert groups(sample(f"{i:03d}", look=look) for i, look in enumerate(looks)) == [[f"{i:03d}" for i in range(12)]]


def test_look_alikes_stay_together_and_are_found_however_many_there_are():
    base = np.random.default_rng(1).integers(0, 256, 256).astype(np.uint8)
    near = base.copy()
    near[5] = near[5] // 2 + 60
    samples = [sample(f"w{word}") for word in "abcdefghij"]
    samples += [sample("k", look=base.tobytes()), sample("z", look=near.tobytes())]
    assert groups(samples) == [["k", "z"]]


def test_what_is_split_by_groups_has_no_neighbours_in_two_splits():
    base = np.random.default_rng(1).integers(0, 256, 256).astype(np.uint8).tobytes()
    samples = [sample(f"seq{i // 10}_{i:03d}", look=base if i % 7 == 0 else None) for i in range(60)]
    facts = Survey({one.pair.image: one.image for one in samples}, {})
    names = together([one.pair for one in samples], facts).names
    split = [one._replace(split=names[one.pair.image]) for one in samples]
    assert not [finding for finding in across_splits(split) if finding.kind != "duplicate"]


def test_a_group_keeps_its_name_when_a_later_frame_is_added():
    def name(number: int) -> set[str]:
        samples = [sample(f"clip_{i:02d}") for i in range(number)]
        facts = Survey({one.pair.image: one.image for one in samples}, {})
        return set(together([one.pair for one in samples], facts).names.values())

    assert name(4) == name(9) == {"clip_00"}
