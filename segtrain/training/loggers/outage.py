"""A service that fails ends no training."""

from collections.abc import Iterator
from contextlib import contextmanager

from ...report.screen import say


class Outage:
    """Whether a service fails, which is said once, and again after it has worked in between."""

    def __init__(self, service: str) -> None:
        self.service, self.fails = service, False

    @contextmanager
    def survived(self) -> Iterator[None]:
        """Inside, the service is told something."""
        try:
            yield
        except Exception as error:  # whatever it is: the numbers are in metrics.csv too
            if not self.fails:
                reason = " ".join(str(error).split())[:200]
                say(f"{self.service} was not told ({type(error).__name__}: {reason}): its curves have a gap from here")
            self.fails = True
        else:
            self.fails = False
