"""What only a person can decide of a folder, with the commands to type; nothing is written before that."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..data.folder import AUTO
from ..report.screen import COMMAND
from ..text import counted, enumerated
from .description import typed_table
from .exchanged import command_to_exchange
from .inspect import Inspection
from .rivals import Held
from .text import percent, word

CLASSES_HELD = 6  # of masks between which to choose


def question_text(data: Mapping[str, Any], inspection: Inspection, ways: Sequence[Held]) -> str:
    """What only a person can decide before anything is written, with the commands to type; empty where that is
    nothing. `ways` are several kinds of masks for the same images, or none."""
    if any(finding.kind == "exchanged" for finding in inspection.errors):
        return exchanged_text(inspection, command_with(data, "root", "layout"))
    if ways:
        check_it = command_with(data, "root", "group")
        commands = [f"{check_it} {word('data.layout', way.reading.layout)} write=true" for way in ways]
        return f"{ways_text(ways)}\n{commands_text(commands)}"
    choices = inspection.described.choices
    if not choices:
        return ""
    check_it, commands = command_with(data, "root", "layout", "group"), []
    for choice in choices:
        table = word("data.classes", typed_table(choice.spec))
        commands.append(f"{check_it} {table} write=true\n      # {choice.meaning}")
    return commands_text(commands)


def command_with(data: Mapping[str, Any], *keys: str) -> str:
    """The command that checks a folder, with the settings of these names that were typed."""
    return " ".join([COMMAND, "check", *typed_words(data, *keys)])


def typed_words(data: Mapping[str, Any], *keys: str) -> list[str]:
    """The settings of data of these names, as they are typed, if they are not the usual ones."""
    return [word(f"data.{key}", data[key]) for key in keys if data.get(key) not in (None, AUTO)]


def exchanged_text(inspection: Inspection, check_it: str) -> str:
    """What is typed where images and masks are exchanged."""
    move = command_to_exchange(inspection.folder.reading.pairs, inspection.folder.root)
    first = f"next: {move}\n  then: " if move else "next, when each is where the other was: "
    return f"images and masks look exchanged: nothing is proposed (exit status 2)\n{first}{check_it}"


def ways_text(ways: Sequence[Held]) -> str:
    """Ways to read a folder beside one another, with what each of them holds."""
    rows = []
    for way in ways:
        names = [f"{name} {percent(share)}" for name, share in way.shares]
        held = enumerated(names, CLASSES_HELD) or "no classes can be proposed"
        pairs = counted(len(way.reading.pairs), "pair")
        rows.append(f"  {word('data.layout', way.reading.layout)}: {pairs}, with masks such as {way.example}")
        rows.append(f"    {way.kind}; {counted(len(way.shares), 'class')} in {counted(way.masks, 'mask')}: {held}")
    return "\n".join([f"this folder holds {len(ways)} kinds of masks for the same images; which are meant?", *rows])


def commands_text(commands: Sequence[str]) -> str:
    """Commands of which one is to be typed."""
    return "\n".join(["nothing is written yet (exit status 2); next, one of these:", *(f"  {c}" for c in commands)])
