"""What a service has been told of a run, so that a run which goes on tells it nothing twice."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ... import disk

LONGEST = 1_000_000  # bytes


class Told:
    """The last step of each tag that was logged, in a file of the run folder.

    A run that goes on computes the steps after its checkpoint once more, to the same numbers. The file is written
    before the service is told: a kill between the two costs a point, and doubles none.
    """

    def __init__(self, file: Path, run: str) -> None:
        """`run` is the service's name of the run: what another one was told counts for nothing."""
        self.file, self.run = file, run
        stored = read(file)
        is_own = stored.get("run") == run and is_steps(stored.get("steps"))
        self.steps: dict[str, int] = stored["steps"] if is_own else {}

    def new(self, tags: Iterable[str], step: int) -> list[str]:
        """Those of these tags that the service was not told of at this step; from now on it was."""
        found = [tag for tag in tags if step > self.steps.get(tag, -1)]
        if found:
            self.steps.update(dict.fromkeys(found, step))
            disk.write(self.file, json.dumps({"run": self.run, "steps": self.steps}))
        return found


def read(file: Path) -> dict[str, Any]:
    """The content of such a file, which may be anyone's; nothing where it cannot be read."""
    try:
        with open(file, "rb") as opened:
            stored = json.loads(opened.read(LONGEST))
    except (OSError, ValueError, RecursionError):
        return {}
    return stored if isinstance(stored, dict) else {}


def is_steps(steps: Any) -> bool:
    return isinstance(steps, dict) and all(type(step) is int for step in steps.values())
