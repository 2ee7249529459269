"""What a run was made from, as its folder tells: by that, runs are of one recipe or not."""

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import UserError
from ..text import printable
from .folder import read_environment, read_settings
from .record import Record, Settings
from .resume import deciding, dotted, leaves

UNKNOWN = "unknown"  # the fingerprint of data that an older run has not noted
DATA, TEACHER = "data (fingerprint)", "teacher (weights)"
MISSING = "-"  # in place of a setting that a run does not have
WORDS = {"name", "typed", "cwd"}  # settings that change no result
PLACES = ("data.root", "teacher")  # that change none either, but are shown where they differ


class Origin(NamedTuple):
    """What a run was made from.

    Attributes:
        settings: As they are stored, but that no path starts from the folder in which the run began.
        data: The fingerprint of the data, or `UNKNOWN`.
        teacher: The fingerprint of the network that taught, or its path where an older run has not noted that.
        changed: What was another one when the run went on, as `changes` has it.
    """

    settings: Settings
    data: str
    teacher: str | None
    changed: dict[str, str]

    @property
    def decided(self) -> dict[str, Any]:
        """The settings that the result depends on, by dotted names."""
        return {dotted(path): value for path, value in deciding(self.settings).items() if path[0] not in WORDS}

    @property
    def recipe(self) -> str:
        """The same for runs that differ by the seed alone, or in how many steps their minutes left."""
        settings = {**self.decided, "seed": None}
        if settings.get("train.max_minutes") is not None:
            settings["train.most_steps"] = None
        return repr((sorted(settings.items()), self.data, self.teacher, sorted(self.changed.items())))

    @property
    def shown(self) -> dict[str, Any]:
        """What a person compares runs by: data and teacher, where these were, and `decided`."""
        every = {dotted(path): value for path, value in leaves(self.settings)}
        places = {name: every[name] for name in PLACES if name in every}
        later = {f"{name}, when it went on": value for name, value in self.changed.items()}
        return {DATA: self.data, TEACHER: self.teacher, **places, **self.decided, **later}


def origin(folder: Path) -> Origin:
    """What the run in a folder, which may be anyone's, was made from."""
    settings, noted = from_cwd(read_settings(folder)), read_environment(folder)
    data, teacher = noted.get("data"), noted.get("teacher")
    return Origin(
        settings,
        data if data and isinstance(data, str) else UNKNOWN,
        teacher if isinstance(teacher, str) else settings.get("teacher"),
        changed_before(noted),
    )


def changed_before(noted: dict[str, Any]) -> dict[str, str]:
    """What `environment.json` says of changes; nothing in that of an older run."""
    changed = noted.get("changed")
    if not isinstance(changed, dict):
        return {}
    return {name: value for name, value in changed.items() if isinstance(value, str)}


def changes(folder: Path, record: Record) -> dict[str, str]:
    """What a run that goes on with `allow_changes` has now, or had in between, other than when it began: settings that
    the result depends on, the data, the teacher; as texts."""
    noted = read_environment(folder)
    found = changed_before(noted)
    with suppress(UserError):  # a checkpoint goes on without readable settings
        began = deciding(read_settings(folder))
        now = deciding(json.loads(json.dumps(record.settings)))
        others = [path for path, value in now.items() if path not in began or began[path] != value]
        found |= {dotted(path): text_of(now[path]) for path in others}
    for name, key, value in ((DATA, "data", record.fingerprint), (TEACHER, "teacher", record.teacher)):
        if key in noted and noted[key] != value:
            found[name] = text_of(value)
    return found


def from_cwd(settings: Settings) -> Settings:
    """Stored settings, whose relative paths lead from the folder in which the run began, if it is known."""
    cwd = settings.get("cwd")
    result = {**settings, "data": dict(settings["data"])}
    for group, name in ((result, "init"), (result, "teacher"), (result["data"], "root")):
        if isinstance(group.get(name), str) and isinstance(cwd, str):
            group[name] = os.path.normpath(os.path.join(cwd, group[name]))
    return result


def differing(origins: Sequence[Origin]) -> dict[str, list[str]]:
    """The settings in which runs differ, with the value that each run has, as a text."""
    every = [each.shown for each in origins]
    found = {}
    for name in dict.fromkeys(chain.from_iterable(every)):
        values = [text_of(settings[name]) if name in settings else MISSING for settings in every]
        if len(set(values)) > 1:
            found[printable(name)] = values
    return found


def text_of(value: Any) -> str:
    """A stored value, which may be anyone's, for people."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str, skipkeys=True)
    return printable(text)
