"""Whether photos lie where masks are expected, and masks where images are: two folders were exchanged."""

import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..data.files.masks import MaskFile
from ..data.files.pair import Pair
from ..data.findings import Finding
from ..data.layouts.contents import FLAT, evenness
from ..data.layouts.reading import spread
from ..data.layouts.tree import below
from ..data.survey.facts import MaskFacts
from ..data.survey.measure import examine_mask
from ..data.survey.survey import Survey

SAMPLES = 8  # pairs that are looked at
MOSTLY = 0.75  # of these
FEW, MANY = 40, 64  # numbers in a mask of classes, and from which on they are those of a photo
VARIED = 30  # `evenness` from which on numbers are those of a photo; up to FLAT they may be those of classes

LOOK = "the masks look like photos, and the images like masks"


def are_exchanged(pairs: Sequence[Pair], facts: Survey, max_pixels: int) -> bool:
    """Whether most masks vary as photos do, while their images hold few numbers, as masks do."""
    some = [pair for pair in spread(pairs, SAMPLES) if isinstance(pair.mask, MaskFile) and not facts.mask(pair).problem]
    photos = [pair for pair in some if is_varied(facts.mask(pair))]
    if len(photos) < MOSTLY * len(some) or not photos:
        return False
    flat = 0
    for pair in photos:
        image = examine_mask(Pair(pair.name, pair.image, MaskFile(pair.image)), max_pixels)
        flat += is_flat(image, facts.mask(pair))
    return flat >= MOSTLY * len(some)


def is_varied(mask: MaskFacts) -> bool:
    """Whether a mask may be a photo."""
    return bool(mask.rest) or len(mask.counts) > MANY


def is_flat(image: MaskFacts, mask: MaskFacts) -> bool:
    """Whether an image may be a mask, and is far more like one than its mask."""
    if image.problem or not image.counts:
        return False
    own, others = mixture(image), mixture(mask)
    few = not image.lossy and not image.rest and len(image.counts) <= FEW
    return own < others and (few or (own <= FLAT and others >= VARIED))


def mixture(mask: MaskFacts) -> float:
    """`evenness` of the numbers in a mask."""
    return evenness(np.array([*mask.counts.values()]), mask.height * mask.width)


def exchanged(pairs: Sequence[Pair], root: Path) -> Finding:
    """The error that says so, with what to do."""
    folders = folders_of(pairs, root)
    if folders is None:
        pair = pairs[0]
        advice = "or list the pairs as they are meant in splits.csv, with the header image,mask,split"
        text = f"such as {below(root, pair.image)} and {below(root, pair.mask.path)}: exchange their names, {advice}"
        return Finding("error", "exchanged", below(root, pair.mask.path), f"{LOOK}, {text}")
    images, masks = folders
    return Finding("error", "exchanged", masks, f"{LOOK}: {images} and {masks} look exchanged, so exchange their names")


def command_to_exchange(pairs: Sequence[Pair], root: Path) -> str:
    """What is typed to exchange the names of two folders; empty where that is not enough."""
    folders = folders_of(pairs, root)
    if folders is None:
        return ""
    images, masks = (str(root / name) for name in folders)
    spare = f"{images}.exchanged"
    moves = [(images, spare), (masks, images), (spare, masks)]
    return " && ".join(shlex.join(["mv", old, new]) for old, new in moves)


def folders_of(pairs: Sequence[Pair], root: Path) -> tuple[str, str] | None:
    """The folders of images and of masks, as seen from the root, if exchanging their names exchanges all files."""
    names: set[tuple[str, str]] = set()
    for pair in pairs:
        image, mask = pair.image.relative_to(root).parts[:-1], pair.mask.path.relative_to(root).parts[:-1]
        differ = [i for i, both in enumerate(zip(image, mask, strict=False)) if both[0] != both[1]]
        if len(image) != len(mask) or len(differ) != 1:
            return None  # they lie in one folder, or in other trees
        end = differ[0] + 1
        names.add(("/".join(image[:end]), "/".join(mask[:end])))
    return names.pop() if len(names) == 1 else None
