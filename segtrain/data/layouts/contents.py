"""Whether two readings of a folder, with other masks for the same images, hold the same; a few masks are looked at."""

from collections.abc import Sequence

import numpy as np

from ...errors import UserError
from ..files.images import MAX_PIXELS
from ..files.masks import Mask, MaskFile, codes_of
from .pairing import suffix_of
from .ranking import drawn, learned, muddle
from .reading import Reading, spread

SAMPLES = 4  # masks that are compared
UNUSABLE = 3  # from this `muddle` on masks hold no classes
SHARED = 0.9  # of the images, from which on two readings are two ways to label the same ones
FLAT = 12  # numbers as frequent as they would be if all were equally frequent, up to which they may be classes
LOSSY = {".jpg", ".jpeg", ".webp"}
ENOUGH = 0.97  # share of the pixels in which masks agree that were compressed with loss
COARSE = 0xE0E0E0  # the three high bits of each channel, which JPEG changes least


def rivals(taken: Reading, readings: Sequence[Reading]) -> tuple[list[Reading], list[Reading]]:
    """The readings that give other masks to the same images: those that hold the same, and those that hold other
    things, between which and the one that was taken only a person can decide.

    Nothing where a list, or a layout made for such data, decides; pictures for people and photos are no rivals.
    """
    same: list[Reading] = []
    different: list[Reading] = []
    others = [reading for reading in readings if reading.layout != taken.layout]
    if not others or taken.sure or taken.kind == "splits_csv" or not all_files(taken):
        return same, different
    for other in others:
        if is_rival(other, taken):
            (same if hold_the_same(taken, other) else different).append(other)
    return same, different


def all_files(reading: Reading) -> bool:
    """Whether each mask is in one file of its own."""
    return all(isinstance(pair.mask, MaskFile) for pair in reading.pairs)


def is_rival(other: Reading, taken: Reading) -> bool:
    """Whether a reading labels nearly the same images by other files, which may hold classes."""
    if not all_files(other) or (drawn(other) and not drawn(taken)):
        return False
    own, others = learned(taken), learned(other)
    if len(own & others) < SHARED * max(len(own), len(others)):
        return False
    masks = {pair.mask.path for pair in taken.pairs}
    if any(pair.mask.path in masks for pair in other.pairs):
        return False
    return muddle(other) < UNUSABLE or are_spoilt(other)


def are_spoilt(reading: Reading) -> bool:
    """Whether masks hold too many colours because they were compressed with loss, and not because they are photos: most
    pixels are of few colours all the same."""
    some = [pair.mask for pair in spread(reading.pairs, SAMPLES)]
    try:
        return all(is_lossy(mask) and is_flat(numbers(mask)) for mask in some)
    except (UserError, OSError):
        return False


def is_flat(codes: np.ndarray) -> bool:
    """Whether most pixels are of few numbers."""
    _, pixels = np.unique(codes, return_counts=True)
    return evenness(pixels, codes.size) <= FLAT


def evenness(pixels: np.ndarray, total: int) -> float:
    """How many equally frequent numbers are as mixed as those with so many `pixels` each, of a `total`: few for
    classes, hundreds for photos."""
    return 1 / max(float(((pixels / total) ** 2).sum()), 1e-9)


def hold_the_same(first: Reading, second: Reading) -> bool:
    """Whether the masks of both say the same, in whatever numbers or colours: a copy, or a coloured version."""
    masks = {pair.image: pair.mask for pair in second.pairs}
    both = [(pair.mask, masks[pair.image]) for pair in first.pairs if pair.image in masks]
    some = spread(both, SAMPLES)
    try:
        codes = [(numbers(one), numbers(other)) for one, other in some]
    except (UserError, OSError):
        return False
    if not codes or any(one.shape != other.shape for one, other in codes):
        return False
    ones = np.concatenate([one.ravel() for one, _ in codes])
    others = np.concatenate([other.ravel() for _, other in codes])
    if is_lossy(some[0][1]):
        return tells(others & COARSE, ones)
    if is_lossy(some[0][0]):
        return tells(ones & COARSE, others)
    return are_one_to_one(ones, others)


def numbers(mask: Mask) -> np.ndarray:
    """(H, W) values, or colours as 24-bit numbers."""
    return codes_of(mask.read(MAX_PIXELS, None)).astype(np.intp)


def is_lossy(mask: Mask) -> bool:
    return suffix_of(str(mask.path)) in LOSSY


def are_one_to_one(ones: np.ndarray, others: np.ndarray) -> bool:
    """Whether each number always stands for the same other one. Black and white in turn are not the same."""
    pairs = np.unique(np.stack([ones, others]), axis=1)
    number = pairs.shape[1]
    if len(np.unique(pairs[0])) < number or len(np.unique(pairs[1])) < number:
        return False
    return number != 2 or bool(pairs[1, 0] < pairs[1, 1])


def tells(spoilt: np.ndarray, meant: np.ndarray) -> bool:
    """Whether numbers that were compressed with loss still tell nearly all of those that were meant, of each kind; not
    with black and white in turn."""
    kinds = np.unique(meant).tolist()
    if len(kinds) == 2 and np.median(spoilt[meant == kinds[0]]) >= np.median(spoilt[meant == kinds[1]]):
        return False
    pairs, pixels = np.unique(np.stack([spoilt, meant]), axis=1, return_counts=True)
    order = np.lexsort((-pixels, pairs[0]))
    _, first = np.unique(pairs[0][order], return_index=True)
    best = order[first]  # for each spoilt number, the one that it stands for most often
    told = dict.fromkeys(kinds, 0)
    for number, count in zip(pairs[1][best].tolist(), pixels[best].tolist(), strict=True):
        told[number] += count
    each = all(2 * count >= (meant == number).sum() for number, count in told.items())
    return each and sum(told.values()) >= ENOUGH * meant.size
