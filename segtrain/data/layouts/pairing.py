"""Images and masks become pairs: by the folders that they lie in, by their names, by what all names have in common."""

import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain, permutations, product
from posixpath import commonprefix
from typing import NamedTuple

from .tree import Tree
from .words import Role, file_role, innermost_role, parse_name, split_named

MAX_VARIANTS = 16
USUAL = 0.8  # share of the names that makes a rule of theirs
LOSSLESS = {".png", ".bmp", ".gif", ".tif", ".tiff", ".npy", ".npz"}
IMAGE_LIKE = (".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".ppm", ".pgm", ".png", ".gif", ".npy", ".npz")
MARK = re.compile(r"[\W_]+")  # what stands between the words of a name
LETTER = re.compile(r"[^\W\d_]")


class Spot(NamedTuple):
    """A folder with pictures, at or below one that is named after images or masks, with the folders above and below
    that one."""

    path: str
    role: Role
    folder: str
    above: tuple[str, ...]
    below: tuple[str, ...]


class Placed(NamedTuple):
    """An image or a mask with what decides on its partner: the folders that both share, and, to choose among several,
    the name of the folder for images or masks, or the word in its own name that says so."""

    path: str
    split: str
    parts: tuple[str, ...]
    variant: str

    @property
    def stem(self) -> str:
        return stem_of(self.path)


Pairs = list[tuple[Placed, Placed]]  # of an image and its mask
Key = Callable[[Placed], Hashable]


class Match(NamedTuple):
    """Images and masks in pairs, and those left over; `variant` tells several ways to pair the same files apart."""

    pairs: Pairs
    images: list[Placed]
    masks: list[Placed]
    variant: str = ""


def images_of(pairs: Pairs) -> list[Placed]:
    return [image for image, _ in pairs]


def stem_of(path: str) -> str:
    name = path[path.rfind("/") + 1 :]
    dot = name.rfind(".")
    return name[:dot] if dot > 0 else name


def suffix_of(path: str) -> str:
    return posixpath.splitext(path)[1].lower()


def folders_of(path: str) -> tuple[str, ...]:
    return tuple(path.split("/")[:-1])


def role_of(path: str) -> Role:
    """Mask, if a folder of a picture or its own name says so; else image."""
    return "mask" if "mask" in (innermost_role(folders_of(path)), file_role(stem_of(path))[0]) else "image"


def shape_of(name: str) -> str:
    """A name without what its numbers are, which tells a series of names: p_07 and p_31 are p_0."""
    return re.sub(r"\d+", "0", name)


def bare(stem: str) -> str:
    """A file's name without the word that says image or mask: x_mask -> x, img_7 -> 7."""
    return file_role(stem)[1]


def variant_key(picture: Placed) -> Hashable:
    """The name, and what the folder is called besides image or mask: images_day3/0.jpg and masks_day3/0.png."""
    return picture.split, picture.parts, parse_name(picture.variant).rest, picture.stem


def name_key(picture: Placed) -> Hashable:
    return picture.split, picture.parts, picture.stem


def bare_key(picture: Placed) -> Hashable:
    return picture.split, picture.parts, bare(picture.stem)


def loose_key(picture: Placed) -> Hashable:
    """The bare name, and the folders that say neither image nor mask: x/images/1.jpg and masks/x/1.png."""
    parts = tuple(part for part in picture.parts if not parse_name(part).role)
    return picture.split, parts, bare(picture.stem)


def folder_key(picture: Placed) -> Hashable:
    return posixpath.dirname(picture.path)


KEYS: tuple[Key, ...] = (variant_key, name_key, bare_key, loose_key)  # a later key pairs what the earlier ones left


def match(images: Sequence[Placed], masks: Sequence[Placed]) -> Match:
    """Pairs of pictures that share a key which nothing else has; else by what differs in their names."""
    whole = Match([], list(images), list(masks))
    if not images or not masks:
        return whole
    for key in KEYS:
        found = paired(whole.images, whole.masks, key, key)
        whole = found._replace(pairs=whole.pairs + found.pairs)
    if whole.pairs:
        return whole
    for image_key, mask_key in learned(images, masks):
        found = paired(images, masks, image_key, mask_key)
        if 2 * len(found.pairs) >= len(images):  # fewer pairs are an accident
            return found
    return whole


def learned(images: Sequence[Placed], masks: Sequence[Placed]) -> Iterator[tuple[Key, Key]]:
    """Keys for names that no word explains: without what most masks add to the name of an image, or most images to
    that of a mask; without what all names of a side begin and end with, as in DRIVE (https://drive.grand-challenge.org:
    21_training.tif with 21_manual1.gif) and NYUv2 (https://github.com/meetps/pytorch-semseg: nyu_rgb_0016.png with
    new_nyu_class13_0016.png); at last the folder, where none has several masks: im7/img.png with im7/mask_1.png."""
    if affix := most_frequent_affix(masks, images):
        yield name_key, without(affix)
    if affix := most_frequent_affix(images, masks):
        yield without(affix), name_key
    yield distinct(images), distinct(masks)
    if 1 < len(masks) == len(set(map(folder_key, masks))):
        yield folder_key, folder_key


def without(affix: tuple[str, str]) -> Key:
    """A key: the name without a prefix and a suffix."""
    prefix, suffix = affix
    return lambda picture: (picture.split, picture.parts, picture.stem.removeprefix(prefix).removesuffix(suffix))


def most_frequent_affix(longer: Sequence[Placed], shorter: Sequence[Placed]) -> tuple[str, str] | None:
    """(prefix, suffix), one of them empty, which at least half of `longer` add to the name of one of `shorter`."""
    known = {name_key(picture) for picture in shorter}
    counts: Counter[tuple[str, str]] = Counter()
    for picture in longer:
        stem = picture.stem
        for mark in MARK.finditer(stem):
            for affix in ((stem[: mark.end()], ""), ("", stem[mark.start() :])):
                if LETTER.search("".join(affix)) and without(affix)(picture) in known:  # a number alone is no affix
                    counts[affix] += 1
    for affix, number in counts.most_common(1):
        if 2 * number >= max(len(longer), len(shorter)):
            return affix
    return None


def paired(images: Sequence[Placed], masks: Sequence[Placed], image_key: Key, mask_key: Key) -> Match:
    """Pairs of an image and a mask whose keys are equal, and belong to no other image or mask."""
    mask_by_key = single(masks, mask_key)
    pairs: Pairs = []
    for key, image in single(images, image_key).items():
        if mask := mask_by_key.get(key):
            pairs.append((image, mask))
    taken = set(chain(*pairs))
    left = [image for image in images if image not in taken]
    return Match(pairs, left, [mask for mask in masks if mask not in taken])


def single(pictures: Iterable[Placed], key: Key) -> dict[Hashable, Placed]:
    """Key -> picture, for keys that only one picture has."""
    owners: dict[Hashable, Placed] = {}
    shared: set[Hashable] = set()
    for picture in pictures:
        name = key(picture)
        if owners.setdefault(name, picture) is not picture:
            shared.add(name)
    for name in shared:
        del owners[name]
    return owners


def distinct(pictures: Sequence[Placed]) -> Key:
    """A key: the name without what all usual names of its split begin and end with: 21_training -> 21, t007 -> 007."""
    stems: dict[str, list[str]] = defaultdict(list)
    for picture in pictures:
        stems[picture.split].append(picture.stem)
    keys = {split: without(shared_affix(usual_names(names))) for split, names in stems.items()}
    return lambda picture: keys[picture.split](picture)


def usual_names(names: Sequence[str]) -> Sequence[str]:
    """The names that differ in their numbers alone, if those are nearly all: what else lies among them is no rule."""
    shapes = list(map(shape_of, names))
    for shape, number in Counter(shapes).most_common(1):
        if number >= USUAL * len(names):
            return [name for name, other in zip(names, shapes, strict=True) if other == shape]
    return names


def shared_affix(names: Sequence[str]) -> tuple[str, str]:
    """(prefix, suffix) that all names have, without digits that are part of a number: t001, t002 -> t and nothing."""
    prefix = re.sub(r"\d+$", "", commonprefix(names))
    ends = [name.removeprefix(prefix)[::-1] for name in names]
    return prefix, re.sub(r"^\d+", "", commonprefix(ends)[::-1])


@lru_cache(maxsize=2)
def spots(tree: Tree) -> list[Spot]:
    """The folders with pictures, below those named after images or masks that stand side by side somewhere."""
    roles = names_beside(tree)
    found = (spot_of(folder, tree.parts_of_folder(folder), roles) for folder in tree.by_folder)
    return list(filter(None, found))


def spot_of(folder: str, parts: tuple[str, ...], roles: Mapping[str, Role]) -> Spot | None:
    """The spot that a folder is, to which these parts lead; `None` if none of them is named after images or masks."""
    for i, part in enumerate(parts):
        if part in roles:
            return Spot(folder, roles[part], part, parts[:i], parts[i + 1 :])
    return None


def names_beside(tree: Tree) -> dict[str, Role]:
    """Name of a folder -> image or mask, for those that somewhere have the other kind beside them."""
    named: dict[str, Role] = {}
    for parent in tree.children:
        roles = roles_beside(tree, parent)
        if {"image", "mask"} <= set(roles.values()):
            named |= {name: role for name, role in roles.items() if role}
    return named


def roles_beside(tree: Tree, parent: str) -> dict[str, Role]:
    """Name -> role of the folders in a folder. One that is named after a split alone holds images, if one beside it is
    named after the split's masks: train and trainannot."""
    paths = [posixpath.join(parent, name) for name in tree.children[parent]]
    folders = {tree.parts_of_folder(path)[-1]: path for path in paths}
    roles: dict[str, Role] = {name: parse_name(name).role for name in folders}
    splits_of_masks = {parse_name(name).split for name, role in roles.items() if role == "mask"} - {""}
    for name in folders:
        if not roles[name] and split_named(name) in splits_of_masks:
            roles[name] = "image"
    if "mask" not in roles.values():
        roles |= by_likeness(tree, folders, roles)
    return roles


def by_likeness(tree: Tree, folders: Mapping[str, str], roles: Mapping[str, str]) -> dict[str, Role]:
    """Of folders beside each other with files of the same names, two have the images and masks though no word says it:
    sat and map, where one is called after images; else those where the files are stored as photos are the images."""
    contents = {name: held_in(tree, path) for name, path in folders.items() if not split_named(name)}
    for image, mask in permutations(sorted(contents), 2):
        (image_stems, image_suffix), (mask_stems, mask_suffix) = contents[image], contents[mask]
        alike = 2 * len(image_stems & mask_stems) > max(len(image_stems), len(mask_stems))
        photos = not roles[image] and image_suffix not in LOSSLESS and mask_suffix in LOSSLESS
        if alike and not roles[mask] and (roles[image] == "image" or photos):
            return {image: "image", mask: "mask"}
    return {}


def held_in(tree: Tree, folder: str) -> tuple[frozenset[str], str]:
    """The pictures below a folder as paths without suffix, and their most frequent suffix."""
    pictures = tree.below(folder)
    stems = frozenset(path[len(folder) + 1 :].rpartition(".")[0] for path in pictures)
    suffixes = Counter(map(suffix_of, pictures))
    return stems, max(suffixes, key=suffixes.__getitem__, default="")


def matches(images: Sequence[Placed], masks: Sequence[Placed], whole: Match | None = None) -> list[Match]:
    """One match; or, where several folders for images or for masks lie side by side, one for each choice of them,
    unless nothing is left over, as where they are days that belong together, or no choice finds as many pairs."""
    whole = whole or match(images, masks)
    image_rivals, mask_rivals = rival_names(images), rival_names(masks)
    choices = list(product(sorted(image_rivals) or [""], sorted(mask_rivals) or [""]))[:MAX_VARIANTS]
    if len(choices) < 2 or not (whole.images or whole.masks):
        return [whole]
    chosen: list[Match] = []
    for image_folder, mask_folder in choices:
        some_images = [image for image in images if image.variant not in image_rivals - {image_folder}]
        some_masks = [mask for mask in masks if mask.variant not in mask_rivals - {mask_folder}]
        variant = "+".join(filter(None, (image_folder, mask_folder)))
        chosen.append(match(some_images, some_masks)._replace(variant=variant))
    most = max(len(choice.pairs) for choice in chosen)
    return chosen if most >= len(whole.pairs) else [whole]


def rival_names(pictures: Iterable[Placed]) -> set[str]:
    """The names of folders for images, or for masks, of which several lie side by side."""
    variants: dict[Hashable, set[str]] = defaultdict(set)
    for picture in pictures:
        if picture.variant:
            variants[picture.split, picture.parts].add(picture.variant)
    return set().union(*(names for names in variants.values() if len(names) > 1))


def told_apart(tree: Tree, pictures: Sequence[Placed]) -> list[Placed]:
    """Pictures whose variant is what tells those of one name apart, folders or words: v1.2/labels and v2.0/labels."""
    namesakes: dict[Hashable, list[set[str]]] = defaultdict(list)
    for picture in pictures:
        namesakes[picture.split, bare(picture.stem)].append({*tree.parts(picture.path), picture.variant})
    telling: set[str] = set()
    for sets in namesakes.values():
        telling |= set.union(*sets) - set.intersection(*sets)
    apart: list[Placed] = []
    for picture in pictures:
        words = (*tree.parts(picture.path), picture.variant)
        variant = "/".join(word for word in words if word in telling)
        apart.append(picture._replace(variant=variant))
    return apart


def by_variant(images: list[Placed], masks: list[Placed]) -> list[Match]:
    """Matches of pictures that `told_apart` gave the same variant: ground_truth/crack/0_mask.png for test/crack/0.png;
    of all where it gave none."""

    def key(picture: Placed) -> Hashable:
        return picture.split, parse_name(picture.variant).rest, bare(picture.stem)

    told = any(picture.variant for picture in (*images, *masks))
    whole = paired(images, masks, key, key) if told else None
    return [match for match in matches(images, masks, whole) if match.pairs]


def by_endings(pictures: Sequence[Placed]) -> list[Match]:
    """Matches of masks that are named like their image with an ending behind it, x_1stHO.png and x_2ndHO.png for x.jpg:
    one for each ending that at least half of the images with such masks have. What lies among the images without a
    mask, or among the masks with the ending but without an image, is left over."""
    endings: dict[str, Pairs] = {}
    for ending, pairs in pairs_by_ending(pictures).items():
        numbers = Counter(images_of(pairs))
        endings[ending] = [(image, mask) for image, mask in pairs if numbers[image] == 1]
    labelled = set[Placed]().union(*map(images_of, endings.values()))
    usual = {ending: pairs for ending, pairs in endings.items() if 0 < len(labelled) <= 2 * len(pairs)}
    paired = set[Placed]().union(*(chain(*pairs) for pairs in endings.values()))
    others = [picture for picture in pictures if picture not in paired]
    masks_alone = {ending: with_ending(others, ending, pairs) for ending, pairs in usual.items()}
    without_mask = among(set(others).difference(*masks_alone.values()), labelled)
    matches: list[Match] = []
    for ending, pairs in sorted(usual.items()):
        variant = ending if len(usual) > 1 else ""
        images = sorted(labelled.difference(images_of(pairs)) | without_mask)
        matches.append(Match(pairs, images, sorted(masks_alone[ending]), variant))
    return matches


def with_ending(pictures: Iterable[Placed], ending: str, pairs: Pairs) -> set[Placed]:
    """The pictures beside the masks of these pairs that are named with their ending too."""
    return {mask for mask in among(pictures, [mask for _, mask in pairs]) if mask.stem.endswith(ending)}


def among(pictures: Iterable[Placed], known: Iterable[Placed]) -> set[Placed]:
    """The pictures that lie in a folder with known ones and have their suffix."""
    places = {place_of(picture) for picture in known}
    return {picture for picture in pictures if place_of(picture) in places}


def place_of(picture: Placed) -> tuple[str, str]:
    return posixpath.dirname(picture.path), suffix_of(picture.path)


def pairs_by_ending(pictures: Sequence[Placed]) -> dict[str, Pairs]:
    """Ending -> images with masks of their name and this ending."""
    image_by_name = {name_key(picture): picture for picture in pictures}
    endings: dict[str, Pairs] = defaultdict(list)
    for mask in pictures:
        for mark in MARK.finditer(mask.stem):
            image = image_by_name.get((mask.split, mask.parts, mask.stem[: mark.start()]))
            ending = mask.stem[mark.start() :]
            if image and LETTER.search(ending):
                endings[ending].append((image, mask))
            if image:
                break
    return endings


def by_affix(path: str, split: str, parts: tuple[str, ...]) -> tuple[Role, Placed]:
    """The role that the first or the last word of a name gives: x_mask.png; that word is the variant."""
    stem = stem_of(path)
    role, base = file_role(stem)
    word = stem.replace(base, "", 1) if base and role == "mask" else ""
    return role or "image", Placed(path, split, parts, word)


def by_suffix(pictures: Sequence[Placed]) -> Match:
    """Pairs of one name with two suffixes, of which the one that is more usual for photographs is the image."""
    groups: dict[str, list[Placed]] = defaultdict(list)
    for picture in pictures:
        groups[suffix_of(picture.path)].append(picture)
    if len(groups) < 2:
        return Match([], list(pictures), [])
    first, second, *others = sorted(groups, key=IMAGE_LIKE.index)
    match = paired(groups[first], groups[second], name_key, name_key)
    for suffix in others:
        match.images.extend(groups[suffix])
    return match
