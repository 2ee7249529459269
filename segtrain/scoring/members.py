"""Several trained networks that are scored together: as an ensemble, or each on the fold that it did not train on."""

import os
from collections.abc import Callable, Sequence
from functools import partial, reduce
from itertools import combinations
from typing import NamedTuple

from ..data import DataModule
from ..data.batches.source import Source
from ..data.files.pictures import Pictures, Span
from ..errors import UserError
from ..metrics import Counts, accuracy, mean_iou
from ..models.ensemble import Ensemble
from ..report.details import with_details
from ..report.page import Look
from ..report.per_image import PerImage
from ..report.scores import score
from ..report.screen import say
from ..runs.trained import Opened
from ..text import counted, enumerated
from .split_score import SplitScore

CROSS = "cross"  # the name of the split that all vals of the folds are together
NAMES = 6  # of classes, in a message


class Member(NamedTuple):
    """A trained network with the data of its run, opened as they were for its training."""

    trained: Opened
    data: DataModule

    def images(self, *splits: str) -> set[str]:
        """The images of these splits."""
        return set().union(*(images_of(self.data.splits[split]) for split in splits if split in self.data.splits))


def images_of(source: Source) -> set[str]:
    """What tells the images of a split from all others: where their files are; of generated images, their names."""
    pairs = getattr(source, "pairs", None)
    return set(source.names) if pairs is None else {os.path.realpath(pair.image) for pair in pairs}


def ensemble(members: Sequence[Opened]) -> Opened:
    """The networks of several runs as one, with all else of the first. Raises UserError if they do not fit together."""
    first, *others = members
    if not others:
        return first
    for other in others:
        refuse_unlike(first, other)
    if any(other.record.precision != first.record.precision for other in others):
        say(f"all compute in the precision of the first run ({first.record.precision}), unless another one is typed")
    return first._replace(network=Ensemble(member.network for member in members))


def refuse_unlike(first: Opened, other: Opened) -> None:
    """Raises UserError for networks with other classes, or for other images."""
    both = f"{first.folder} and {other.folder} cannot answer together"
    if first.classes.names != other.classes.names:
        own, others = (enumerated(trained.classes.names, NAMES) for trained in (first, other))
        raise UserError(f"{both}: one has the classes {own}, the other {others}: these and their order must agree")
    if first.classes.void != other.classes.void:
        raise UserError(f"{both}: void is {first.classes.void} in one and {other.classes.void} in the other")
    if first.record.channels != other.record.channels:
        channels = f"images of {first.record.channels} and of {counted(other.record.channels, 'channel')}"
        raise UserError(f"{both}: {channels}: name runs that were trained on the same kind of images")
    known, images = (Pictures.stored(trained.record.pictures) for trained in (first, other))
    if known is None or images is None:
        return
    if remark := known.differ(images.kind, images.bits, Span(images.low, images.high)):
        raise UserError(f"{both}: one was trained on {remark} (which are those of {first.folder})")


def refuse_seen(members: Sequence[Member], split: str) -> None:
    """Raises UserError if a member trained on images on which all together are to be scored."""
    first, *others = members
    scored = first.images(split)
    advice = "leave that run out"
    if split == "val":
        test = "split=test scores them together, and " if "test" in first.data.splits else ""
        advice = f"{test}cross=true scores each on its own val"
    for other in others:
        if seen := len(scored & other.images("train")):
            reason = f"{other.trained.folder} was trained on {seen} of these {counted(len(scored), 'image')}"
            raise UserError(f"split={split} of {first.trained.folder}: {reason}: {advice}")


def refuse_changed(members: Sequence[Member]) -> None:
    """Raises UserError for a fold of images that are not those of its training any more: they would be shared out
    anew, so that its val would have images that it was trained on."""
    for trained, data in members:
        fold = getattr(data, "fold", None)
        if fold and data.fingerprint() != trained.record.fingerprint:
            reason = f"the data are not those of the run (names, sizes or classes differ), so {fold} is another one now"
            raise UserError(f"{trained.folder}: {reason}: restore them, or say where they are (data.root=FOLDER)")


def refuse_no_folds(members: Sequence[Member]) -> None:
    """Raises UserError unless the runs are of the same images, each of which is in the val of one run at most."""
    if len(members) < 2:
        raise UserError("cross=true: name the runs of all folds, such as run=A,B,C")
    pool = members[0].images("train", "val")
    for other in members[1:]:
        refuse_unlike(members[0].trained, other.trained)
        if other.images("train", "val") != pool:
            both = f"{members[0].trained.folder} and {other.trained.folder}"
            raise UserError(f"cross=true: {both} are no folds of the same images: train and val together differ")
    for one, other in combinations(members, 2):
        if one.images("val") & other.images("val"):
            both = f"{one.trained.folder} and {other.trained.folder}"
            raise UserError(f"cross=true: {both} have images of val in common: name one run of each fold")


def missing_text(members: Sequence[Member]) -> str:
    """What is said of images that are in no run's val, if there are any."""
    pool = members[0].images("train", "val")
    missing = len(pool) - sum(len(member.images("val")) for member in members)
    return f"{missing} of {counted(len(pool), 'image')} are in the val of none of these runs" if missing else ""


def crossed(parts: Sequence[SplitScore], names: tuple[str, ...]) -> SplitScore:
    """The score on all vals together, from the sum of their matrices: each image is scored by a network that has not
    trained on it."""
    mious = [part.result["miou"] for part in parts]
    matrix = sum((part.matrix for part in parts[1:]), parts[0].matrix)
    totals = {
        "images": sum(part.result["images"] for part in parts),
        "pixels": int(matrix.sum()),
        "void_pixels": sum(part.result["void_pixels"] for part in parts),
        "miou": mean_iou(matrix),
        "accuracy": accuracy(matrix),
    }
    images = PerImage.joined([part.images for part in parts])
    looks: list[Callable[[], Look]] = []
    for part in parts:
        looks += [partial(part.look, index) for index in range(len(part.images))]
    counts = reduce(Counts.plus, [part.counts for part in parts])
    result = {**with_details(score(totals, matrix, CROSS, names), counts), "member_miou": mious}
    precisions = ", ".join(dict.fromkeys(part.precision for part in parts))
    return SplitScore(result, matrix, images, counts, lambda index: looks[index](), precisions)
