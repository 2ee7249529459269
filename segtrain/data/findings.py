"""What is wrong with a data set, with file names."""

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ..text import counted, enumerated
from .classes import ClassTable
from .color import Coding, hex_of
from .files.images import TRANSPOSED
from .files.pair import Pair
from .layouts.reading import Reading
from .survey.facts import ImageFacts, MaskFacts
from .survey.related import SAME, Sample, frames, nearest, neighbouring_tiles, same_picture
from .survey.survey import Survey
from .survey.tally import class_pixels, in_coding, shows_colours, tally

STRAY = "a picture without an image, of another size and kind than all masks: left aside"
SHOWN = 5  # values or colours in a message
FEW = 3  # masks of one value; more of them are pictures without anything to find, and no news


class Finding(NamedTuple):
    """Something wrong: errors make a pair unusable, warnings do not."""

    severity: Literal["error", "warning"]
    kind: str
    file: str  # an image or a mask, as the survey names it, or a split
    detail: str


def find(reading: Reading, facts: Survey, table: ClassTable | None) -> list[Finding]:
    """Errors first, then warnings, at the end many masks of one value; each kind in the order of the files. Faults
    across splits are sought between the splits of `reading`, so data without splits have to be split before."""
    findings = alone(reading)
    findings += [Finding("warning", "stray", str(path), STRAY) for path in reading.strays]
    samples, masks = [], {}
    for split, pairs in reading.splits.items():
        for pair in pairs:
            image, mask = facts.image(pair), facts.mask(pair)
            findings += in_pair(pair, image, mask, table)
            if not image.problem:
                samples.append(Sample(split, pair, image))
            if not mask.problem:
                masks[pair.mask.name] = mask
    findings += odd_images(samples)
    findings += odd_masks(masks, table)
    findings += overlaps(masks)
    if table is not None:
        findings += absent_classes(reading.splits, facts, table)
    findings += across_splits(samples)
    findings = list(dict.fromkeys(findings))  # a file may belong to several pairs
    numbers = Counter(finding.kind for finding in findings)  # in the order of the kinds
    kinds = [kind for kind, number in numbers.items() if kind != "one value" or number <= FEW]
    kinds.append("one value")
    return sorted(findings, key=lambda finding: (finding.severity != "error", kinds.index(finding.kind)))


def alone(reading: Reading) -> list[Finding]:
    """Images without a mask, or that a list names though they are not there, and masks without an image."""
    findings: list[Finding] = []
    for image in reading.images:
        kind = "no file" if image in reading.missing and not image.exists() else "no mask"
        detail = reading.missing.get(image, "an image without a mask")
        findings.append(Finding("error", kind, str(image), detail))
    findings += [Finding("error", "no image", str(mask), "a mask without an image") for mask in reading.masks]
    return findings


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
    turns = (image.orientation in TRANSPOSED) != (mask.orientation in TRANSPOSED)  # if one changes height and width
    both = f"{image.width} x {image.height} pixels, its mask {mask.width} x {mask.height}"
    if image.orientation != mask.orientation:
        name, by = str(pair.image), image.orientation
        if by == 1:
            name, by = pair.mask.name, mask.orientation
        stored = other[::-1] if turns else other  # the size of the mask, turned as the image is
        if shown == stored != other:
            detail = f"turned by its EXIF orientation ({by}), the image has {both}: turn the pixels of one of them"
            yield Finding("error", "rotation", name, detail)
            return
        if shown == other and (by not in TRANSPOSED or shown[0] == shown[1]):
            detail = f"the EXIF orientation ({by}) turns one of image and mask: look whether they still agree"
            yield Finding("warning", "rotation", name, detail)
    if shown != other:
        yield Finding("error", "size", pair.mask.name, f"the image {pair.image.name} has {both}")


def pixels(file: str, mask: MaskFacts, table: ClassTable | None) -> Iterator[Finding]:
    """Values or colours that no class owns; masks of one value."""
    if mask.lossy and not (table and covers(table)):
        yield Finding("error", "lossy", file, f"{mask.format} changes the numbers in a mask: save it as PNG")
        return
    if table is None:
        if len(mask.counts) == 1 and not mask.rest:
            yield one_value(file, mask, table)
        return
    share = tally(mask, table)
    unowned = sum(share.unowned.values()) + share.rest
    if table.other != "error":
        unowned -= mask.rest  # which the table covers, whatever they are
    if unowned:
        kind = "lossy" if mask.lossy else "values"
        yield Finding("error", kind, file, unowned_text(mask, share.unowned, unowned, table))
    if share.void and not share.classes and not unowned:
        yield Finding("warning", "all void", file, "no pixel of the mask belongs to a class")
    elif len(share.classes) + len(share.unowned) == 1 and not share.void and not share.rest:
        yield one_value(file, mask, table)


def one_value(file: str, mask: MaskFacts, table: ClassTable | None) -> Finding:
    coding = table.coding if table else None
    codes, _ = in_coding(mask, coding)
    text = ", ".join(code_text(code, mask, coding) for code in codes)
    if len(codes) > 3:
        text = f"of {len(codes)} values of one class"
    return Finding("warning", "one value", file, f"all pixels are {text}")


def covers(table: ClassTable) -> bool:
    """Whether a table says what every value means, those too that a lossy format puts in place of others."""
    return table.other != "error" or all(value in table.values for value in range(256))


def unowned_text(mask: MaskFacts, unowned: Mapping[int, int], total: int, table: ClassTable) -> str:
    """What belongs to no class, `total` pixels: the values or colours with the most of them, and how many others."""
    most = sorted(unowned, key=lambda code: -unowned[code])
    text = f"{total} pixels belong to no class"
    if most:
        codes = [f"{code_text(code, mask, table.coding)} ({unowned[code]})" for code in most]
        text += f": {enumerated(codes, SHOWN)}"
    if mask.lossy:
        text += f": {mask.format} has changed the numbers, save the mask as PNG"
    return text


def code_text(code: int, mask: MaskFacts, coding: Coding) -> str:
    """A value, or a colour such as #3C1098."""
    return hex_of(code) if shows_colours(mask, coding) else str(code)


# --- one among others -------------------------------------------------------------------------------------------------


def odd_images(samples: Sequence[Sample]) -> Iterator[Finding]:
    """Images whose channels or bit depth are not those of most images."""
    kinds = {str(sample.pair.image): (sample.image.channels, max(sample.image.bits, 8)) for sample in samples}
    for file, (channels, bits), (most_channels, most_bits) in odd(kinds):
        if channels != most_channels:
            text = f"{counted(channels, 'channel')}, most images have {most_channels}"
            yield Finding("warning", "channels", file, text)
        if bits != most_bits:
            yield Finding("warning", "bit depth", file, f"{bits} bits a channel, most images have {most_bits}")


def odd_masks(masks: Mapping[str, MaskFacts], table: ClassTable | None) -> Iterator[Finding]:
    """Masks that store classes in another way than most; nothing where the table reads all of them alike."""
    if table is not None and table.coding is not None:
        return
    kinds = {file: (written(facts), max(facts.bits, 8)) for file, facts in masks.items()}
    for file, kind, most in odd(kinds):
        name = "channels" if kind[0] != most[0] else "bit depth"
        yield Finding("warning", name, file, f"{kind[0]} of {kind[1]} bits, most masks are {most[0]} of {most[1]} bits")


def overlaps(masks: Mapping[str, MaskFacts]) -> Iterator[Finding]:
    """Masks for each class that claim the same pixels: one sentence for all images."""
    pixels = {file: facts.overlap for file, facts in masks.items() if facts.overlap}
    if pixels:
        most = max(pixels, key=lambda file: pixels[file])
        others = f", and likewise in {counted(len(pixels) - 1, 'more image')}" if len(pixels) > 1 else ""
        detail = f"{pixels[most]} pixels belong to several classes{others}: the smaller one in an image is on top"
        yield Finding("warning", "classes overlap", most, detail)


def written(facts: MaskFacts) -> str:
    """How a mask stores its classes."""
    if facts.colours:
        return "a palette"
    return "colours" if facts.channels >= 3 else "grey"


def odd(kinds: Mapping[str, tuple[Any, int]]) -> Iterator[tuple[str, tuple[Any, int], tuple[Any, int]]]:
    """(file, its kind, the most common kind) for files of another kind."""
    for most, _ in Counter(kinds.values()).most_common(1):
        for file, kind in kinds.items():
            if kind != most:
                yield file, kind, most


# --- splits -----------------------------------------------------------------------------------------------------------


def absent_classes(splits: Mapping[str, Sequence[Pair]], facts: Survey, table: ClassTable) -> Iterator[Finding]:
    for split, pairs in splits.items():
        classes = class_pixels(map(facts.mask, pairs), table)
        for index, name in enumerate(table.names):
            if pairs and not classes[index]:
                yield Finding("warning", "absent class", split or "all", f"no mask has a pixel of {name!r}")


def across_splits(samples: Sequence[Sample]) -> Iterator[Finding]:
    """Images that are the same, in one split too; nearly the same, or neighbouring frames, in two splits."""
    splits = list(dict.fromkeys(sample.split for sample in samples))
    copies: dict[str, Finding] = {}
    for finding in (*duplicates(samples, splits), *near_duplicates(samples, splits)):
        copies.setdefault(finding.file, finding)
    yield from copies.values()
    yield from neighbours(samples)


def duplicates(samples: Sequence[Sample], splits: Sequence[str]) -> Iterator[Finding]:
    """Files of the same bytes: first those in two splits, of which the later is named; then those in one. A training
    refuses one and the same file in two splits."""
    first: dict[str, Sample] = {}
    within = []
    for sample in sorted(samples, key=lambda sample: splits.index(sample.split)):
        image = sample.pair.image
        other = first.setdefault(sample.image.digest, sample)
        if other.split != sample.split and other.pair.image == image:
            detail = f"stands in {other.split} and in {sample.split}: leave it in one of them"
            yield Finding("error", "two splits", str(image), detail)
        elif other.split != sample.split:
            detail = f"the same file as {other.pair.image} in {other.split}"
            yield Finding("warning", "duplicate", str(image), detail)
        elif other.pair.image != image:
            within.append(Finding("warning", "duplicate", str(image), f"the same image as {other.pair.image}"))
    yield from within


def near_duplicates(samples: Sequence[Sample], splits: Sequence[str]) -> Iterator[Finding]:
    """Images that look the same in 16 x 16 grey pixels; the same bytes are left to `duplicates`."""
    earlier: list[Sample] = []
    for split in splits:
        here = [sample for sample in samples if sample.split == split and sample.image.look]
        for sample, other, likeness in nearest(here, earlier):
            if likeness >= SAME and same_picture(sample, other):
                detail = f"looks like {other.pair.image} in {other.split} (correlation {likeness:.3f})"
                yield Finding("warning", "near-duplicate", str(sample.pair.image), detail)
        earlier += here


def neighbours(samples: Sequence[Sample]) -> Iterator[Finding]:
    """Neighbouring frames of one sequence, and overlapping tiles of one scene, in two splits."""
    for a, b in frames(samples):
        if a.split != b.split and a.image.digest != b.image.digest:
            detail = f"the frame before it, {a.pair.image}, is in {a.split}, this one in {b.split}"
            yield Finding("warning", "sequence", str(b.pair.image), detail)
    seen: set[Path] = set()
    for a, b, pattern in neighbouring_tiles(samples):
        if b.pair.image in seen:
            continue
        seen.add(b.pair.image)
        detail = f"overlaps {a.pair.image} in {a.split}, this one is in {b.split}"
        if pattern:
            detail += f": without splits, {shlex.quote(f'data.group={pattern}')} keeps a scene together"
        yield Finding("warning", "overlap", str(b.pair.image), detail)


def unusable(reading: Reading, facts: Survey, table: ClassTable) -> list[Finding]:
    """The errors in the files of a reading."""
    joined = reading._replace(splits={"": reading.pairs})  # so that nothing is compared across splits
    return [finding for finding in find(joined, facts, table) if finding.severity == "error"]
