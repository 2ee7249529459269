"""The words that tell the masks of an image apart: names of classes, or numbers of objects."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import chain, zip_longest
from typing import Any, NamedTuple

from .pairing import LETTER, MARK
from .words import DRAWN_WORDS, IMAGE_WORDS, MASK_WORDS, listed, tokens

CLASSES_TOO = listed("roi rois boundary boundaries target targets frame frames scan scans source sources")
ROLES = (MASK_WORDS | IMAGE_WORDS) - CLASSES_TOO  # what says that a file is a mask, and of no class
OTHER_PICTURES = listed("""
    overlays blend preview previews ids id object objects instance instances inst panoptic class classes category fov
    depth disparity heatmap prob probability pred prediction predictions result results superpixels bbox boxes contour
    thumb thumbnail train visualisation
""")
NO_CLASSES = ROLES | DRAWN_WORDS | OTHER_PICTURES
BACKGROUND = listed("background bg backgr")
VOID = listed("void ignore ignored unlabeled unlabelled dontcare")
COUNTED = listed("class cls category cat label layer channel")  # whose number is the name: class_3
NUMBERED = re.compile(r"(?P<word>.*[^\W\d_].*?)[\W_]*[\W_](?P<number>\d+)")  # car_2


class Part(NamedTuple):
    """A mask of an image, for the class that the word names."""

    path: str
    image: str
    word: str
    pattern: str


def without_role(stem: str) -> str:
    """A name without the words at its ends that say mask: x_car_mask -> x_car; nothing is left of mask."""
    words = MARK.split(stem)
    marks = MARK.findall(stem)
    while words and words[-1].lower() in ROLES:
        words.pop()
        marks = marks[: max(len(words) - 1, 0)]
    while words and words[0].lower() in ROLES:
        words.pop(0)
        marks = marks[1:]
    return "".join(chain(*zip_longest(words, marks, fillvalue="")))


def with_class_names(parts: Sequence[Part]) -> list[Part]:
    """The parts whose words are those of classes, under one name for each class. A number behind a word counts objects
    where it goes up to another number in another image; else it is a part of the name."""
    named_parts = [part._replace(word=without_role(part.word)) for part in parts]
    named_parts = [part for part in named_parts if is_class(part.word)]
    numbers = numbers_behind(named_parts)
    all_numbered = all(NUMBERED.fullmatch(part.word) for part in named_parts)
    if all_numbered and len(numbers) == 1 and not numbers.keys() & COUNTED:
        return []  # the number alone tells them apart
    counted = {word for word, by_image in numbers.items() if word not in COUNTED and counts_objects(by_image.values())}
    words = [without_count(part.word, counted) for part in named_parts]
    usual = usual_forms(words)
    return [part._replace(word=usual[word.casefold()]) for part, word in zip(named_parts, words, strict=True)]


def numbers_behind(parts: Iterable[Part]) -> dict[str, dict[str, set[int]]]:
    """Word in small letters -> image -> the numbers that stand behind this word in the names of its masks."""
    numbers: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for part in parts:
        if match := NUMBERED.fullmatch(part.word):
            numbers[match["word"].casefold()][part.image].add(int(match["number"]))
    return numbers


def without_count(word: str, counted: Container[str]) -> str:
    """A word with _ for what stands between its parts, without a number if that counts the objects of the word."""
    match = NUMBERED.fullmatch(word)
    if match and match["word"].casefold() in counted:
        word = match["word"]
    return MARK.sub("_", unicodedata.normalize("NFC", word)).strip("_")


def usual_forms(words: Iterable[str]) -> dict[str, str]:
    """Word in small letters -> how it is written most often."""
    forms: dict[str, Counter[str]] = defaultdict(Counter)
    for word in words:
        forms[word.casefold()][word] += 1
    return {key: written.most_common(1)[0][0] for key, written in forms.items()}


def is_class(word: str) -> bool:
    """Whether a word can be the name of a class: neither a number, nor what says mask or drawn for people."""
    return bool(LETTER.search(word)) and not NO_CLASSES.issuperset(tokens(word))


def counts_objects(numbers: Iterable[set[int]]) -> bool:
    """Whether the numbers behind a word in each image go from 0 or 1 up without a gap, not always equally far; or are
    always one number."""
    sets = list(numbers)
    gapless = all(min(group) <= 1 and max(group) - min(group) < len(group) for group in sets)
    lengths = {len(group) for group in sets}
    return gapless and (len(lengths) > 1 or lengths == {1})


def recurring(parts: Sequence[Part]) -> list[Part]:
    """The parts, if most of their words recur in other images; else none: such words tell objects apart, as numbers."""
    images: dict[str, set[str]] = defaultdict(set)
    for part in parts:
        images[part.word].add(part.image)
    often = [word for word, group in images.items() if len(group) > 1]
    return list(parts) if len(often) > 1 and 2 * len(often) >= len(images) else []


def class_values(words: Iterable[str]) -> dict[str, int]:
    """Class -> value in the masks: 0 for what is called background, and from 1 on in the order of the names."""
    values: dict[str, int] = {}
    for word in sorted(words, key=lambda word: (word.casefold() in VOID, word.casefold())):
        values[word] = 0 if word.casefold() in BACKGROUND else len(set(values.values()) - {0}) + 1
    return values


def table_of(values: Mapping[str, int]) -> dict[str, Any]:
    """The content of a `classes.yaml` for these values; 0 is what no class has, and void counts nowhere."""
    by_value = {value: word for word, value in values.items()}
    ignore = next((value for word, value in values.items() if word.casefold() in VOID), None)
    by_value.setdefault(0, "background")
    classes = [{"name": name, "values": [value]} for value, name in sorted(by_value.items()) if value != ignore]
    return {"ignore": ignore, "classes": classes}
