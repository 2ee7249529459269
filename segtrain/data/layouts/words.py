"""What the names of folders and files say: image or mask, train or val or test."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal, NamedTuple

Role = Literal["image", "mask", ""]


def listed(text: str) -> frozenset[str]:
    return frozenset(text.split())


IMAGE_WORDS = listed("""
    image images img imgs im jpegimages jpg jpgs picture pictures pic pics photo photos rgb rgbs input inputs raw
    original originals orig sat satellite satellites frame frames scan scans ortho orthophoto src source sources
""")
MASK_WORDS = listed("""
    mask masks label labels labeled labelled lbl lbls lab labs annotation annotations annot annots annotated anno annos
    ann anns gt gts groundtruth groundtruths truth truths seg segs segment segments segmentation segmentations segmented
    target targets trimap trimaps matte mattes manual semantic semantics parsing roi rois boundary boundaries
""")
FOLDER_WORDS = {"x": "image", "y": "mask", "output": "mask", "outputs": "mask", "instances": "mask", "panoptic": "mask"}
DRAWN_WORDS = listed("""
    color colour colors colours colormask colormap colormaps viz vis visualization overlay instanceids
""")  # x_color.png
SECOND_WORDS = DRAWN_WORDS | listed("""
    rgb human object objects instance instances inst panoptic visualisation edges boundary boundaries fov
""")
SHORT_MASK_WORDS = frozenset(("l", "m", "y"))  # x_L.png, x_m.png: at the end of a file's name alone
SPLITS = ("train", "val", "test")
SPLIT_WORDS = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing", "tst"), "test"),
    "trainval": "trainval",
}
FILLERS = frozenset(("set", "sets", "data", "dataset", "split", "subset", "part", "dir", "folder", "files"))
TOKEN = re.compile(r"[A-Z]{2,}s?(?![a-z])|[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]|\d+|[^\W\d_]+")


class Words(NamedTuple):
    """What a name says.

    Attributes:
        role: image or mask, if it names one.
        split: train, val, test or trainval, if it names one.
        rest: its other words and numbers.
    """

    role: Role
    split: str
    rest: tuple[str, ...]


@lru_cache(maxsize=1 << 16)
def tokens(name: str) -> tuple[str, ...]:
    """`train_JPEGImages-2` -> train, jpeg, images, 2; `trainannot` -> train, annot"""
    return tuple(part for word in TOKEN.findall(name) for part in parted(word.lower()))


def first_word(name: str) -> str:
    return next(iter(tokens(name)), "")


def parted(word: str) -> tuple[str, ...]:
    """A split and a role that are written as one word, in two."""
    for split in SPLIT_WORDS:
        rest = word.removeprefix(split)
        if rest != word and rest in IMAGE_WORDS | MASK_WORDS:
            return split, rest
    return (word,)


@lru_cache(maxsize=1 << 16)
def parse_name(name: str) -> Words:
    """What the name of a folder says. Any word for masks counts more than one for images: `label_images`, but not
    `frames-with-labels`."""
    found = tokens(name)
    if "with" in found[1:]:
        found = found[: found.index("with")]
    whole = "".join(found)
    masks = [word for word in found if word in MASK_WORDS]
    images = [word for word in found if word in IMAGE_WORDS]
    splits = {SPLIT_WORDS[word]: None for word in found if word in SPLIT_WORDS}
    if splits.keys() == {"train", "val"}:
        splits = {"trainval": None}
    rest = tuple(word for word in found if word not in {*masks, *images, *FILLERS, *SPLIT_WORDS})
    if not masks and not images and found:
        masks, images = [whole] * (whole in MASK_WORDS), [whole] * (whole in IMAGE_WORDS)
        rest = () if masks or images else rest
    if not masks and not images:
        own = [word for word in found if word in FOLDER_WORDS]
        masks, images = ([word for word in own if FOLDER_WORDS[word] == role] for role in ("mask", "image"))
        rest = tuple(word for word in rest if word not in own)
    return Words("mask" if masks else "image" if images else "", next(iter(splits)) if len(splits) == 1 else "", rest)


SHORT_SPLITS = {"tr": "train", "va": "val", "te": "test", "ts": "test"}


def splits_beside(names: Iterable[str]) -> dict[str, str]:
    """Of folders side by side, those that differ in the word for a split alone: uavid_train, uavid_val, DUTS-TE."""
    alike: dict[tuple[str, ...], dict[str, str]] = {}
    for name in names:
        words = parse_name(name)
        split, rest = words.split, words.rest
        if not split and rest:
            split, rest = SHORT_SPLITS.get(rest[-1], ""), rest[:-1]
        if split and not words.role:
            alike.setdefault(rest, {})[name] = split
    sets = (found for found in alike.values() if len(set(found.values())) == len(found) > 1)
    return {name: split for found in sets for name, split in found.items()}


@lru_cache(maxsize=1 << 16)
def split_named(name: str) -> str:
    """The split that a folder or list is named after: `training_set`, `val2017`, but not `train station`."""
    return "" if parse_name(name).role else split_told(name)


def split_told(name: str) -> str:
    """The split in a name that says nothing else but, perhaps, image or mask: `train_images`."""
    words = parse_name(name)
    return "" if [word for word in words.rest if not is_year(word)] else words.split


def is_year(word: str) -> bool:
    return word.isdigit() and len(word) == 4


@lru_cache(maxsize=1 << 18)
def file_role(stem: str) -> tuple[Role, str]:
    """Image or mask by the first or the last word of a file's name, and the name without it: `x_mask`, `gt-x`,
    `x_mask_2`; nothing is left of `mask` and `image`, which need a folder of their own."""
    whole = set(tokens(stem))
    if whole <= MASK_WORDS or whole <= IMAGE_WORDS:
        return ("mask" if whole <= MASK_WORDS else "image") if whole else "", "" if whole else stem
    if numbered := re.fullmatch(r"(.+[\W_][^\W\d_]+)[\W_]\d{1,3}", stem):
        role, base = file_role(numbered[1])
        if role == "mask":
            return role, base
    for at_end in (True, False):
        pattern = r"(.+?)[\W_]+([^\W_]+(?:[\W_]truth)?)" if at_end else r"([^\W_]+?)[\W_]+(.+)"
        match = re.fullmatch(pattern, stem)
        if not match:
            continue
        base, word = match.groups() if at_end else reversed(match.groups())
        found = set(tokens(word)) - FILLERS
        short = at_end and word.lower() in SHORT_MASK_WORDS | DRAWN_WORDS
        if found & MASK_WORDS or short:
            return "mask", file_role(base)[1] if found & {"truth"} else base
        if found and found <= IMAGE_WORDS:
            return "image", base
    return "", stem


def is_second(name: str) -> bool:
    """Whether a name stands for masks that are drawn for people, or show objects: not what one wants first."""
    return bool(SECOND_WORDS & set(tokens(name)) or name.lower().strip("_-. ") in SECOND_WORDS)
