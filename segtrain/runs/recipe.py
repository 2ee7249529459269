"""What a run was made from, as its folder tells: by that, runs that differ by the seed alone are one recipe."""

import os
from pathlib import Path
from typing import Any, NamedTuple

from .folder import read_environment, read_settings
from .record import Settings
from .resume import deciding, dotted

UNKNOWN = "unknown"  # the fingerprint of data that an older run has not noted
WORDS = {"name", "typed", "cwd"}  # settings that change no result


class Origin(NamedTuple):
    """What a run was made from.

    Attributes:
        settings: As they are stored, but that no path starts from the folder in which the run began.
        data: The fingerprint of the data, or `UNKNOWN`.
        teacher: The fingerprint of the network that taught, or its path where an older run has not noted that.
    """

    settings: Settings
    data: str
    teacher: str | None

    @property
    def decided(self) -> dict[str, Any]:
        """The settings that the result depends on, by dotted names."""
        return {dotted(path): value for path, value in deciding(self.settings).items() if path[0] not in WORDS}

    @property
    def recipe(self) -> str:
        """The same for runs that differ by the seed alone."""
        settings = {**self.decided, "seed": None}
        return repr((sorted(settings.items()), self.data, self.teacher))


def origin(folder: Path) -> Origin:
    """What the run in a folder, which may be anyone's, was made from."""
    settings, noted = from_cwd(read_settings(folder)), read_environment(folder)
    data, teacher = noted.get("data"), noted.get("teacher")
    return Origin(
        settings,
        data if data and isinstance(data, str) else UNKNOWN,
        teacher if isinstance(teacher, str) else settings.get("teacher"),
    )


def from_cwd(settings: Settings) -> Settings:
    """Stored settings, whose relative paths lead from the folder in which the run began, if it is known."""
    cwd = settings.get("cwd")
    result = {**settings, "data": dict(settings["data"])}
    for group, name in ((result, "init"), (result, "teacher"), (result["data"], "root")):
        if isinstance(group.get(name), str) and isinstance(cwd, str):
            group[name] = os.path.normpath(os.path.join(cwd, group[name]))
    return result
