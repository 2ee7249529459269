"""Images and masks become pairs: by the folders that they lie in, by their names, by what all names have in common."""

import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import permutations, product
from typing import NamedTuple

from .tree import Tree
from .words import Role, file_role, parse_name, split_named

MAX_VARIANTS = 16


class Spot(NamedTuple):
    """A picture below a folder that is named after images or masks.

    Attributes:
        folder: the name of that folder.
        above: the folders that lead to it.
        below: those between it and the picture.
    """

    path: str
    role: str
    folder: str
    above: tuple[str, ...]
    below: tuple[str, ...]


class Placed(NamedTuple):
    """A picture with what decides on its partner.

    Attributes:
        parts: the folders that it shares with its partner.
        variant: the name of its folder for images or masks.
    """

    path: str
    split: str
    parts: tuple[str, ...]
    variant: str

    @property
    def stem(self) -> str:
        return stem_of(self.path)


class Match(NamedTuple):
    """Pairs, and what is left over on both sides; `variant` is not empty where there are several ways to pair."""

    pairs: list[tuple[Placed, Placed]]
    images: list[Placed]
    masks: list[Placed]
    variant: str = ""


Key = Callable[[Placed], Hashable]


def stem_of(path: str) -> str:
    name = path[path.rfind("/") + 1 :]
    dot = name.rfind(".")
    return name[:dot] if dot > 0 else name


def folders_of(path: str) -> tuple[str, ...]:
    return tuple(path.split("/")[:-1])


def bare(stem: str) -> str:
    """A file's name without the word that says image or mask: x_mask -> x, img_7 -> 7."""
    return file_role(stem)[1]


# From strict to loose: a later key pairs what the earlier ones left.
KEYS: tuple[Key, ...] = (
    lambda p: (p.split, p.parts, parse_name(p.variant).rest, p.stem),
    lambda p: (p.split, p.parts, p.stem),
    lambda p: (p.split, p.parts, bare(p.stem)),
    lambda p: (p.split, tuple(part for part in p.parts if not parse_name(part).role), bare(p.stem)),
)


def match(images: Sequence[Placed], masks: Sequence[Placed]) -> Match:
    """Pairs of pictures that share a key which nothing else has; ways of naming that are learned come last."""
    pairs: list[tuple[Placed, Placed]] = []
    for key in KEYS:
        images, masks = joined(images, masks, key, key, pairs)
    for key, other in learned(images, masks) if not pairs else ():
        found: list[tuple[Placed, Placed]] = []
        rest = joined(images, masks, key, other, found)
        if 2 * len(found) >= len(images):  # a way of naming, and no accident
            pairs, (images, masks) = found, rest
            break
    return Match(pairs, list(images), list(masks))


def joined(
    images: Sequence[Placed], masks: Sequence[Placed], key: Key, other: Key, pairs: list[tuple[Placed, Placed]]
) -> tuple[Sequence[Placed], Sequence[Placed]]:
    """Moves what fits into `pairs`, and returns what is left."""
    if not images or not masks:
        return images, masks
    firsts, seconds = single(images, key), single(masks, other)
    both = [(image, seconds[name]) for name, image in firsts.items() if name in seconds]
    pairs += both
    done = {picture.path for pair in both for picture in pair}
    return [i for i in images if i.path not in done], [m for m in masks if m.path not in done]


def single(pictures: Iterable[Placed], key: Key) -> dict[Hashable, Placed]:
    """By key, those that share theirs with no other."""
    found: dict[Hashable, list[Placed]] = defaultdict(list)
    for picture in pictures:
        found[key(picture)].append(picture)
    return {name: same[0] for name, same in found.items() if len(same) == 1}


def learned(images: Sequence[Placed], masks: Sequence[Placed]) -> Iterator[tuple[Key, Key]]:
    """Keys for names that no word explains: without what most masks add to the name of an image, or most images to
    that of a mask; without what all names of a side begin and end with; the numbers alone."""
    if affix := most_frequent_affix(masks, images):
        yield KEYS[1], without(affix)
    if affix := most_frequent_affix(images, masks):
        yield without(affix), KEYS[1]
    yield distinct(images), distinct(masks)
    yield numbers, numbers


def without(affix: tuple[str, str]) -> Key:
    return lambda p: (p.split, p.parts, p.stem.removeprefix(affix[0]).removesuffix(affix[1]))


def distinct(pictures: Sequence[Placed]) -> Key:
    """The name without the letters that all of its split begin and end with: 21_training -> 21, t007 -> 007."""
    stems: dict[str, list[str]] = defaultdict(list)
    for picture in pictures:
        stems[picture.split].append(picture.stem)
    ends = {}
    for split, names in stems.items():
        start = re.sub(r"\d+$", "", shared_start(names))
        end = re.sub(r"\d+$", "", shared_start([name[len(start) :][::-1] for name in names]))
        ends[split] = start, end[::-1]
    return lambda p: (p.split, p.parts, p.stem.removeprefix(ends[p.split][0]).removesuffix(ends[p.split][1]))


def shared_start(names: Sequence[str]) -> str:
    first, last = min(names), max(names)  # all others lie between them
    return first[: next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))]


def shared_end(pictures: Sequence[Placed]) -> str:
    """What the names of all end with, from a mark such as _ on: _leftImg8bit"""
    if len(pictures) < 2:
        return ""
    found = re.search(r"[\W_].*", shared_start([picture.stem[::-1] for picture in pictures])[::-1])
    return found[0] if found else ""


def most_frequent_affix(longer: Sequence[Placed], shorter: Sequence[Placed]) -> tuple[str, str] | None:
    """(prefix, suffix) which at least half of `longer` add to the name of one of `shorter`."""
    known = {KEYS[1](picture) for picture in shorter}
    found: Counter[tuple[str, str]] = Counter()
    for picture in longer:
        stem = picture.stem
        for cut in re.finditer(r"[\W_]+", stem):
            for affix in ((stem[: cut.end()], ""), ("", stem[cut.start() :])):
                rest = stem.removeprefix(affix[0]).removesuffix(affix[1])
                if (picture.split, picture.parts, rest) in known and re.search(r"[^\W\d_]", "".join(affix)):
                    found[affix] += 1
    affix, number = max(found.items(), key=lambda item: item[1], default=(None, 0))
    return affix if 2 * number >= max(len(longer), len(shorter)) else None


def numbers(picture: Placed) -> Hashable:
    """frame_0012 and gt12 have the same; a name without any has only itself."""
    found = tuple(int(number) for number in re.findall(r"\d{1,18}", picture.stem))
    return (picture.split, picture.parts, found or picture.stem)


# --- folders for images, folders for masks ----------------------------------------------------------------------------


@lru_cache(maxsize=2)
def spots(tree: Tree) -> list[Spot]:
    """The pictures below folders that are named after images or masks and stand side by side somewhere in the tree."""
    named = names_beside(tree)
    places: dict[tuple[str, ...], int | None] = {}
    found = []
    for path in tree.pictures:
        parts = tree.parts(path)
        if parts not in places:
            places[parts] = next((i for i, part in enumerate(parts) if part in named), None)
        if (place := places[parts]) is not None:
            name = parts[place]
            found.append(Spot(path, named[name], name, parts[:place], parts[place + 1 :]))
    return found


def names_beside(tree: Tree) -> dict[str, str]:
    """Name of a folder -> image or mask, for those that somewhere have the other kind beside them.

    A folder that is named after a split alone holds images where one beside it holds the split's masks: train and
    trainannot.
    """
    found: dict[str, str] = {}
    for parent in tree.folders:
        paths = [posixpath.join(parent, name) for name in tree.children.get(parent, ())]
        folders = {tree.parts(posixpath.join(path, ""))[-1]: path for path in paths}
        roles = {name: parse_name(name).role for name in folders}
        masked = {parse_name(name).split for name, role in roles.items() if role == "mask"} - {""}
        roles |= {name: "image" for name in folders if not roles[name] and split_named(name) in masked}
        if "mask" not in roles.values():
            roles |= by_likeness(tree, folders, roles)
        if {"image", "mask"} <= set(roles.values()):
            found |= {name: role for name, role in roles.items() if role}
    return found


def by_likeness(tree: Tree, folders: Mapping[str, str], roles: Mapping[str, str]) -> dict[str, Role]:
    """Of folders beside each other with files of the same names, two have the images and masks though no word says it:
    sat and map, where one is called after images; else those where the files are stored as photos are the images."""
    held = {name: held_in(tree, path) for name, path in folders.items() if not split_named(name)}
    for one, other in permutations(sorted(held), 2):
        (stems, suffix), (others, its) = held[one], held[other]
        alike = 2 * len(stems & others) > max(len(stems), len(others))
        photos = not roles[one] and its in LOSSLESS and suffix not in LOSSLESS
        if alike and not roles[other] and (roles[one] == "image" or photos):
            return {one: "image", other: "mask"}
    return {}


def held_in(tree: Tree, folder: str) -> tuple[frozenset[str], str]:
    """The pictures below a folder, without their suffix, and the most frequent suffix."""
    start = len(folder) + 1
    inside = tree.below(folder)
    suffixes = Counter(map(suffix_of, inside))
    return frozenset(path[start:].rpartition(".")[0] for path in inside), max(
        suffixes, key=suffixes.__getitem__, default=""
    )


def matches(images: Sequence[Placed], masks: Sequence[Placed], whole: Match | None = None) -> list[Match]:
    """One match; or, where several folders for images or for masks lie side by side, one for each choice of them.

    If all of them belong to one another, as days do, nothing is left over, and one match it is; likewise if no choice
    finds as many pairs.

    Args:
        whole: the match if nothing is chosen; `None` for all that `match` finds.
    """
    whole = whole or match(images, masks)
    if not (whole.images or whole.masks):
        return [whole]
    rivals = rival_names(images), rival_names(masks)
    choices = list(product(sorted(rivals[0]) or [""], sorted(rivals[1]) or [""]))[:MAX_VARIANTS]
    if len(choices) < 2:
        return [whole]
    found = [whole._replace(variant="")]
    for first, second in choices:
        chosen = match(
            [image for image in images if image.variant == first or image.variant not in rivals[0]],
            [mask for mask in masks if mask.variant == second or mask.variant not in rivals[1]],
        )
        found.append(chosen._replace(variant="+".join(filter(None, (first, second)))))
    most = max(len(each.pairs) for each in found[1:])
    return found[:1] if len(whole.pairs) > most else found[1:]


def rival_names(pictures: Iterable[Placed]) -> set[str]:
    """The folders of which several lie side by side."""
    variants: dict[Hashable, set[str]] = defaultdict(set)
    for picture in pictures:
        variants[picture.split, picture.parts].add(picture.variant)
    return {name for names in variants.values() if len(names - {""}) > 1 for name in names - {""}}


def told_apart(tree: Tree, pictures: Sequence[Placed]) -> list[Placed]:
    """With the folders and words as variants by which pictures of one name differ: v1.2/labels and v2.0/labels."""
    same: dict[Hashable, list[Placed]] = defaultdict(list)
    for picture in pictures:
        same[picture.split, bare(picture.stem)].append(picture)
    marks = {picture: (*tree.parts(picture.path), picture.variant) for picture in pictures}
    telling = set[str]()
    for group in same.values():
        found = [set(marks[picture]) for picture in group]
        telling |= set.union(*found) - set.intersection(*found)
    return [p._replace(variant="/".join(mark for mark in marks[p] if mark in telling)) for p in pictures]


def of_one_variant(images: Sequence[Placed], masks: Sequence[Placed]) -> Match:
    """Pairs of pictures that `told_apart` gave the same variant: ground_truth/crack/0_mask.png for test/crack/0.png."""
    pairs: list[tuple[Placed, Placed]] = []
    key: Key = lambda p: (p.split, parse_name(p.variant).rest, bare(p.stem))  # noqa: E731
    images, masks = joined(images, masks, key, key, pairs)
    return Match(pairs, list(images), list(masks))


def by_variant(images: list[Placed], masks: list[Placed]) -> list[Match]:
    """Matches, where the variant tells pictures of one name apart."""
    several = any(picture.variant for picture in (*images, *masks))
    return [each for each in matches(images, masks, of_one_variant(images, masks) if several else None) if each.pairs]


def by_endings(images: Sequence[Placed], masks: Sequence[Placed]) -> list[Match]:
    """Masks named like images with something behind it, one match for each ending that at least half of the images
    have: x_1stHO.png and x_2ndHO.png for x.jpg. What all images end with does not count: x_rgb.png.

    Without masks, these are among the images.
    """
    end = shared_end(images) if masks else ""
    start = {(image.split, image.parts, image.stem.removesuffix(end)): image for image in images}
    found: dict[str, dict[Placed, list[Placed]]] = defaultdict(lambda: defaultdict(list))
    for mask in masks or images:
        cuts = (cut.start() for cut in re.finditer(r"[\W_]+", mask.stem))
        known = next((key for cut in cuts if (key := (mask.split, mask.parts, mask.stem[:cut])) in start), None)
        if known and re.search(r"[^\W\d_]", ending := mask.stem[len(known[2]) :]):
            found[ending][start[known]].append(mask)
    pairs = {e: [(image, its[0]) for image, its in same.items() if len(its) == 1] for e, same in found.items()}
    with_masks = {image for both in pairs.values() for image, _ in both}
    usual = sorted(ending for ending, both in pairs.items() if both and 2 * len(both) >= len(with_masks))
    return [
        Match(pairs[e], sorted(with_masks - {image for image, _ in pairs[e]}), [], e if len(usual) > 1 else "")
        for e in usual
    ]


# --- one folder for both ----------------------------------------------------------------------------------------------

LOSSLESS = {".png", ".bmp", ".gif", ".tif", ".tiff"}
IMAGE_LIKE = (".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".ppm", ".pgm", ".png", ".gif")


def by_affix(path: str, split: str, parts: tuple[str, ...]) -> tuple[Role, Placed]:
    """The role that the first or the last word of a name gives: x_mask.png; that word is the variant."""
    stem = stem_of(path)
    role, base = file_role(stem)
    word = stem.replace(base, "", 1) if base and role == "mask" else ""
    return role or "image", Placed(path, split, parts, word)


def by_suffix(pictures: Sequence[Placed]) -> Match:
    """Pairs of one name with two suffixes, of which the one that is more usual for photographs is the image."""
    suffixes = sorted({suffix_of(picture.path) for picture in pictures}, key=IMAGE_LIKE.index)
    if len(suffixes) < 2:
        return Match([], list(pictures), [])
    sides = ([picture for picture in pictures if suffix_of(picture.path) == suffix] for suffix in suffixes[:2])
    images, masks, pairs = *sides, []
    images, masks = joined(images, masks, KEYS[1], KEYS[1], pairs)
    others = [picture for picture in pictures if suffix_of(picture.path) in suffixes[2:]]
    return Match(pairs, [*images, *others], list(masks))


def suffix_of(path: str) -> str:
    return posixpath.splitext(path)[1].lower()
