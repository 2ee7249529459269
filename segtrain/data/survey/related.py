"""Images that belong together, so that one of them in another split flatters the score: frames of one sequence, tiles
of one scene that overlap, pictures that look alike."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from unicodedata import normalize

import numpy as np

from ..files.pair import Pair
from .facts import ImageFacts
from .measure import LOOK
from .survey import Survey

SAME, DETAIL = 0.98, 0.9  # correlations of two looks, and of what stands out in them, from which they are one image
ALIKE = 0.8  # and from which two neighbours by name are frames of one sequence
FAR = 75  # percentile of the likeness of distant frames that half of all neighbours exceed
ASPECT = 0.05  # how much the proportions of near-duplicates may differ
ROUNDING = 1e-4  # of a correlation, by which look-alikes are kept together more readily than they are reported
SEQUENCE = re.compile(r"frame|video|clip|seq", re.IGNORECASE)  # names whose numbers are times, whatever they look like
CHUNK = 256  # images that are compared with all others at once
PLACES = 3  # pairs of numbers in a name, from its end, that may be the place of a tile
BETWEEN = re.compile(r"[^\d/]{1,10}")  # the two numbers of a place
USUAL = 0.4  # share of the distances between neighbouring tiles that are the step of the grid
FILLED = 0.3  # share of the places of a grid that have tiles
FINEST = 16  # steps of a grid in a tile, at most; numbers that lie closer are no pixels


class Sample(NamedTuple):
    """A pair whose image can be read."""

    split: str
    pair: Pair
    image: ImageFacts


class Groups(NamedTuple):
    """Images that stay together in one split.

    Attributes:
        names: Image -> the name of its group; an image without relatives is a group of its own.
        kinds: Why images are together, in words.
    """

    names: Mapping[Path, str]
    kinds: Sequence[str]


def together(pairs: Sequence[Pair], facts: Survey) -> Groups:
    """Groups of images that should not be in two splits. A group is called after a scene of tiles, or else after the
    first of its images, so that what is added to it later does not change the name."""
    samples = [Sample("", pair, facts.image(pair)) for pair in pairs if not facts.image(pair).problem]
    first = list(range(len(samples)))  # index of a sample -> an earlier one in its group, or itself
    number_of = {sample.pair.image: i for i, sample in enumerate(samples)}
    kinds: list[str] = []
    links = {
        "overlapping tiles of a scene": linked_tiles(samples),
        "frames of a sequence": frames(samples),
    }
    for kind, related in links.items():
        for a, b in related:
            join(first, number_of[a.pair.image], number_of[b.pair.image])
            kinds = list(dict.fromkeys([*kinds, kind]))
    for i, others in look_alikes(samples):
        for other in {top(first, int(j)) for j in others}:
            join(first, i, other)
        kinds = list(dict.fromkeys([*kinds, "images that look alike"]))
    members: dict[int, list[Sample]] = defaultdict(list)
    for i, sample in enumerate(samples):
        members[top(first, i)].append(sample)
    names = {pair.image: normalize("NFC", pair.name) for pair in pairs}
    groups = Counter[str]()
    for group in members.values():
        name = min(names[sample.pair.image] for sample in group)
        groups[name] += 1
        if groups[name] > 1:  # images of one name, as in train and in val
            name = f"{name} ({groups[name]})"
        names.update((sample.pair.image, name) for sample in group)
    return Groups(names, kinds)


def join(first: list[int], i: int, j: int) -> None:
    """Make one group of the groups of two samples."""
    i, j = top(first, i), top(first, j)
    first[max(i, j)] = min(i, j)


def top(first: list[int], i: int) -> int:
    """The first sample of the group of a sample; ways that were walked are shortened."""
    while first[i] != i:
        first[i] = first[first[i]]
        i = first[i]
    return i


# --- look-alikes ------------------------------------------------------------------------------------------------------


def look_alikes(samples: Sequence[Sample]) -> Iterator[tuple[int, np.ndarray]]:
    """(index, indices of later samples that are the same picture), for samples that have such."""
    by_digest: dict[str, int] = {}
    for i, sample in enumerate(samples):
        other = by_digest.setdefault(sample.image.digest, i)
        if other != i:
            yield other, np.array([i])
    varied = np.array([i for i, sample in enumerate(samples) if sample.image.look], int)
    if len(varied) < 2:
        return
    chosen = [samples[i] for i in varied]
    looks, details = vectors(chosen), outstanding(chosen)
    ratios = np.array([sample.image.width / sample.image.height for sample in chosen])
    for start in range(0, len(chosen), CHUNK):
        part = slice(start, start + CHUNK)
        same = np.triu(looks[part] @ looks[start:].T >= SAME - ROUNDING, 1)
        if not same.any():
            continue
        same &= details[part] @ details[start:].T >= DETAIL - ROUNDING
        same &= np.abs(ratios[part, None] / ratios[start:] - 1) <= ASPECT + ROUNDING
        for row in np.flatnonzero(same.any(1)):
            yield int(varied[start + row]), varied[start + np.flatnonzero(same[row])]


def same_picture(a: Sample, b: Sample) -> bool:
    """Whether two images that look alike also agree in their proportions, and in what differs from the pixels around,
    which tells pictures of one kind apart, such as X-rays."""
    proportions = a.image.width * b.image.height / (a.image.height * b.image.width)
    if abs(proportions - 1) > ASPECT:
        return False
    first, second = outstanding([a, b])
    return float(first @ second) >= DETAIL


def outstanding(samples: Sequence[Sample]) -> np.ndarray:
    """(N, 196): what differs from the pixels around in the looks, centred and of length one; zero if nothing does."""
    looks = vectors(samples).reshape(-1, LOOK, LOOK)
    inner = looks[:, 1:-1, 1:-1]
    around = looks[:, :-2, 1:-1] + looks[:, 2:, 1:-1] + looks[:, 1:-1, :-2] + looks[:, 1:-1, 2:]
    details = (4 * inner - around).reshape(len(looks), -1)
    details -= details.mean(1, keepdims=True)
    return details / np.maximum(np.linalg.norm(details, axis=1, keepdims=True), 1e-12)


def nearest(here: Sequence[Sample], others: Sequence[Sample]) -> Iterator[tuple[Sample, Sample, float]]:
    """For each image, the one of the others that it looks most like, and the correlation of their looks."""
    if not others:
        return
    against = vectors(others).T
    for start in range(0, len(here), CHUNK):
        part = here[start : start + CHUNK]
        likeness = vectors(part) @ against
        for sample, row in zip(part, likeness, strict=True):
            best = row.argmax()
            yield sample, others[best], float(row[best])


def vectors(samples: Sequence[Sample]) -> np.ndarray:
    """(N, 256): the looks, centred and of length one, so that products are correlations."""
    pixels = b"".join(sample.image.look for sample in samples)
    looks = np.frombuffer(pixels, np.uint8).reshape(len(samples), -1).astype(np.float32)
    looks -= looks.mean(1, keepdims=True)
    return looks / np.linalg.norm(looks, axis=1, keepdims=True)


# --- frames -----------------------------------------------------------------------------------------------------------


def frames(samples: Sequence[Sample]) -> Iterator[tuple[Sample, Sample]]:
    """Consecutive numbers of one series of names, where the images are alike or the name says frame."""
    for prefix, series in numbered(samples):
        filmed = SEQUENCE.search(prefix)
        for a, b in pairwise(series) if filmed or is_sequence(series) else ():
            if filmed or alike(a, b):
                yield a, b


def numbered(samples: Sequence[Sample]) -> Iterator[tuple[str, list[Sample]]]:
    """Series of names that differ in their last number alone, with what stands before it, in that order.

    Where a number stands twice, these are several series: one in each folder, and for each suffix.
    """
    series = defaultdict(list)
    for sample in samples:
        match = re.fullmatch(r"(.*?)(\d+)(\D*)", sample.pair.image.stem)
        if match:
            prefix, number, rest = match.groups()
            series[prefix, rest].append((int(number), sample))
    for (prefix, _), group in series.items():
        group.sort(key=lambda frame: frame[0])
        is_one = len({number for number, _ in group}) == len(group)
        groups = defaultdict(list)
        for _, sample in group:
            path = sample.pair.image
            groups[() if is_one else (path.parent, path.suffix)].append(sample)
        for one in groups.values():
            yield prefix, one


def is_sequence(frames: Sequence[Sample]) -> bool:
    """Whether neighbours are more alike than frames far apart; numbered photographs of one kind are alike anyhow."""
    varied = [frame for frame in frames if frame.image.look]
    if len(varied) < 4:
        return True
    looks = vectors(varied)
    near = (looks[1:] * looks[:-1]).sum(1)
    far = np.concatenate([(looks * np.roll(looks, len(varied) // parts, 0)).sum(1) for parts in (2, 3)])
    return bool(np.median(near) > np.percentile(far, FAR))


def alike(a: Sample, b: Sample) -> bool:
    if not a.image.look or not b.image.look:
        return False
    first, second = vectors([a, b])
    return float(first @ second) >= ALIKE


# --- tiles ------------------------------------------------------------------------------------------------------------


class Tile(NamedTuple):
    """An image whose name says where in which scene it lies: two numbers, in pixels, of unknown order."""

    sample: Sample
    scene: tuple[str, str, str]  # what stands before, between and behind the numbers
    place: tuple[int, int]


def linked_tiles(samples: Sequence[Sample]) -> Iterator[tuple[Sample, Sample]]:
    """Tiles in pairs such that all of one scene hang together, if tiles overlap."""
    scenes: dict[tuple[str, str, str], list[Sample]] = defaultdict(list)
    for tile in overlapping(samples):
        scenes[tile.scene].append(tile.sample)
    for tiles in scenes.values():
        yield from pairwise(tiles)


def overlapping(samples: Sequence[Sample]) -> list[Tile]:
    """The tiles of all scenes, if the numbers in their names are a grid whose step is smaller than the images."""
    for place in range(PLACES):
        tiles = list(filter(None, (tile_at(sample, place) for sample in samples)))
        if 2 * len(tiles) > len(samples) and is_overlapping_grid(tiles):
            return tiles
    return []


def tile_at(sample: Sample, place: int) -> Tile | None:
    """The tile that a name tells with the two numbers before the last `place` ones; `None` if there are none."""
    name = normalize("NFC", sample.pair.name)
    numbers = list(re.finditer(r"\d+", name))
    if len(numbers) < place + 2:
        return None
    first, second = numbers[-2 - place], numbers[-1 - place]
    between = name[first.end() : second.start()]
    if not BETWEEN.fullmatch(between) or max(len(first[0]), len(second[0])) > 7:
        return None
    scene = name[: first.start()], between, name[second.end() :]
    return Tile(sample, scene, (int(first[0]), int(second[0])))


def is_overlapping_grid(tiles: Sequence[Tile]) -> bool:
    """Whether the places of tiles have a step in each direction, of which one at least is smaller than the tile."""
    places: dict[tuple[str, str, str], set[tuple[int, int]]] = defaultdict(set)
    for tile in tiles:
        places[tile.scene].add(tile.place)
    scenes = [scene for scene in places.values() if len(scene) > 1]
    capacity = sum(len({a for a, _ in scene}) * len({b for _, b in scene}) for scene in scenes)
    if not scenes or sum(map(len, scenes)) < FILLED * capacity:
        return False
    sides = sides_of(tiles)
    steps = [step_of(scenes, axis) for axis in (0, 1)]
    if any(step is None or FINEST * step < side for step, side in zip(steps, sides, strict=True)):
        return False
    return any(step < side for step, side in zip(steps, sides, strict=True) if step)


def sides_of(tiles: Sequence[Tile]) -> tuple[int, int]:
    """The length of a tile in the direction of each number; the shorter one for both where no word says which is x."""
    sizes = Counter((tile.sample.image.height, tile.sample.image.width) for tile in tiles)
    height, width = sizes.most_common(1)[0][0]
    before, between, _ = tiles[0].scene
    words = [re.sub(r".*?([A-Za-z]*)[^A-Za-z]*$", r"\1", text).lower() for text in (before, between)]
    if words[1] in ("x", "col", "column", "c", "left") and words[0] in ("y", "row", "r", "top"):
        return height, width
    if words[0] in ("x", "col", "column", "c", "left") and words[1] in ("y", "row", "r", "top"):
        return width, height
    return min(height, width), min(height, width)


def step_of(scenes: Iterable[set[tuple[int, int]]], axis: int) -> int | None:
    """The usual distance of neighbours in a row or column of tiles; `None` if most have another."""
    distances = Counter[int]()
    for scene in scenes:
        lines: dict[int, list[int]] = defaultdict(list)
        for place in scene:
            lines[place[1 - axis]].append(place[axis])
        for line in lines.values():
            distances.update(b - a for a, b in pairwise(sorted(line)))
    if not distances:
        return None
    step, number = distances.most_common(1)[0]
    return step if number >= USUAL * distances.total() else None


def neighbouring_tiles(samples: Sequence[Sample]) -> Iterator[tuple[Sample, Sample, str]]:
    """(tile, tile, pattern) of overlapping tiles in two splits; the pattern is what `data.group` keeps scenes together
    with."""
    tiles = overlapping(samples)
    if not tiles:
        return
    sides = sides_of(tiles)
    pattern = scene_pattern(tiles)
    for axis in (0, 1):
        lines: dict[tuple[object, int], list[Tile]] = defaultdict(list)
        for tile in tiles:
            lines[tile.scene, tile.place[1 - axis]].append(tile)
        for line in lines.values():
            line.sort(key=lambda tile: tile.place[axis])
            for a, b in pairwise(line):
                if b.place[axis] - a.place[axis] < sides[axis] and a.sample.split != b.sample.split:
                    yield a.sample, b.sample, pattern


def scene_pattern(tiles: Sequence[Tile]) -> str:
    """A regular expression whose group is the scene in the names of tiles."""
    before, between, behind = tiles[0].scene
    middle = rf"\d+{re.escape(between)}\d+"
    if len({tile.scene[2] for tile in tiles}) == 1:
        mark = re.sub(r".*?([^A-Za-z0-9]*[A-Za-z]?)$", r"\1", before)
        if all(tile.scene[0].endswith(mark) for tile in tiles):
            return rf"^(.*){re.escape(mark)}{middle}{re.escape(behind)}$"
    return rf"{middle}(.*)$" if len({tile.scene[0] for tile in tiles}) == 1 else ""
