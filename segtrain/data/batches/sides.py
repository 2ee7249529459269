"""Classes that are the left and the right of something: a flip makes one the other."""

import re
import unicodedata
from collections.abc import Sequence
from itertools import chain

from torch import Tensor

from ...errors import UserError
from ...text import enumerated

Pairs = Sequence[Sequence[str | int]]  # of classes, by name or by index

OTHER_SIDE = {"left": "right", "right": "left", "l": "r", "r": "l", "lh": "rh", "rh": "lh"}  # lh: left hemisphere
SHOWN = 8  # names in a message
PLACES = set("lrcmsudtbfb")  # letters that say where: left, centre, middle, straight, up, top, front ...
CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
ATTACHED = re.compile(r"^(left|right)|(left|right)$")  # to another word, as in lefteye

Words = tuple[str, ...]


def flip_pairs(wanted: Pairs | None, names: Sequence[str]) -> list[tuple[int, int]]:
    """The classes, by index, whose labels a flip exchanges: the `wanted` ones, or by default those that differ in left
    and right alone. Raises UserError for pairs that are none."""
    if wanted is None:
        return sides(names)
    if not isinstance(wanted, list | tuple):
        raise UserError(f"augment.flip_pairs={wanted}: expected null, or pairs such as [[left_eye,right_eye]]")
    if len(wanted) > len(names) // 2:
        raise UserError(f"augment.flip_pairs: {len(wanted)} pairs of {len(names)} classes: a class has one other side")
    pairs = []
    for pair in wanted:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            reason = f"{pair} is no pair of classes"
            raise UserError(f"augment.flip_pairs: {reason}: expected two in each, such as [[left_eye,right_eye]]")
        one, two = (index_of(item, names) for item in pair)
        pairs.append((one, two))
    flat = list(chain.from_iterable(pairs))
    for index in flat:
        if flat.count(index) > 1:
            raise UserError(f"augment.flip_pairs: {names[index]} is named twice: a class has one other side")
    return pairs


def index_of(item: str | int, names: Sequence[str]) -> int:
    """The index of a class that is named, or numbered. Raises UserError if there is no such class."""
    if item in names:
        return names.index(str(item))
    if isinstance(item, int) and 0 <= item < len(names):
        return item
    known = enumerated(names, SHOWN)
    raise UserError(f"augment.flip_pairs: there is no class {item}: expected names or numbers of {known}")


def sides(names: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs of classes, by index, whose names differ by left and right alone: `left_eye` and `right_eye`, `eye_l` and
    `eye_r`, `Left Arm` and `rightArm`."""
    words = [words_of(name) for name in names]
    pairs = []
    for index, own in enumerate(words):
        for mirrored in (exchanged_words(own), exchanged_beginnings(own)):
            if mirrored == own or words.count(own) > 1 or words.count(mirrored) != 1:
                continue
            if index < words.index(mirrored) and not are_letters(own, mirrored, words):
                pairs.append((index, words.index(mirrored)))
            break
    return pairs


def words_of(name: str) -> Words:
    """The words of a name, in small letters: those between spaces and signs, and those that begin with a capital."""
    text = CAMEL.sub(" ", unicodedata.normalize("NFC", name))
    return tuple(re.findall(r"[^\W_]+", text.casefold()))


def exchanged_words(words: Words) -> Words:
    return tuple(OTHER_SIDE.get(word, word) for word in words)


def exchanged_beginnings(words: Words) -> Words:
    """Words whose beginning or end is `left` or `right`, and those with the other side in its place."""
    return tuple(ATTACHED.sub(lambda side: OTHER_SIDE[side[0]], word) for word in words)


def are_letters(one: Words, other: Words, words: Sequence[Words]) -> bool:
    """Whether the `l` and `r` in which two names differ are letters among others, as of an alphabet, and no sides."""
    differing = [place for place in range(len(one)) if one[place] != other[place]]
    place = differing[0]
    if len(differing) > 1 or len(one[place]) > 1:
        return False
    alike = [w for w in words if len(w) == len(one) and without(w, place) == without(one, place)]
    return not {w[place] for w in alike if len(w[place]) == 1} <= PLACES


def without(words: Words, place: int) -> Words:
    return words[:place] + words[place + 1 :]


def exchanged(mask: Tensor, pairs: Sequence[tuple[int, int]]) -> Tensor:
    """A mask of class indices with both classes of each pair exchanged."""
    result = mask.clone()
    for one, two in pairs:
        result[mask == one] = two
        result[mask == two] = one
    return result
