"""The class table that masks of colours ask for."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..color import color_of, hex_of, unpack
from ..survey.facts import MaskFacts
from .class_files import Listed
from .color_names import channel_numbers, colour_words, spare_color
from .levels import NOISE, Histogram, is_soft, peaks
from .matching import Owners, by_color, by_value, differences, is_void
from .objects import are_objects, ground_of
from .table import YELLOW, Proposal, table

MANY = 256  # colours beyond which they are no classes
VOC_BORDER = 0xE0E0C0  # what Pascal VOC paints between objects
DOUBTFUL_NAMES = {"unlabeled", "unlabelled", "unknown", "undefined", "unclassified", "no label", "none"}


class Named(NamedTuple):
    """Classes as a table lists them, the colours that mean no class, and sentences on both."""

    classes: list[dict[str, Any]]
    ignore: list[list[int]]
    notes: list[str]


def propose_colors(masks: Sequence[MaskFacts], listed: Sequence[Listed]) -> Proposal:
    """The proposal for masks whose colours tell the classes apart."""
    histogram = Histogram.of(masks, "colors")
    lossy = any(facts.lossy for facts in masks)
    kind = "JPEG colours" if lossy else "RGB colours"
    codes = painted(histogram, listed) if lossy else [code for code, _ in histogram.pixels.most_common()]
    problem = why_no_classes(codes, histogram, sum(facts.rest for facts in masks), lossy=lossy)
    if problem:
        text = "save the masks without loss, as PNG, with one colour for each class"
        return Proposal(kind, None, [f"{problem}: {text}."])
    if not lossy and are_objects(masks, histogram, "colors"):
        return objects_in_colours(histogram)
    notes = []
    if lossy:
        more = len(histogram.pixels) - len(codes)
        notes.append(f"{more} more colours, of edges and noise, belong to the nearest of {len(codes)}.")
        notes.append("An edge between two classes can pass through the colour of a third: lossless masks are better.")
    if any(facts.channels < 3 for facts in masks):
        notes.append("Palette and colour masks mix, or palettes differ: all are read by their colours (masks: colors).")
    named = named_classes(codes, histogram, listed, len(masks))
    ignore = named.ignore[0] if len(named.ignore) == 1 else named.ignore or None
    given = {entry.name for entry in listed if entry.color}
    spec = table(named.classes, ignore, "nearest" if lossy else "error", masks="colors", given=given)
    return Proposal(kind, spec, notes + named.notes)


def objects_in_colours(histogram: Histogram) -> Proposal:
    """Background and one class of all objects, each of which has a colour of its own."""
    ground = ground_of(histogram)
    assert ground is not None
    colors = [list(color_of(code)) for code in sorted(histogram.pixels) if code != ground]
    objects = {"name": "object", "color": list(YELLOW), "colors": colors}
    spec = table([{"name": "background", "color": list(color_of(ground))}, objects], masks="colors")
    note = f"The {len(colors)} colours besides {hex_of(ground)} are numbers of objects, each one connected piece: all "
    return Proposal("a colour for each object", spec, [f"{note}become one class."])


def why_no_classes(codes: Sequence[int], histogram: Histogram, uncounted: int, *, lossy: bool) -> str:
    """What is wrong with the colours of masks, of which `uncounted` pixels were not counted singly; or nothing."""
    most = 0.5 if lossy else 0.01
    if len(codes) > MANY or uncounted > most * histogram.pixels.total():
        return f"{MANY} colours and more are no classes (do they number objects, or are the masks photos?)"
    if lossy and len(codes) < 2:
        return "JPEG has changed the colours, and which were meant cannot be told"
    if not lossy and is_soft(histogram):
        return "Soft edges, or noise, have added colours, and which were meant cannot be told"
    return ""


def painted(histogram: Histogram, listed: Sequence[Listed]) -> list[int]:
    """The colours that JPEG masks had, as the class file lists them where it has one that is near."""
    codes = np.array(list(by_color(listed)))
    if not len(codes):
        return peaks(histogram)
    snapped = []
    for code in peaks(histogram):
        distances = ((unpack(codes) - color_of(code)) ** 2).sum(1)
        nearest = distances.argmin()
        snapped.append(int(codes[nearest]) if distances[nearest] <= NOISE**2 else code)
    return list(dict.fromkeys(snapped))


def named_classes(codes: Sequence[int], histogram: Histogram, listed: Sequence[Listed], masks: int) -> Named:
    """Classes for the colours in so many masks, those of the class file first."""
    owners = by_color(listed)
    present = [code for code in owners if code in codes]
    notes = []
    if listed and not owners:
        notes.append("The class file names no colours: its names cannot be matched to those of the masks.")
    elif listed:
        notes += differences(listed, owners, {code: histogram.pixels[code] for code in codes}, colors=True)
    numbers = {} if present else channel_numbers(codes)
    if numbers:
        return numbered_classes(numbers, listed, notes)
    named = list(owners) if 2 * len(present) >= len(owners) else present  # else the file is that of other data
    codes = [*named, *(code for code in codes if code not in owners)]
    if 0 not in owners:
        codes.sort(key=lambda code: code != 0)  # black is most often the background
    ignore, reasons = void_colors(codes, owners, histogram, masks)
    kept = [code for code in codes if code not in ignore]
    words = colour_words([code for code in kept if code not in owners])
    names = words | {code: entry.name for code, entry in owners.items()}
    if words.keys() - {0}:
        reasons.append("Colours without a name are called by a word for the colour: give them yours.")
    classes = [{"name": names[code], "color": list(color_of(code))} for code in kept]
    return Named(classes, [list(color_of(code)) for code in ignore], notes + reasons)


def numbered_classes(numbers: Mapping[int, int], listed: Sequence[Listed], notes: list[str]) -> Named:
    """Classes for colours that are class numbers, and all dark, so that they are shown in others, as those of CARLA
    (https://carla.readthedocs.io/en/latest/ref_sensors/#semantic-segmentation-camera)."""
    notes = [*notes, "The colours are numbers in one channel: each is the class of that number."]
    owners = by_value(sorted(numbers.values()), {}, listed)
    named = Named([], [], notes)
    for i, (code, number) in enumerate(sorted(numbers.items())):
        entry = owners.get(number, Listed(f"class_{number}"))
        color = list(color_of(code))
        if is_void(entry.name):
            named.ignore.append(color)
        else:
            shown = list(entry.color or spare_color(i))
            named.classes.append({"name": entry.name, "color": shown, "colors": [color]})
    return named


def void_colors(codes: Sequence[int], owners: Owners, histogram: Histogram, masks: int) -> tuple[list[int], list[str]]:
    """The colours that mean no class: by their names, Pascal VOC's border, and black that is rare; with notes."""
    ignore, notes = [], []
    for code in codes:
        if code in owners:
            name = owners[code].name
            if is_void(name):
                ignore.append(code)
            elif name.strip().lower() in DOUBTFUL_NAMES:
                notes.append(f"{name!r} may mean 'no class': if so, put {list(color_of(code))} under `ignore`.")
        elif code == VOC_BORDER and len(codes) > 2:
            ignore.append(code)
        elif code == 0 and len(codes) > 3 and histogram.masks[code] < 0.25 * masks:
            share = histogram.pixels[code] / histogram.pixels.total()
            if share < 0.02:
                ignore.append(code)
                text = f"Black is rare ({100 * share:.2f} % of the pixels, in {histogram.masks[code]} of {masks} masks)"
                notes.append(f"{text}: it is taken for 'no class' (ignore). To learn it, make it a class.")
    return ignore, notes
