"""What is wrong with a data set, with file names."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np

from .classes import ClassTable
from .color import hex_of
from .files.images import TRANSPOSED
from .files.pair import Pair
from .layouts.reading import Reading
from .survey.facts import ImageFacts, MaskFacts
from .survey.measure import LOOK
from .survey.memory import remembered
from .survey.survey import Survey, readers, survey
from .survey.tally import in_coding, tally

SAME, DETAIL = 0.98, 0.9  # correlations of two looks, and of what stands out in them, from which they are one image
ALIKE = 0.8  # and from which two neighbours by name are frames of one sequence
FAR = 75  # percentile of the likeness of distant frames that half of all neighbours exceed
ASPECT = 0.05  # how much the proportions of near-duplicates may differ
SEQUENCE = re.compile(r"frame|video|clip|seq", re.IGNORECASE)  # names whose numbers are times, whatever they look like
CHUNK = 256  # images that are compared with all others at once


class Finding(NamedTuple):
    """Something wrong: errors make a pair unusable, warnings do not.

    Attributes:
        file: as the survey names it: an image, a mask, or a split.
    """

    severity: Literal["error", "warning"]
    kind: str
    file: str
    detail: str


class Sample(NamedTuple):
    """A pair in its split, with what is known of its image."""

    split: str
    pair: Pair
    image: ImageFacts


def find(reading: Reading, facts: Survey, table: ClassTable | None) -> list[Finding]:
    """Errors first, then warnings; each kind in the order of the files. Faults across splits are sought between the
    splits of `reading`, so data without splits have to be split before."""
    found = [Finding("error", "no mask", str(path), "an image without a mask") for path in reading.images]
    found += [Finding("error", "no image", str(path), "a mask without an image") for path in reading.masks]
    placed = [Sample(split, pair, facts.image(pair)) for split, pairs in reading.splits.items() for pair in pairs]
    for _, pair, image in placed:
        found += in_pair(pair, image, facts.mask(pair), table)
    found += odd_images(placed)
    found += odd_masks({p.pair.mask.name: facts.mask(p.pair) for p in placed}, table)
    if table is not None:
        found += absent_classes(reading.splits, facts, table)
    found += across_splits(placed)
    found = list(dict.fromkeys(found))  # a file may belong to several pairs
    kinds = list(dict.fromkeys(finding.kind for finding in found))
    return sorted(found, key=lambda finding: (finding.severity != "error", kinds.index(finding.kind)))


# --- one pair ---------------------------------------------------------------------------------------------------------


def in_pair(pair: Pair, image: ImageFacts, mask: MaskFacts, table: ClassTable | None) -> Iterator[Finding]:
    """Files that cannot be read, sizes that differ, pixels of no class, masks that say little."""
    for facts, file in ((image, str(pair.image)), (mask, pair.mask.name)):
        if facts.problem:
            yield Finding("error", "unreadable", file, facts.problem)
    if image.height and mask.height:
        yield from sizes(pair, image, mask)
    if not mask.problem:
        yield from pixels(pair.mask.name, mask, table)


def sizes(pair: Pair, image: ImageFacts, mask: MaskFacts) -> Iterator[Finding]:
    """Sizes after the EXIF orientation; where only one file has one, it may turn the image away from its mask."""
    shown, other = (image.height, image.width), (mask.height, mask.width)
    both = f"{image.width} x {image.height} pixels, its mask {mask.width} x {mask.height}"
    if image.orientation != mask.orientation:
        name, by = str(pair.image), image.orientation
        if by == 1:
            name, by = pair.mask.name, mask.orientation
        if shown != other and stored(image) == stored(mask):
            detail = f"turned by its EXIF orientation ({by}), the image has {both}: turn the pixels of one of them"
            yield Finding("error", "rotation", name, detail)
            return
        if shown == other and (by not in TRANSPOSED or shown[0] == shown[1]):
            detail = f"the EXIF orientation ({by}) turns one of image and mask: look whether they still agree"
            yield Finding("warning", "rotation", name, detail)
    if shown != other:
        yield Finding("error", "size", pair.mask.name, f"the image {pair.image.name} has {both}")


def stored(facts: ImageFacts | MaskFacts) -> tuple[int, int]:
    """(height, width) before the EXIF orientation."""
    height, width = facts.height, facts.width
    return (width, height) if facts.orientation in TRANSPOSED else (height, width)


def pixels(file: str, mask: MaskFacts, table: ClassTable | None) -> Iterator[Finding]:
    """Values or colours that no class owns; masks of one value."""
    if mask.lossy and not (table and covers(table)):
        yield Finding("error", "lossy", file, f"{mask.format} changes the numbers in a mask: save it as PNG")
        return
    if table is None:
        only = len(mask.counts) == 1 and not mask.rest
    else:
        share = tally(mask, table)
        uncounted = mask.rest if table.other != "error" else 0  # the table covers these, whatever they are
        lost = sum(share.unowned.values()) + share.rest - uncounted
        if lost:
            kind = "lossy" if mask.lossy else "values"
            yield Finding("error", kind, file, unowned_text(mask, share.unowned, lost, table))
        if share.void and not share.classes and not lost:
            yield Finding("warning", "all void", file, "no pixel of the mask belongs to a class")
            return
        only = len(share.classes) + len(share.unowned) == 1 and not share.void and not share.rest
    if only:
        codes, _ = in_coding(mask, table.coding if table else None)
        yield Finding("warning", "one value", file, f"all pixels are {shown_codes(mask, codes, table)}")


def covers(table: ClassTable) -> bool:
    """Whether a table says what every value means, those too that a lossy format puts in place of others."""
    return table.other != "error" or all(value in table.values for value in range(256))


def unowned_text(mask: MaskFacts, unowned: Mapping[int, int], lost: int, table: ClassTable) -> str:
    why = f": {mask.format} has changed the numbers, save the mask as PNG" if mask.lossy else ""
    first = dict(sorted(unowned.items(), key=lambda item: -item[1])[:5])
    codes = shown_codes(mask, first, table, pixels=True)
    more = f" and {len(unowned) - len(first)} more" if len(unowned) > len(first) else ""
    return (
        f"{lost} pixels belong to no class: {codes}{more}{why}" if codes else f"{lost} pixels belong to no class{why}"
    )


def shown_codes(mask: MaskFacts, codes: Mapping[int, int], table: ClassTable | None, *, pixels: bool = False) -> str:
    """Values, or colours such as #3C1098, with their pixels if wanted."""
    reading = table.coding if table is not None else None
    coloured = reading == "colors" or (reading is None and mask.channels >= 3)
    if pixels is False and len(codes) > 3:
        return f"of {len(codes)} values of one class"
    names = [hex_of(code) if coloured else str(code) for code in codes]
    counts = codes.values()
    return ", ".join(f"{name} ({n})" if pixels else name for name, n in zip(names, counts, strict=True))


# --- one among others -------------------------------------------------------------------------------------------------


def odd_images(placed: Sequence[Sample]) -> Iterator[Finding]:
    """Images of other channels or bit depth than most."""
    kinds = {str(p.pair.image): (p.image.channels, max(p.image.bits, 8)) for p in placed if not p.image.problem}
    for file, kind, most in odd(kinds):
        for name, has, usual in (("channels", kind[0], most[0]), ("bit depth", kind[1], most[1])):
            if has != usual:
                unit = "bits a channel" if name == "bit depth" else "channels" if has > 1 else "channel"
                yield Finding("warning", name, file, f"{has} {unit}, most images have {usual}")


def odd_masks(masks: Mapping[str, MaskFacts], table: ClassTable | None) -> Iterator[Finding]:
    """Masks that say their classes otherwise than most; nothing where the table reads all of them alike."""
    if table is not None and table.coding is not None:
        return
    kinds = {file: (written(facts), max(facts.bits, 8)) for file, facts in masks.items() if not facts.problem}
    for file, kind, most in odd(kinds):
        name = "channels" if kind[0] != most[0] else "bit depth"
        yield Finding("warning", name, file, f"{kind[0]} of {kind[1]} bits, most masks are {most[0]} of {most[1]} bits")


def written(facts: MaskFacts) -> str:
    return "a palette" if facts.colours else "colours" if facts.channels >= 3 else "grey"


def odd(kinds: Mapping[str, tuple[Any, int]]) -> Iterator[tuple[str, tuple[Any, int], tuple[Any, int]]]:
    """(file, its kind, the most common kind) for files of another kind."""
    if kinds:
        most = Counter(kinds.values()).most_common(1)[0][0]
        yield from ((file, kind, most) for file, kind in kinds.items() if kind != most)


# --- splits -----------------------------------------------------------------------------------------------------------


def absent_classes(splits: Mapping[str, Sequence[Pair]], facts: Survey, table: ClassTable) -> Iterator[Finding]:
    for split, pairs in splits.items():
        classes = Counter[int]()
        for pair in pairs:
            classes.update(tally(facts.mask(pair), table).classes)
        for index, name in enumerate(table.names):
            if pairs and not classes[index]:
                yield Finding("warning", "absent class", split or "all", f"no mask has a pixel of {name!r}")


def across_splits(placed: Sequence[Sample]) -> Iterator[Finding]:
    """Images that are the same, in one split too; nearly the same, or neighbouring frames, in two splits."""
    whole = [p for p in placed if not p.image.problem]
    splits = list(dict.fromkeys(p.split for p in whole))
    told: set[str] = set()
    for finding in (*duplicates(whole, splits), *near_duplicates(whole, splits)):
        if finding.file not in told:
            told.add(finding.file)
            yield finding
    yield from neighbours(whole)


def duplicates(placed: Sequence[Sample], splits: Sequence[str]) -> Iterator[Finding]:
    """Files of the same bytes: first those in two splits, of which the later is named; then those in one."""
    first: dict[str, Sample] = {}
    within = []
    for place in sorted(placed, key=lambda p: splits.index(p.split)):
        other = first.setdefault(place.image.digest, place)
        if other.split != place.split:
            detail = f"the same file as {other.pair.image} in {other.split}"
            yield Finding("warning", "duplicate", str(place.pair.image), detail)
        elif other.pair.image != place.pair.image:
            within.append(
                Finding("warning", "duplicate", str(place.pair.image), f"the same image as {other.pair.image}")
            )
    yield from within


def near_duplicates(placed: Sequence[Sample], splits: Sequence[str]) -> Iterator[Finding]:
    """Images that look the same in 16 x 16 grey pixels; the same bytes are left to `duplicates`."""
    looks = {split: [p for p in placed if p.split == split and p.image.look] for split in splits}
    for later in range(1, len(splits)):
        earlier = [p for split in splits[:later] for p in looks[split]]
        here = looks[splits[later]]
        for place, other, likeness in nearest(here, earlier):
            if likeness >= SAME and same_shape(place.image, other.image) and same_detail(place, other):
                detail = f"looks like {other.pair.image} in {other.split} (correlation {likeness:.3f})"
                yield Finding("warning", "near-duplicate", str(place.pair.image), detail)


def same_shape(a: ImageFacts, b: ImageFacts) -> bool:
    return abs(a.width * b.height / (a.height * b.width) - 1) <= ASPECT


def same_detail(a: Sample, b: Sample) -> bool:
    """What differs from the pixels around tells pictures of one kind apart that look alike at first, such as X-rays."""
    looks = vectors([a, b]).reshape(2, LOOK, LOOK)
    inner = looks[:, 1:-1, 1:-1]
    around = looks[:, :-2, 1:-1] + looks[:, 2:, 1:-1] + looks[:, 1:-1, :-2] + looks[:, 1:-1, 2:]
    return float(np.corrcoef((4 * inner - around).reshape(2, -1))[0, 1]) >= DETAIL


def nearest(here: Sequence[Sample], others: Sequence[Sample]) -> Iterator[tuple[Sample, Sample, float]]:
    """For each image, the one of the others that it looks most like, and the correlation of their looks."""
    if not others:
        return
    against = vectors(others).T
    for start in range(0, len(here), CHUNK):
        part = here[start : start + CHUNK]
        likeness = vectors(part) @ against
        best = likeness.argmax(1)
        yield from ((place, others[i], float(row[i])) for place, i, row in zip(part, best, likeness, strict=True))


def vectors(placed: Sequence[Sample]) -> np.ndarray:
    """(N, 256): the looks, centred and of length one, so that products are correlations."""
    looks = np.frombuffer(b"".join(p.image.look for p in placed), np.uint8).reshape(len(placed), -1).astype(np.float32)
    looks -= looks.mean(1, keepdims=True)
    return looks / np.linalg.norm(looks, axis=1, keepdims=True)


def neighbours(placed: Sequence[Sample]) -> Iterator[Finding]:
    """Consecutive numbers of one series of names in two splits, where the images are alike or the name says frame."""
    for prefix, frames in numbered(placed):
        filmed = bool(SEQUENCE.search(prefix))
        for a, b in pairwise(frames) if filmed or is_sequence(frames) else ():
            if a.split != b.split and a.image.digest != b.image.digest and (filmed or alike(a, b)):
                detail = f"the frame before it, {a.pair.image}, is in {a.split}, this one in {b.split}"
                yield Finding("warning", "sequence", str(b.pair.image), detail)


def numbered(placed: Sequence[Sample]) -> Iterator[tuple[str, list[Sample]]]:
    """Series of names that differ in their last number alone, with what stands before it, in that order.

    Where a number stands twice, these are several series: one in each folder, and for each suffix.
    """
    series = defaultdict(list)
    for place in placed:
        match = re.fullmatch(r"(.*?)(\d+)(\D*)", place.pair.image.stem)
        if match:
            series[match[1], match[3]].append((int(match[2]), place))
    for (prefix, _), frames in series.items():
        frames.sort(key=lambda frame: frame[0])
        twice = len({number for number, _ in frames}) < len(frames)
        folders = defaultdict(list)
        for _, place in frames:
            path = place.pair.image
            folders[(path.parent, path.suffix) if twice else ()].append(place)
        yield from ((prefix, places) for places in folders.values())


def is_sequence(frames: Sequence[Sample]) -> bool:
    """Whether neighbours are more alike than frames far apart; numbered photographs of one kind are alike anyhow."""
    seen = [frame for frame in frames if frame.image.look]
    if len(seen) < 4:
        return True
    looks = vectors(seen)
    near = (looks[1:] * looks[:-1]).sum(1)
    far = np.concatenate([(looks * np.roll(looks, len(seen) // parts, 0)).sum(1) for parts in (2, 3)])
    return bool(np.median(near) > np.percentile(far, FAR))


def alike(a: Sample, b: Sample) -> bool:
    if not a.image.look or not b.image.look:
        return False
    first, second = vectors([a, b])
    return float(first @ second) >= ALIKE


def unusable(reading: Reading, table: ClassTable, max_pixels: int) -> list[Finding]:
    """The errors in the files of a reading. Files that were read before and have not changed are not read again."""
    facts = survey(reading.pairs, max_pixels=max_pixels, workers=readers(), cache=remembered())
    whole = reading._replace(splits={"": reading.pairs})  # so that nothing is compared across splits
    return [finding for finding in find(whole, facts, table) if finding.severity == "error"]
