"""What the names of folders and files say: image or mask, train or val or test."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain
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
WEAK_IMAGE_WORDS = frozenset(("x",))  # these say something where no word of the above does
WEAK_MASK_WORDS = listed("y output outputs instances panoptic")
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
SHORT_SPLITS = {"tr": "train", "va": "val", "te": "test", "ts": "test"}  # DUTS-TE
TOKEN = re.compile(r"[A-Z]{2,}s?(?![a-z])|[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]|\d+|[^\W\d_]+")
YEAR = re.compile(r"\d{4}")
NUMBERED = re.compile(r"(.+[\W_][^\W\d_]+)[\W_]\d{1,3}")  # x_mask_2
LAST_WORD = re.compile(r"(?P<base>.+?)[\W_]+(?P<word>[^\W_]+(?:[\W_]truth)?)")  # x_mask, x_ground_truth
FIRST_WORD = re.compile(r"(?P<word>[^\W_]+?)[\W_]+(?P<base>.+)")  # gt-x


class Words(NamedTuple):
    """What the name of a folder or file says of role and split, nothing if empty, and its other words and numbers."""

    role: Role
    split: str
    rest: tuple[str, ...]


@lru_cache(maxsize=1 << 16)
def tokens(name: str) -> tuple[str, ...]:
    """The words and numbers of a name: `train_JPEGImages-2` -> train, jpeg, images, 2; `trainannot` -> train, annot"""
    return tuple(chain.from_iterable(parted(word.lower()) for word in TOKEN.findall(name)))


def parted(word: str) -> tuple[str, ...]:
    """A word in two, if it is a split and a role written as one: `trainannot` -> train, annot"""
    for split in SPLIT_WORDS:
        rest = word.removeprefix(split)
        if rest != word and rest in IMAGE_WORDS | MASK_WORDS:
            return split, rest
    return (word,)


@lru_cache(maxsize=1 << 16)
def parse_name(name: str) -> Words:
    """What the name of a folder says; what stands behind `with` does not count: `frames-with-labels`."""
    words = tokens(name)
    if "with" in words[1:]:
        words = words[: words.index("with")]
    role, telling = role_in(words, MASK_WORDS, IMAGE_WORDS), MASK_WORDS | IMAGE_WORDS
    if not role:  # a word that is written as several: RoI
        role, telling = role_in(["".join(words)], MASK_WORDS, IMAGE_WORDS), frozenset(words)
    if not role:
        role, telling = role_in(words, WEAK_MASK_WORDS, WEAK_IMAGE_WORDS), WEAK_MASK_WORDS | WEAK_IMAGE_WORDS
    passed_over = telling | FILLERS | SPLIT_WORDS.keys()
    return Words(role, split_among(words), tuple(word for word in words if word not in passed_over))


def role_in(words: Iterable[str], mask_words: frozenset[str], image_words: frozenset[str]) -> Role:
    """Image or mask; any word for masks counts more than one for images: `label_images`."""
    if mask_words.intersection(words):
        return "mask"
    return "image" if image_words.intersection(words) else ""


def split_among(words: Iterable[str]) -> str:
    """The split that these words name, if it is one; train and val together are trainval."""
    splits = {SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS}
    if splits == {"train", "val"}:
        return "trainval"
    return splits.pop() if len(splits) == 1 else ""


def splits_beside(names: Iterable[str]) -> dict[str, str]:
    """Name -> split, for folders side by side that differ in the word for a split alone: uavid_train, uavid_val."""
    groups: dict[tuple[str, ...], dict[str, str]] = {}
    for name in names:
        role, split, rest = parse_name(name)
        if not split and rest:
            split, rest = SHORT_SPLITS.get(rest[-1], ""), rest[:-1]
        if split and not role:
            groups.setdefault(rest, {})[name] = split
    splits: dict[str, str] = {}
    for group in groups.values():
        if len(set(group.values())) == len(group) > 1:
            splits |= group
    return splits


@lru_cache(maxsize=1 << 16)
def split_named(name: str) -> str:
    """The split that a folder or list is named after: `training_set`, `val2017`, but not `train station`."""
    return split_told(name) if not parse_name(name).role else ""


def innermost_role(folders: Sequence[str]) -> Role:
    """Image or mask, as the innermost of these folders that names one says."""
    for folder in reversed(folders):
        if role := parse_name(folder).role:
            return role
    return ""


def split_told(name: str) -> str:
    """The split in a name that says nothing else but, perhaps, image or mask: `train_images`."""
    words = parse_name(name)
    return words.split if all(map(YEAR.fullmatch, words.rest)) else ""


def first_split(names: Iterable[str]) -> str:
    """The split that the first of these names to tell one tells."""
    return next(filter(None, map(split_told, names)), "")


@lru_cache(maxsize=1 << 18)
def file_role(stem: str) -> tuple[Role, str]:
    """Image or mask by the last or the first word of a file's name, and the name without it: `x_mask`, `gt-x`,
    `x_mask_2`; nothing is left of `mask` and `image`, which need a folder of their own."""
    words = frozenset(tokens(stem))
    if words and (words <= MASK_WORDS or words <= IMAGE_WORDS):
        return role_in(words, MASK_WORDS, IMAGE_WORDS), ""
    numbered = NUMBERED.fullmatch(stem)
    if numbered and file_role(numbered[1])[0] == "mask":
        return file_role(numbered[1])
    for pattern in (LAST_WORD, FIRST_WORD):
        if match := pattern.fullmatch(stem):
            word, base = match["word"], match["base"]
            if pattern is LAST_WORD and word.lower() in SHORT_MASK_WORDS | DRAWN_WORDS:
                return "mask", base
            if "truth" in tokens(word):  # the word before it belongs to it: x_image_truth
                return "mask", file_role(base)[1]
            if role := role_of_word(word):
                return role, base
    return "", stem


def role_of_word(word: str) -> Role:
    """Image or mask, as a word in the name of a file says: any word for masks in it, or only words for images."""
    words = frozenset(tokens(word)) - FILLERS
    if words & MASK_WORDS:
        return "mask"
    return "image" if words and words <= IMAGE_WORDS else ""


def is_second(name: str) -> bool:
    """Whether a name stands for masks that are drawn for people, or show objects: not what one wants first."""
    return bool(SECOND_WORDS & set(tokens(name)) or name.lower().strip("_-. ") in SECOND_WORDS)
