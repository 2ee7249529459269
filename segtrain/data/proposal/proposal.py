"""How masks say their classes, and the class table that this asks for."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from ..color import GREY_STEP, Color, color_of, hex_of, number_of
from ..files.masks import Coding
from ..survey.facts import MaskFacts
from ..survey.tally import grey_level, in_coding
from .class_files import Listed, differences, hold
from .color_names import channel_numbers, colour_words, in_one_channel, joined, spare_color

THIN, RARE, MOST = 0.15, 0.05, 0.8  # shares: of solid pixels of an edge's number; of its pixels of all; of all others
NOISE = 24  # how far JPEG moves a number of a flat place; twice of that in colours
LEAST = 0.003  # share of all pixels near a number of a lossy mask, from which that is a class
MAX_LEVELS, MANY = 64, 256  # classes in lossy masks; numbers beyond which they are no classes
VOC_BORDER = 0xE0E0C0  # what Pascal VOC paints between objects
VOID_NAMES = {"void", "ignore", "ignored", "dontcare", "don't care"}
DOUBTFUL_NAMES = {"unlabeled", "unlabelled", "unknown", "undefined", "unclassified", "no label", "none"}

ALPHA = {"LA", "PA", "RGBA"}  # Pillow's modes


class Proposal(NamedTuple):
    """What masks look like.

    Attributes:
        kind: how they say their classes, in words.
        spec: the content of a `classes.yaml`; `None` where no table can describe them.
        notes: sentences on what was assumed, and on what a person has to decide.
    """

    kind: str
    spec: dict[str, Any] | None
    notes: list[str]


class Seen(NamedTuple):
    """The numbers in all masks: how many pixels have them, how many of these are solid, and how many masks."""

    pixels: Counter[int]
    solid: Counter[int]
    masks: Counter[int]

    @property
    def total(self) -> int:
        return self.pixels.total()


def propose(masks: Sequence[MaskFacts], listed: Sequence[Listed] | None = None) -> Proposal:
    """A class table for these masks, with the names of a class file's entries where these fit."""
    usable = usual([facts for facts in masks if not facts.problem])
    if not usable:
        why = f", such as one with {masks[0].problem}" if masks else ""
        return Proposal("unknown", None, [f"None of the masks can be read{why}."])
    coding = coding_of(usable)
    counts = [in_coding(facts, coding) for facts in usable]
    seen = Seen(Counter(), Counter(), Counter())
    for pixels, solid in counts:
        seen.pixels.update(pixels)
        seen.solid.update(solid)
        seen.masks.update(dict.fromkeys(pixels, 1))
    stray = strays(seen, counts, coding)
    for code in stray:
        del seen.pixels[code], seen.solid[code], seen.masks[code]
    if coding == "colors":
        proposal = of_colours(usable, seen, listed or ())
    else:
        proposal = of_values(usable, seen, [set(pixels) - stray for pixels, _ in counts], listed or ())
    shown = ", ".join(hex_of(code) if coding == "colors" else str(code) for code in sorted(stray))
    notes = [f"Taken for mistakes, each being few pixels of one mask: {shown}."] if stray else []
    return proposal._replace(notes=[*proposal.notes, *notes])


# --- what the stored numbers are --------------------------------------------------------------------------------------


def usual(masks: Sequence[MaskFacts]) -> list[MaskFacts]:
    """Without the few that are compressed with loss or of another kind than the rest: these are faults, no examples."""
    lossy = [facts for facts in masks if facts.lossy]
    kept = [facts for facts in masks if not facts.lossy] if 2 * len(lossy) < len(masks) else list(masks)
    coloured = [facts for facts in kept if facts.channels >= 3]
    valued = [facts for facts in kept if facts.channels < 3]
    if coloured and valued and not any(facts.colours for facts in valued):
        few, many = sorted((coloured, valued), key=len)
        return many if len(few) <= 0.1 * len(kept) else kept
    return kept


def coding_of(masks: Sequence[MaskFacts]) -> Coding:
    """Whether values (or palette indices) or colours tell the classes apart in all of the masks."""
    coloured = [facts for facts in masks if facts.channels >= 3]
    palettes = [facts for facts in masks if facts.colours]
    if coloured:
        codes = {code for facts in coloured for code in facts.counts}
        grey = all(grey_level(code) is not None for code in codes) and not in_one_channel(codes)
        same = all(code == index * GREY_STEP for facts in palettes for index, code in facts.colours.items())
        return "values" if grey and same else "colors"
    meanings: dict[int, set[int]] = {}
    for facts in palettes:
        for index, code in facts.colours.items():
            meanings.setdefault(index, set()).add(code)
    return "values" if all(len(codes) == 1 for codes in meanings.values()) else "colors"


# --- numbers that mean something --------------------------------------------------------------------------------------


def levels(seen: Seen, *, lossy: bool, colours: bool) -> tuple[list[int], bool]:
    """The numbers that stand for classes, by pixels, and whether others are but edges and noise between them.

    The numbers of an edge are rare and stand alone: soft edges go through many shades. What JPEG does to a flat
    place is near to what was there.
    """
    order = [code for code, _ in seen.pixels.most_common()]
    thin = {c for c in order if seen.solid[c] < THIN * seen.pixels[c] and seen.pixels[c] < RARE * seen.total}
    thick = [code for code in order if code not in thin]
    held = sum(seen.pixels[code] for code in thick)
    edges = len(thin) >= max(3, len(thick)) and len(thick) > 1 and held >= MOST * seen.total
    if not lossy and not (edges and all(between(code, thick, colours) for code in thin)):
        return order, False
    if not lossy and len(thin) < 16:
        return thick, True
    return peaks(seen, NOISE * (2 if colours else 1), colours), True


def peaks(seen: Seen, reach: float, colours: bool) -> list[int]:
    """The numbers that most solid pixels have or are near to, by the pixels within `reach`."""
    pixels, solid = Counter[int](), Counter[int]()
    for code, n in sorted(seen.solid.items(), key=lambda item: (-item[1], item[0])):
        peak = next((other for other in pixels if distance(code, other, colours) <= reach), code)
        if peak == code and len(pixels) > MANY:  # these are no classes
            break
        pixels[peak] += seen.pixels[code]
        solid[peak] += n
    return [c for c, n in pixels.most_common() if n >= LEAST * seen.total and solid[c] >= 0.3 * n]


def strays(seen: Seen, masks: Sequence[tuple[Mapping[int, int], Any]], coding: Coding) -> set[int]:
    """Numbers that are few pixels of one mask alone, where the others stand in many and are far away.

    A few at most: otherwise they number objects, or are edges.
    """
    if len(masks) < 10:
        return set()
    rare = {code for code, number in seen.masks.items() if number == 1 and seen.pixels[code] < 0.001 * seen.total}
    often = [code for code, number in seen.masks.items() if number >= 3]
    share = {c: n / max(sum(counts.values()), 1) for counts, _ in masks for c, n in counts.items() if c in rare}
    far = {c for c in rare if share[c] < 0.02 and (coding == "colors" or c > max(often, default=c) + 1)}
    return far if len(often) > 1 and len(rare) <= 3 else set()


def channels_of(code: int, colours: bool) -> tuple[int, ...]:
    return color_of(code) if colours else (code,)


def between(code: int, others: Sequence[int], colours: bool) -> bool:
    """Whether each channel lies within those of the others."""
    columns = zip(*(channels_of(other, colours) for other in others), strict=True)
    pairs = zip(channels_of(code, colours), columns, strict=True)
    return all(min(column) <= c <= max(column) for c, column in pairs)


def distance(a: int, b: int, colours: bool) -> float:
    pairs = zip(channels_of(a, colours), channels_of(b, colours), strict=True)
    return sum((x - y) ** 2 for x, y in pairs) ** 0.5


# --- values -----------------------------------------------------------------------------------------------------------


def of_values(
    masks: Sequence[MaskFacts], seen: Seen, per_mask: Sequence[set[int]], listed: Sequence[Listed]
) -> Proposal:
    """For masks of values or palette indices."""
    lossy = any(facts.lossy for facts in masks)
    palette = {i: color_of(code) for facts in masks for i, code in facts.colours.items() if code != i * GREY_STEP}
    grey_rgb = any(facts.channels >= 3 for facts in masks)
    extra: dict[str, Any] = {"masks": "values"} if grey_rgb else {}
    notes = ["The masks are stored as RGB, but grey: their grey is read as the value."] if grey_rgb else []
    values = sorted(seen.pixels)
    if not lossy and is_numbered(per_mask, len(values)):
        return instances(extra, notes)
    found = None if palette else shades(seen, lossy=lossy)
    if found is not None:
        return blurred(found, lossy, listed, extra, notes)
    if len(values) > MANY:
        return Proposal("unknown", None, [f"The masks hold {len(values)} different values: these are no classes."])
    if len(values) == 1:
        notes.append(f"All masks hold only the value {values[0]}.")
        if any(facts.mode in ALPHA for facts in masks):
            notes.append("They have an alpha channel, which is not read: if it is the mask, save it alone as a PNG.")
    one_bit = {1 for facts in masks if facts.bits == 1}
    deep = {1 for facts in masks if facts.bits > 1 and 1 in facts.counts}
    if set(values) == {0, 1, 255} and one_bit and not deep:  # the same two classes, with 1 and with 8 bits
        return Proposal("grey 0/255 and 1-bit", two_classes([1, 255], listed, extra), notes)
    return exact(values, seen, palette, listed, extra, notes)


def shades(seen: Seen, *, lossy: bool) -> list[int] | None:
    """The levels between which all other values lie, or are noise; `None` where each value speaks for itself."""
    values = sorted(seen.pixels)
    if not lossy and is_index(values) and len(values) <= MAX_LEVELS:  # more can be all the shades of soft edges
        return None
    found, edges = levels(seen, lossy=lossy, colours=False)
    if not edges or len(found) < 2:
        return two_ends(seen, lossy=lossy) or (found if edges else None)
    return sorted(found)


def two_ends(seen: Seen, *, lossy: bool) -> list[int]:
    """[0, 255] where nearly all pixels are near one of the two: noise, or lines too thin to be solid; else nothing.

    What was saved without loss has to look like noise: several values at the bright end, and none of them solid.
    """
    dark, bright = ([v for v in seen.pixels if v < 64], [v for v in seen.pixels if 192 <= v < 256])
    ends = [sum(seen.pixels[v] for v in end) for end in (dark, bright)]
    noise = all(seen.solid[v] < THIN * seen.pixels[v] for v in seen.pixels if v not in (0, 255))
    if not lossy and not (noise and len(bright) > 2 < len(dark)):
        return []
    return [0, 255] if min(ends) > max(LEAST * seen.total, 2 * (seen.total - sum(ends))) else []


def is_index(values: Sequence[int]) -> bool:
    """Small numbers, most of which occur; 255 (or 65535) may be beside them."""
    small = [value for value in values if value not in (255, 65535)]
    return bool(small) and (max(small) <= 40 or max(small) < 2 * len(small)) and max(small) < MANY


def is_numbered(per_mask: Sequence[set[int]], distinct: int) -> bool:
    """Whether values number objects: each mask holds 1, 2, ... up to a number of its own, or there are too many."""
    objects = [values - {0} for values in per_mask if values - {0}]
    if not objects:
        return False
    gapless = sum(len(values) == max(values) for values in objects)
    tops = {max(values) for values in objects}
    return (gapless >= 0.9 * len(objects) and len(tops) >= 4 and max(tops) >= 12) or (
        distinct > MANY and max(tops) > 255
    )


def instances(extra: dict[str, Any], notes: list[str]) -> Proposal:
    notes.append("The values number the objects of each mask; all objects become one class.")
    return Proposal("instance numbers", two_classes(["1-65535"], (), extra, "object"), notes)


def blurred(
    found: list[int], lossy: bool, listed: Sequence[Listed], extra: dict[str, Any], notes: list[str]
) -> Proposal:
    """For grey masks with numbers between those that were meant: each owns the range that is nearest to it."""
    kind = "JPEG" if lossy else "soft"
    if not 2 <= len(found) <= MAX_LEVELS:
        why = "JPEG has changed the numbers, and which were meant cannot be told" if lossy else "No levels stand out"
        return Proposal(kind, None, [f"{why}: save the masks without loss, as PNG, with one number for each class."])
    ends = [(low + high) // 2 for low, high in pairwise(found)]
    top = 255 if found[-1] <= 255 else 65535
    ranges = [f"{first}-{last}" for first, last in zip([0, *(end + 1 for end in ends)], [*ends, top], strict=True)]
    notes.append(f"Shades between {', '.join(map(str, found))} belong to the nearest of these.")
    if len(found) > 2:
        notes.append("An edge between two classes can pass through the shade of a third: lossless masks are better.")
    names = ["background", "foreground"] if len(found) == 2 else [f"class_{value}" for value in found]
    if len(listed) == len(found):  # from dark to bright, where the file says it
        names = [entry.name for entry in sorted(listed, key=lambda entry: sum(entry.color or ()))]
    colors = [(0, 0, 0), (255, 200, 0)] if len(found) == 2 else [spare_color(i) for i in range(len(found))]
    classes = [
        {"name": name, "color": list(color), "values": [its]}
        for name, color, its in zip(names, colors, ranges, strict=True)
    ]
    return Proposal(kind, {"ignore": None, **extra, "classes": joined(classes), "other": "error"}, notes)


def exact(
    values: list[int],
    seen: Seen,
    palette: Mapping[int, Color],
    listed: Sequence[Listed],
    extra: dict[str, Any],
    notes: list[str],
) -> Proposal:
    """A class for each value, but for the one that means no class."""
    kind = "palette" if palette else "class index" if is_index(values) else "grey levels"
    known = by_value(values, palette, listed)
    ignore = void_value(values, palette, known, notes)
    kept = [value for value in values if value != ignore]
    if not known and len(kept) == 2 and kept[0] == 0:
        kind = "grey 0/255" if kept[1] == 255 else kind
        color = palette.get(kept[1])
        return Proposal(kind, two_classes([kept[1]], (), extra, color=color) | {"ignore": ignore}, notes)
    owned = dict.fromkeys(sorted({*kept, *(known if len(known) >= len(kept) else ())} - {ignore}))
    if known:
        counts = {value: n for value, n in seen.pixels.items() if value in kept or value in known}
        notes += differences(hold(listed, [as_listed(counts, palette, listed)]))
    else:
        notes.append("The names of the classes are not known: give them yours.")
    classes, unnamed = [], [value for value in owned if value not in known]
    for i, value in enumerate(owned):
        unknown = "other" if known and unnamed == [0] else f"class_{value}"  # a list from 1 on leaves 0 to the rest
        name, color = known.get(value, (unknown, None))
        color = color or palette.get(value) or spare_color(i)
        classes.append({"name": name, "color": list(color)} | ({} if value == i else {"values": [value]}))
    return Proposal(kind, {"ignore": ignore, **extra, "classes": joined(classes), "other": "error"}, notes)


def as_listed(counts: Mapping[int, int], palette: Mapping[int, Color], listed: Sequence[Listed]) -> MaskFacts:
    """All masks as one, its values in the colours that a class file may list: the palette's, or grey."""
    codes = {value: number_of(color) for value, color in palette.items()}
    if not palette and not any(entry.values for entry in listed):
        codes = {value: value * GREY_STEP for value in counts if value < 256}
    return MaskFacts(channels=1, counts=counts, colours={value: codes.get(value, -1) for value in counts})


def by_value(
    values: Sequence[int], palette: Mapping[int, Color], listed: Sequence[Listed]
) -> dict[int, tuple[str, Color | None]]:
    """Value -> name and colour: by the entries' values, by the colours of the palette, by grey colours, by position."""
    if any(entry.values for entry in listed):
        return {value: (entry.name, entry.color) for entry in listed for value in entry.values or ()}
    colors = {entry.color: entry for entry in listed if entry.color is not None}
    for shown in (palette, {value: (value, value, value) for value in values}):
        found = {value: colors[shown[value]] for value in values if shown.get(value) in colors}
        if len(found) > max(1, len(values) // 2):
            return {value: (entry.name, entry.color) for value, entry in found.items()}
    fits = [value for value in values if value not in (255, 65535)]
    if listed and fits and max(fits) < len(listed):
        return {i: (entry.name, entry.color) for i, entry in enumerate(listed)}
    return {}


def void_value(
    values: Sequence[int], palette: Mapping[int, Color], known: Mapping[int, tuple[str, Any]], notes: list[str]
) -> int | None:
    """The value that means no class: by its name; 255 beside class indices; the last of a palette, if it is black."""
    for value in (*values, *known):
        if value in known and is_void_name(known[value][0]):
            return value
    last, others = values[-1], values[:-1]
    if last in (255, 65535) and last not in known and len(others) > 1 and is_index(others):
        notes.append(f"Value {last} stands beside class indices: it is taken for 'no class' (ignore: {last}).")
        return last
    if palette.get(last) == (0, 0, 0) and len(others) > 1 and not known and palette.get(0, (0, 0, 0)) != (0, 0, 0):
        notes.append(f"Value {last}, the last one, is black in the palette: it is taken for 'no class'.")
        return last
    return None


def is_void_name(name: str) -> bool:
    """`__ignore__` is labelme's."""
    return name.strip(" _").lower() in VOID_NAMES


def two_classes(
    values: list[Any],
    listed: Sequence[Listed],
    extra: dict[str, Any],
    name: str = "foreground",
    color: Color | None = None,
) -> dict[str, Any]:
    """Background, which is 0, and one class of these values."""
    names = [entry.name for entry in listed] if len(listed) == 2 else ["background", name]
    classes = [
        {"name": names[0], "color": [0, 0, 0], "values": [0]},
        {"name": names[1], "color": list(color or (255, 200, 0)), "values": values},
    ]
    return {"ignore": None, **extra, "classes": joined(classes), "other": "error"}


# --- colours ----------------------------------------------------------------------------------------------------------


def of_colours(masks: Sequence[MaskFacts], seen: Seen, listed: Sequence[Listed]) -> Proposal:
    """For masks whose colours tell the classes apart."""
    lossy, rest = any(facts.lossy for facts in masks), sum(facts.rest for facts in masks)
    found, edges = levels(seen, lossy=lossy, colours=True)
    if not edges and (len(found) > MAX_LEVELS or rest) and (flat := flat_colours(seen, rest, len(masks))):
        found, edges = flat, True
    kind = ("JPEG colours" if lossy else "soft colours") if edges else "RGB colours"
    notes = []
    if edges and not 2 <= len(found) <= MAX_LEVELS:
        text = "Which colours were meant cannot be told: save the masks without loss, as PNG, with one colour a class."
        return Proposal(kind, None, [text])
    if len(found) > MANY or (not edges and rest > 0.01 * seen.total):
        text = f"{MANY} colours and more are no classes: do they number objects, or are the masks photos?"
        return Proposal("unknown", None, [text])
    if edges:
        more = len(seen.pixels) - len(found)
        notes.append(f"{more} more colours, of edges and noise, belong to the nearest of {len(found)}.")
        notes.append("An edge between two classes can pass through the colour of a third: lossless masks are better.")
        found = list(dict.fromkeys(snapped(code, listed) for code in found))
    if any(facts.channels < 3 for facts in masks):
        notes.append("Palette and colour masks mix, or palettes differ: all are read by their colours (masks: colors).")
    classes, ignore = colour_classes(found, seen, listed, len(masks), notes)
    spec = {
        "ignore": ignore[0] if len(ignore) == 1 else ignore or None,
        "masks": "colors",
        "classes": joined(classes),
        "other": "nearest" if edges else "error",
    }
    return Proposal(kind, spec, notes)


def flat_colours(seen: Seen, rest: int, masks: int) -> list[int]:
    """Of masks that once were JPEG: the colours of flat places, if they recur and most pixels are near; else none.

    Args:
        rest: pixels of colours that were not counted singly.
    """
    reach = 2 * NOISE
    found = peaks(seen, reach, True)
    near = sum(n for code, n in seen.pixels.items() if any(distance(code, c, True) <= reach for c in found))
    recur = all(seen.masks[c] >= min(3, masks) and seen.solid[c] >= 0.5 * seen.pixels[c] for c in found)
    return found if recur and near >= MOST * (seen.total + rest) else []


def snapped(code: int, listed: Sequence[Listed]) -> int:
    """The colour that the class file lists and that JPEG has changed to `code`, if there is one."""
    colors = [number_of(entry.color) for entry in listed if entry.color is not None]
    near = min(colors, key=lambda other: distance(code, other, True), default=code)
    return near if distance(code, near, True) <= NOISE else code


def colour_classes(
    found: Sequence[int], seen: Seen, listed: Sequence[Listed], masks: int, notes: list[str]
) -> tuple[list[dict[str, Any]], list[list[int]]]:
    """Classes for the colours, those of the class file first, and the colours that mean no class."""
    entries = {number_of(entry.color): entry for entry in listed if entry.color is not None}
    fits = [code for code in entries if code in found]
    if listed and not entries:
        notes.append("The class file names no colours: its names cannot be matched to those of the masks.")
    elif listed:
        notes += differences(hold(listed, [MaskFacts(channels=3, counts={c: seen.pixels[c] for c in found})]))
    if not fits and (numbers := channel_numbers(found)):
        notes.append("The colours are numbers in one channel: each is the class of that number.")
        return numbered_classes(numbers, listed)
    codes = [*(entries if 2 * len(fits) >= len(entries) else fits), *(c for c in found if c not in entries)]
    if 0 in codes and 0 not in entries:
        codes.sort(key=lambda code: code != 0)  # black is most often the background
    ignore = [code for code in codes if is_void(code, entries, found, seen, masks, notes)]
    unnamed = [code for code in codes if code not in entries and code not in ignore]
    names = {code: entry.name for code, entry in entries.items()} | colour_words(unnamed)
    if set(unnamed) - {0}:
        notes.append("Colours without a name are called by a word for the colour: give them yours.")
    classes = [{"name": names[code], "color": list(color_of(code))} for code in codes if code not in ignore]
    return classes, [list(color_of(code)) for code in ignore]


def numbered_classes(
    numbers: Mapping[int, int], listed: Sequence[Listed]
) -> tuple[list[dict[str, Any]], list[list[int]]]:
    """As `colour_classes`, for colours that are class numbers: they are shown in others, since they are all dark."""
    known = by_value(sorted(numbers.values()), {}, listed)
    classes, ignore = [], []
    for i, (code, value) in enumerate(sorted(numbers.items())):
        name, color = known.get(value, (f"class_{value}", None))
        if is_void_name(name):
            ignore.append(list(color_of(code)))
        else:
            classes.append({"name": name, "color": list(color or spare_color(i)), "colors": [list(color_of(code))]})
    return classes, ignore


def is_void(
    code: int, entries: Mapping[int, Listed], found: Sequence[int], seen: Seen, masks: int, notes: list[str]
) -> bool:
    """By its name; Pascal VOC's border; black that is rare among other colours."""
    if code in entries:
        name = entries[code].name.strip().lower()
        if name in DOUBTFUL_NAMES:
            notes.append(
                f"{entries[code].name!r} may mean 'no class': if so, put {list(color_of(code))} under `ignore`."
            )
        return is_void_name(name)
    if code == VOC_BORDER and len(found) > 2:
        return True
    share = seen.pixels[code] / max(seen.total, 1)
    if code == 0 and len(found) > 3 and share < 0.02 and seen.masks[code] < 0.25 * masks:
        text = f"Black is rare ({100 * share:.2f} % of the pixels, in {seen.masks[code]} of {masks} masks)"
        notes.append(f"{text}: it is taken for 'no class' (ignore). To learn it, make it a class.")
        return True
    return False
