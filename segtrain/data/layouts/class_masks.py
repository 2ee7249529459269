"""Several masks for each image, one for each class, told apart by a word that recurs with other images.

Numbers in place of words are objects, not classes. Whether the masks hold what the names promise is looked up in a few.
"""

import posixpath
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from ..files.by_class import ClassMask
from ..files.pair import Pair
from .agreement import agreement, hold_classes
from .class_words import CLASSES_TOO, Part, class_values, recurring, table_of, with_class_names, without_role
from .pairing import IMAGE_LIKE, LETTER, MARK, Match, Placed, among, bare, shared_affix, stem_of, suffix_of, usual_names
from .reading import Content, Reading, as_reading
from .tree import Tree
from .words import Role, innermost_role, parse_name, split_named

LAYOUT = "class_masks"


class Name(NamedTuple):
    """What names say of a picture: its split, image or mask, and the folders that say neither, each with its place in
    the path."""

    path: str
    split: str
    role: Role
    folders: tuple[tuple[int, str], ...]

    @property
    def stem(self) -> str:
        return stem_of(self.path)

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(text for _, text in self.folders)


class Guess(NamedTuple):
    """What the name of a mask may mean: the key of its image, the word for its class (empty where it is the mask of all
    classes), and its path with * in place of that word."""

    key: tuple[str, ...]
    word: str
    pattern: str


Index = Mapping[tuple[str, tuple[str, ...]], str]  # (split, key) -> image


@lru_cache(maxsize=2)
def class_masks(tree: Tree) -> list[Reading]:
    """A mask for each class: x_car.png + x_road.png, car/x.png + road/x.png, or x/car.png + x/road.png"""
    names = named(tree)
    found, parts = found_in(names)
    if not parts:
        return []
    whole = {part.image: tree.path(part.path) for part in found if not part.word}
    if 2 * len(whole) >= len({part.image for part in parts}) and hold_classes(list(whole.values())):
        return []
    content, words = agreement(class_files(tree, parts))
    if content == "fits" and 2 * len(whole) >= len({part.image for part in parts}):
        content = "unclear"
    if content != "differs":
        parts = [part for part in parts if part.word in words]
    values = class_values({part.word for part in parts})
    reading = as_reading(tree, LAYOUT, match_of(names, found, parts))
    return [with_masks(reading, masks_by_pattern(tree, parts, values), table_of(values), content)]


def found_in(names: Sequence[Name]) -> tuple[list[Part], list[Part]]:
    """All masks that names give to images, and those of classes; nothing where these follow no rule. Folders count as
    parts of the names of images, but where that leads to nothing."""
    masks = [name for name in names if name.role != "image"]
    images = [name for name in names if name.role != "mask"]
    if named_alike(images, masks):
        return [], []
    alone = inside(images, 0)
    for some_images, some_masks in ((images, masks), (alone, inside(masks, 1)), (alone, inside(masks, 0))):
        found = parts_of(some_images, some_masks, affixes=some_images is images)
        parts = recurring(with_class_names(found))
        if is_rule(names, parts):
            return found, parts
    return [], []


def inside(names: Sequence[Name], folders: int) -> list[Name]:
    """The names with the innermost folders alone, so many of them."""
    return [name._replace(folders=name.folders[max(0, len(name.folders) - folders) :]) for name in names]


def painted(tree: Tree, reading: Reading) -> Reading:
    """The reading of a list that names masks by patterns, with the masks for each class that these stand for."""
    paths = {pair.mask.path for pair in reading.pairs if "*" in str(pair.mask.path)}
    for whole in class_masks(tree) if paths else []:
        masks = {pair.mask.path: pair.mask for pair in whole.pairs if isinstance(pair.mask, ClassMask)}
        if paths & masks.keys():
            return with_masks(reading, masks, whole.classes)
    return reading


def with_masks(
    reading: Reading, masks: Mapping[Path, ClassMask], classes: dict[str, Any] | None, content: Content = ""
) -> Reading:
    """A reading with the masks that its patterns stand for; a pattern that stands for none stays as it is."""
    splits: dict[str, Sequence[Pair]] = {}
    for split, pairs in reading.splits.items():
        splits[split] = [pair._replace(mask=masks.get(pair.mask.path, pair.mask)) for pair in pairs]
    return reading._replace(splits=splits, classes=classes, content=content)


# --- names ------------------------------------------------------------------------------------------------------------


def named(tree: Tree) -> list[Name]:
    """What names say of all pictures."""
    by_folder: dict[str, Name] = {}
    names: list[Name] = []
    for path in tree.pictures:
        folder = posixpath.dirname(path)
        if folder not in by_folder:
            by_folder[folder] = folder_name(tree.parts(path))
        names.append(by_folder[folder]._replace(path=path))
    return names


def folder_name(parts: Sequence[str]) -> Name:
    """What the folders of a picture say."""
    split, role = "", innermost_role(parts)
    folders: list[tuple[int, str]] = []
    among_masks = False
    for place, part in enumerate(parts):
        words = parse_name(part)
        if split_named(part):
            split = split or split_named(part)
        elif words.role and not (among_masks and part.lower() in CLASSES_TOO):
            split = split or words.split
            among_masks = words.role == "mask"
            if words.rest:
                folders.append((place, "_".join(words.rest)))
        else:
            folders.append((place, part))
    return Name("", split, "mask" if among_masks else role, tuple(folders))


def key_of(texts: Iterable[str]) -> tuple[str, ...]:
    """What an image and its masks share: texts without case, ways to write an accent, and zeros in front of a number;
    x/x is x."""
    key: list[str] = []
    for text in texts:
        folded = unicodedata.normalize("NFC", text).casefold()
        if folded.isdecimal():
            folded = folded.lstrip("0") or "0"
        if folded and key[-1:] != [folded]:
            key.append(folded)
    return tuple(key)


def index_of(images: Sequence[Name], *, affixes: bool) -> Index:
    """(split, key) -> the image that alone has it: by its whole name, or else without the word for images in it; with
    `affixes`, without what all images begin or end with. Masks that lie in no split find images of any split."""
    prefix, ending = shared_by(images) if affixes else ("", "")
    ways: list[Callable[[str], str]] = [
        lambda stem: stem.removeprefix(prefix).removesuffix(ending),
        lambda stem: stem.removeprefix(prefix),
        lambda stem: stem.removesuffix(ending),
        bare,
        str,
    ]
    index: dict[tuple[str, tuple[str, ...]], str] = {}
    for way in ways:
        owners: dict[tuple[str, tuple[str, ...]], list[Name]] = defaultdict(list)
        for image in images:
            key = key_of((*image.texts, way(image.stem)))
            for split in {"", image.split}:
                owners[split, key].append(image)
        for key, group in owners.items():
            first, *others = sorted(group, key=lambda image: IMAGE_LIKE.index(suffix_of(image.path)))
            if all(suffix_of(other.path) != suffix_of(first.path) for other in others):
                index[key] = first.path
    return index


def shared_by(images: Sequence[Name]) -> tuple[str, str]:
    """What the usual names of photos begin and end with."""
    suffix = min((suffix_of(image.path) for image in images), key=IMAGE_LIKE.index, default="")
    return shared_affix(usual_names([image.stem for image in images if suffix_of(image.path) == suffix]))


def parts_of(images: Sequence[Name], masks: Sequence[Name], *, affixes: bool) -> list[Part]:
    """The masks of images, as their names say; none where most images have one of their own name."""
    parts = parts_by(index_of(images, affixes=affixes), masks)
    if 2 * sum(not part.word for part in parts) >= len(parts):
        return []
    taken = {part.path for part in parts}
    images = [image for image in images if image.path not in taken]  # a mask, x_car, is no image of x_car_window
    return parts_by(index_of(images, affixes=affixes), masks)


def parts_by(index: Index, masks: Iterable[Name]) -> list[Part]:
    return list(filter(None, (part_of(mask, index) for mask in masks)))


def named_alike(images: Sequence[Name], masks: Sequence[Name]) -> bool:
    """Whether most masks have the name of an image, which is soon told."""
    known = {(image.split, image.texts, image.stem) for image in images if image.role == "image"}
    alike = sum((mask.split, mask.texts, without_role(mask.stem)) in known for mask in masks if mask.role == "mask")
    return 2 * alike > len(masks)


def part_of(mask: Name, index: Index) -> Part | None:
    for guess in guesses(mask):
        image = index.get((mask.split, guess.key))
        if image and image != mask.path:
            return Part(mask.path, image, guess.word, guess.pattern)
    return None


def guesses(mask: Name) -> Iterator[Guess]:
    """What the name of a mask may mean, from the plainest on."""
    texts, stem = mask.texts, without_role(mask.stem)
    yield Guess(key_of((*texts, mask.stem)), "", mask.path)
    yield Guess(key_of((*texts, stem)), "", mask.path)
    for place, word in reversed(mask.folders):
        others = [text for other, text in mask.folders if other != place]
        parts = mask.path.split("/")
        pattern = "/".join(("*" if i == place else part) for i, part in enumerate(parts))
        yield Guess(key_of((*others, stem)), word, pattern)
        for cut in cuts(stem):
            if not LETTER.search(cut.word) or key_of([cut.word]) == key_of([word]):  # the number of an object
                yield Guess(key_of((*others, cut.base)), word, renamed(pattern, stem, cut.starred))
    if texts:
        for cut in cuts(stem):
            if key_of([cut.base]) == key_of(texts[-1:]):  # x/x_car.png
                yield Guess(key_of(texts), cut.word, renamed(mask.path, stem, cut.starred))
        yield Guess(key_of(texts), stem, renamed(mask.path, stem, "*"))
    for cut in cuts(stem):
        yield Guess(key_of((*texts, cut.base)), cut.word, renamed(mask.path, stem, cut.starred))


def renamed(path: str, old: str, new: str) -> str:
    """The path of a file in whose name `old` becomes `new`."""
    folder, name = posixpath.split(path)
    return posixpath.join(folder, name.replace(old, new, 1) if old else new)


class Cut(NamedTuple):
    """A name cut in two: what may be that of the image, what may be that of a class, and the whole with * for this."""

    base: str
    word: str
    starred: str


def cuts(stem: str) -> Iterator[Cut]:
    """All ways to cut a name in two at a mark: the longest names of images first, before the word or behind it."""
    marks = list(MARK.finditer(stem))
    for mark in reversed(marks):
        yield Cut(stem[: mark.start()], stem[mark.end() :], stem[: mark.end()] + "*")
    for mark in marks:
        yield Cut(stem[mark.end() :], stem[: mark.start()], "*" + stem[mark.start() :])


# --- images and their masks -------------------------------------------------------------------------------------------


def is_rule(names: Sequence[Name], parts: Sequence[Part]) -> bool:
    """Whether two images or more have masks of several classes, and half of the images that should have masks have; and
    no class is called like an image."""
    words: dict[str, set[str]] = defaultdict(set)
    for part in parts:
        words[part.image].add(part.word)
    if {key_of([stem_of(image)]) for image in words} & {key_of([part.word]) for part in parts}:
        return False
    splits = {name.split for name in names if name.path in words}
    images = [name for name in names if name.role == "image" and name.split in splits]
    several = sum(len(group) > 1 for group in words.values())
    return several > 1 and 2 * len(words) >= len(images)


def class_files(tree: Tree, parts: Sequence[Part]) -> dict[str, dict[str, list[Path]]]:
    """Image -> class -> files."""
    files: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for part in parts:
        files[part.image][part.word].append(tree.path(part.path))
    return files


def patterns(parts: Sequence[Part]) -> dict[str, str]:
    """Image -> the pattern of its masks, of the first one where they have several."""
    by_image: dict[str, str] = {}
    for part in parts:
        by_image.setdefault(part.image, part.pattern)
    return by_image


def masks_by_pattern(tree: Tree, parts: Sequence[Part], values: Mapping[str, int]) -> dict[Path, ClassMask]:
    files: dict[str, list[tuple[Path, int]]] = defaultdict(list)
    for part in parts:
        files[part.image].append((tree.path(part.path), values[part.word]))
    masks: dict[Path, ClassMask] = {}
    for image, pattern in patterns(parts).items():
        masks[tree.path(pattern)] = ClassMask(tree.path(pattern), tuple(files[image]))
    return masks


def match_of(names: Sequence[Name], found: Sequence[Part], parts: Sequence[Part]) -> Match:
    """Images with the patterns of their masks, and what is left over: images without masks, masks without an image."""
    pattern_of = patterns(parts)
    placed = {name.path: Placed(name.path, name.split, name.texts, "") for name in names}
    pairs = [(placed[image], placed[image]._replace(path=pattern)) for image, pattern in pattern_of.items()]
    known = {part.path for part in found}
    words = {part.word.casefold() for part in parts}
    images: list[Placed] = []
    masks: list[Placed] = []
    unclear: list[Placed] = []
    for name in names:
        if name.path in known or name.path in pattern_of:
            continue
        if name.role == "mask" or names_class(name, words):
            masks.append(placed[name.path])
        elif name.role == "image":
            images.append(placed[name.path])
        else:
            unclear.append(placed[name.path])
    beside = among(unclear, [image for image, _ in pairs])
    return Match(pairs, [*images, *sorted(beside)], masks)


def names_class(name: Name, words: Container[str]) -> bool:
    """Whether a file, or a folder that it lies in, is called after one of the classes."""
    ends = [cut.word for cut in cuts(without_role(name.stem))]
    return any(word.casefold() in words for word in (*ends, *name.texts, name.stem))
