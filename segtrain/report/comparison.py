"""What the scores of several networks on the same images say of these networks, and of the recipes behind them.

Of two networks, the same images are drawn for both, again and again (paired bootstrap): what all images have in common
falls out of the difference. It says nothing of the recipes: two trainings of one recipe differ by their seeds too, so
of recipes only the scores of several seeds speak.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..errors import UserError
from ..text import counted, enumerated
from .intervals import Interval, differences
from .per_image import PerImage, mean_of_defined, ratio

SEEDS = 3  # of each recipe, from which on something is said of recipes
SHOWN, NAMES = 10, 4  # images that changed most; names in a sentence
UNKNOWN = Interval(math.nan, math.nan)
T_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)  # Student's t, 1 to 10 degrees


class Scored(NamedTuple):
    """A network with its scores; networks whose recipes are equal are seeds of one."""

    name: str
    recipe: str
    seed: int
    images: PerImage

    @property
    def iou(self) -> np.ndarray:
        """(classes,) float64, over all images together."""
        images = self.images
        hits = images.hits.sum(0)
        return ratio(hits, images.truth.sum(0) + images.predicted.sum(0) - hits)

    @property
    def miou(self) -> float:
        return float(mean_of_defined(self.iou))


class Change(NamedTuple):
    """What a class, or an image, has in the first and in the second of two networks; the interval is of the
    difference."""

    name: str
    before: float
    after: float
    interval: Interval = UNKNOWN

    @property
    def points(self) -> float:
        return 100 * (self.after - self.before)

    @property
    def reach(self) -> float:
        """How far from 0 the difference and its interval reach, in points."""
        return max(abs(self.points), *(abs(100 * end) for end in self.interval))

    @property
    def is_defined(self) -> bool:
        return not math.isnan(self.interval.low) and not math.isnan(self.points)

    @property
    def differs(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.is_defined and not self.interval.low <= 0 <= self.interval.high


class Difference(NamedTuple):
    """What the second of two networks has over the first."""

    first: str
    second: str
    miou: Change
    classes: list[Change]
    images: list[Change]  # that changed most, by the mean IoU within them
    number: int  # images
    doubts: list[str]  # why the intervals may be too narrow

    @property
    def widest(self) -> float:
        """The farthest point from 0 that an interval reaches, in points."""
        reached = [change.reach for change in (self.miou, *self.classes) if change.is_defined]
        return max([1.0, *reached])

    def sentence(self) -> str:
        """What these images say of the two networks."""
        low, high = (100 * end for end in self.miou.interval)
        points = self.miou.points
        images = f"these {counted(self.number, 'image')}"
        if not self.miou.differs:
            spread = f"{points:+z.1f} points, 95 % interval {low:+z.1f} to {high:+z.1f}"
            return f"{self.second} against {self.first}: no difference that {images} can show ({spread})."
        better = "better" if points > 0 else "worse"
        ends = sorted([abs(low), abs(high)])
        spread = f"95 % interval {not_zero(ends[0])} to {not_zero(ends[1])}"
        return f"{self.second} is {better} than {self.first} by {not_zero(abs(points))} points on {images} ({spread})."

    def on_chance(self) -> str:
        """How many classes differ, beside how many would by chance; nothing where none has an interval."""
        defined = [change for change in self.classes if change.is_defined]
        if not defined:
            return ""
        differ = sum(change.differs for change in defined)
        number = f"{differ} of {counted(len(defined), 'class')} {'differs' if differ == 1 else 'differ'}"
        return f"{number}; about 5 % of classes without any difference would do so by chance."


def not_zero(points: float) -> str:
    """Points to one decimal, or to the first figure of fewer: a difference is not rounded away."""
    return f"{points:.1f}" if points >= 0.05 else f"{points:.1g}"


class Recipe(NamedTuple):
    """Networks of one recipe."""

    names: list[str]
    mious: list[float]  # one for each seed

    def line(self) -> str:
        mean = f"mIoU {100 * np.mean(self.mious):.1f} on average"
        spread = f"{100 * min(self.mious):.1f} to {100 * max(self.mious):.1f}"
        return f"{enumerated(self.names, NAMES)}: one recipe, {counted(len(self.mious), 'seed')}, {mean} ({spread})"


def compared(first: Scored, second: Scored) -> Difference:
    """Raises UserError unless both are scored on the same images and classes."""
    second = second._replace(images=in_order(first, second))
    found = differences(first.images, second.images)
    miou = Change("mIoU", first.miou, second.miou, found.miou)
    classes = [
        Change(name, float(before), float(after), interval)
        for name, before, after, interval in zip(
            first.images.class_names, first.iou, second.iou, found.classes, strict=True
        )
    ]
    changed = changed_images(first.images, second.images)
    return Difference(first.name, second.name, miou, classes, changed, len(first.images), found.doubts)


def changed_images(first: PerImage, second: PerImage) -> list[Change]:
    """The images whose mean IoU changed most, but none that did not."""
    before, after = mean_of_defined(first.iou), mean_of_defined(second.iou)
    size = np.nan_to_num(abs(after - before))
    order = np.argsort(-size, kind="stable")[:SHOWN]
    chosen = [int(i) for i in order if size[i] > 0]
    return [Change(first.names[i], float(before[i]), float(after[i])) for i in chosen]


def in_order(first: Scored, second: Scored) -> PerImage:
    """The second scores, with their images in the order of the first."""
    one, other = first.images, second.images
    both = f"{first.name} and {second.name} cannot be compared"
    if one.class_names != other.class_names:
        names = [enumerated(images.class_names, NAMES) for images in (one, other)]
        raise UserError(f"{both}: one has the classes {names[0]}, the other {names[1]}")
    place = {name: i for i, name in enumerate(one.names)}
    if len(place) < len(one) or len(one) != len(other) or place.keys() != set(other.names):
        lone = sorted(place.keys() ^ set(other.names))
        example = f", such as {lone[0]}" if lone else ""
        raise UserError(f"{both}: they were scored on other images ({len(one)} and {len(other)}{example})")
    cells = other.cells.copy()
    cells[:, 0] = np.array([place[name] for name in other.names])[cells[:, 0]]
    moved = PerImage(one.names, one.class_names, cells[np.lexsort((cells[:, 1], cells[:, 0]))], one.groups)
    differs = (moved.truth != one.truth).any(1) | (moved.void != one.void)
    if differs.any():
        raise UserError(f"{both}: the masks of {one.names[int(differs.argmax())]} are others in one of them")
    return moved


def recipes(networks: Sequence[Scored]) -> list[Recipe]:
    """The networks by what they differ in besides the seed; the same seed twice counts once."""
    found: dict[str, dict[int, Scored]] = {}
    for network in networks:
        found.setdefault(network.recipe, {}).setdefault(network.seed, network)
    return [Recipe([n.name for n in seeds.values()], [n.miou for n in seeds.values()]) for seeds in found.values()]


def recipe_sentences(found: Sequence[Recipe]) -> list[str]:
    """What the seeds say of the recipes: their spread, and from three seeds of each on whether one is better."""
    lines = [f"{recipe.line()}." for recipe in found if len(recipe.mious) > 1]
    if sum(len(recipe.mious) for recipe in found) == 1:  # a run beside itself
        return []
    if len(found) == 1:
        return [*lines, "All are of one recipe, so none of them is a better one."]
    first, *others = found
    for other in others:
        if min(len(first.mious), len(other.mious)) < SEEDS:
            lines.append(
                f"Whether the recipe of {other.names[0]} is better than that of {first.names[0]} is not said: that "
                f"takes {SEEDS} seeds of each (here {len(first.mious)} and {len(other.mious)})."
            )
        else:
            lines.append(recipe_sentence(first, other))
    return lines


def recipe_sentence(first: Recipe, second: Recipe) -> str:
    """By Welch's interval for two means, with the fewer degrees of freedom of the two, which is the wider one."""
    means = [100 * float(np.mean(recipe.mious)) for recipe in (first, second)]
    errors = [1e4 * np.var(recipe.mious, ddof=1) / len(recipe.mious) for recipe in (first, second)]
    degrees = min(len(first.mious), len(second.mious)) - 1
    half = T_975[min(degrees, len(T_975)) - 1] * math.sqrt(sum(errors))
    points = means[1] - means[0]
    spread = f"{points:+z.1f} points, 95 % interval {points - half:+z.1f} to {points + half:+z.1f} over seeds"
    if abs(points) <= half:
        both = f"{first.names[0]} and of {second.names[0]}"
        return f"The recipes of {both}: no difference that these seeds can show ({spread})."
    better, worse = (second, first) if points > 0 else (first, second)
    return f"The recipe of {better.names[0]} is better than that of {worse.names[0]} ({spread})."
