"""What is proposed: the content of a `classes.yaml`, in which each class has a name and a colour of its own."""

from collections.abc import Collection, Sequence
from itertools import chain, count
from typing import Any, NamedTuple

from ..color import Color
from .color_names import spare_color

NEAR = 30  # between colours that are hardly told apart
ROOM = 60  # classes up to which each can have a colour that is far from all others
YELLOW = (255, 200, 0)
Spec = dict[str, Any]  # the content of a `classes.yaml`


class Choice(NamedTuple):
    """One of several tables between which only a person can decide, and what it takes the masks for, in words."""

    meaning: str
    spec: Spec


class Proposal(NamedTuple):
    """How masks say their classes, in words; the table, or `None` where none can describe them; and sentences on what
    was assumed, and on what a person has to decide: one of the `choices`, if there are any."""

    kind: str
    spec: Spec | None
    notes: list[str]
    choices: Sequence[Choice] = ()


def table(
    classes: list[dict[str, Any]],
    ignore: Any = None,
    other: str = "error",
    masks: str = "",
    given: Collection[str] = (),
) -> Spec:
    """The content of a `classes.yaml`, with names and colours made distinct; `ignore` means no class, and `masks` is
    how masks of any kind are read, values or colors, if not as they are stored. The colours of the classes that are
    `given` by name were written down, and stay even if they are much alike."""
    spec: Spec = {"ignore": ignore}
    if masks:
        spec["masks"] = masks
    return spec | {"classes": distinct(classes, given, by_colour=masks == "colors"), "other": other}


def two_classes(background: list[Any], foreground: list[Any], names: tuple[str, str], color: Color = YELLOW) -> Spec:
    """A table of two classes: the values of each, which may be ranges such as "128-255"."""
    first = {"name": names[0], "color": [0, 0, 0], "values": background}
    return table([first, {"name": names[1], "color": list(color), "values": foreground}])


def distinct(
    classes: list[dict[str, Any]], given: Collection[str] = (), *, by_colour: bool = False
) -> list[dict[str, Any]]:
    """Classes that share neither a name nor a colour, nor have nearly the same; the first of those that do keeps it.
    Where masks are read `by_colour`, what they hold is noted before another colour is shown."""
    names: set[str] = set()
    taken: set[Color] = set()
    reserved = {tuple(entry["color"]) for entry in classes}
    usual = NEAR if len(classes) <= ROOM else 1
    spares = (spare_color(index) for index in count(1))
    for entry in classes:
        color = tuple(entry["color"])
        if is_near(color, taken, 1 if entry["name"] in given else usual):
            if by_colour:
                entry.setdefault("colors", [entry["color"]])
            color = next(spare for spare in spares if not is_near(spare, reserved, usual))
            reserved.add(color)
            entry["color"] = list(color)
        entry["name"] = with_number(entry["name"], names)
        names.add(entry["name"])
        taken.add(color)
    return classes


def is_near(color: Color, others: Collection[Color], least: int) -> bool:
    """Whether one of the others is less than so far away, by the root of the squares of the differences."""
    if least == 1:
        return color in others
    return any(sum((a - b) ** 2 for a, b in zip(color, other, strict=True)) < least**2 for other in others)


def with_number(name: str, taken: Collection[str]) -> str:
    """The name, with the first number from 2 on behind it that makes it a new one, if it is taken."""
    names = chain([name], (f"{name}_{number}" for number in count(2)))
    return next(other for other in names if other not in taken)
