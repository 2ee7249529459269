"""The screen: lines, columns of text, progress bars, and the log beside them."""

import logging
import math
import os
import re
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer
from typing import IO, Any, TypeVar

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.constrain import Constrain
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

COMMAND = os.environ.get("SEGTRAIN_COMMAND", "python -m segtrain")  # how this was called: scripts/run says so
TO_COPY = (COMMAND, "--logdir ")  # by which a line shows that it holds what is typed next
FIRST_GAP, LONGEST_GAP = 10, 600  # seconds before a line on what is done, where there is no terminal
SLOWEST = 600  # seconds that an image may take where a bar shows the time left
HARD_SPACE = "\xa0"
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")  # which a terminal would obey, but for line ends


class Screen(Console):
    """Where lines are printed. When what they are piped into has ended, the work goes on without them."""

    _pin: IO[str] | None = None

    @property
    def file(self) -> IO[str]:
        return self._pin or super().file

    @contextmanager
    def pinned(self) -> Iterator[None]:
        """Inside, what is printed here goes where it goes now, whatever becomes of `sys.stdout`."""
        before, self._pin = self._pin, self.file
        try:
            yield
        finally:
            self._pin = before

    def on_broken_pipe(self) -> None:
        self.quiet = True
        with suppress(OSError, ValueError):  # what is still to be flushed at the end must not fail there
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


console = Screen(highlight=False, soft_wrap=True, emoji=False)  # layout:mask: is no face
_log = logging.getLogger("segtrain")
_log.propagate = False
_log.setLevel(logging.INFO)
_log.addHandler(logging.NullHandler())


def say(text: str) -> None:
    """Print `text` on the screen, above a progress bar if there is one, and into the run's log."""
    text = CONTROL.sub("?", text)
    shown = folded(text, console.width) if console.is_terminal else text
    try:
        console.print(shown, markup=False)
    except OSError:  # the terminal was closed, or what we were piped into has ended: the work goes on
        console.on_broken_pipe()
    _log.info(text)


def folded(text: str, width: int) -> str:
    """The lines of `text`, of which the longer ones go on below, indented: no word is broken.

    A line of columns or fields, which stand two spaces apart, is broken between these alone. A line that holds a
    command stays whole, so that it can be copied.
    """
    lines = []
    for line in text.split("\n"):
        if len(line) <= width or any(word in line for word in TO_COPY):
            lines.append(line)
            continue
        if "  " in line.strip():
            line = re.sub(r"(?<! ) (?! )", HARD_SPACE, line)
        parts = textwrap.wrap(line, width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
        lines += [part.replace(HARD_SPACE, " ") for part in parts]
    return "\n".join(lines)


class Bar(Progress):
    """Progress bars that leave room for the ^C that a terminal shows behind them, which must not begin a new line."""

    def get_renderables(self) -> Iterable[RenderableType]:
        yield Constrain(self.make_tasks_table(self.tasks), console.width - 3)


class Countdown:
    """How much of a long work is done, and the time left: a bar on a terminal; elsewhere a line, from the tenth second
    on and at gaps that grow.

    The first `done` of the `total` were there before. `beside` are more columns of the bar, for `update`.
    """

    def __init__(
        self, what: str, total: int, *beside: ProgressColumn, done: int = 0, transient: bool = False, **fields: Any
    ) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), *beside)
        left = TimeRemainingColumn(elapsed_when_finished=True)
        self.bar = Bar(
            *columns,
            left,
            console=console,
            disable=not console.is_terminal,
            transient=transient,
            speed_estimate_period=SLOWEST,
            refresh_per_second=2,  # ten times, as by default, takes one core in a hundred
        )
        self.task = self.bar.add_task(what, total=total, completed=done, **fields)
        self.what, self.total, self.first = what, total, done
        self.done: float = done
        self._began = self._said = time.monotonic()
        self._gap = FIRST_GAP

    def __enter__(self) -> "Countdown":
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def advance(self, steps: int = 1) -> None:
        """So many more are done; a line says so where one is due. Several at once were known before, in no time."""
        self.first += steps if steps > 1 else 0
        self.update(self.done + steps)
        self.tell()

    def update(self, done: float, **fields: Any) -> None:
        self.done = done
        self.bar.update(self.task, completed=done, **fields)

    def part(self, share: float) -> None:
        """So many of the next ones are done, such as 0.5 or 2; a line says so where one is due."""
        before = self.done
        self.update(before + share)
        self.tell()
        self.done = before

    def tell(self) -> None:
        """A line where one is due, unless all is done."""
        if self.done < self.total and self.due():
            self.say(self.line())

    def line(self) -> str:
        """How much is done, and the time left."""
        whole, part = divmod(self.done, 1)
        more = f" and {100 * part:.0f} % of the next" if part else ""
        return f"{self.what}: {whole:,.0f} of {self.total:,}{more}, {self.left()} left"

    def due(self) -> bool:
        """Whether it is time for a line, where there is no bar."""
        return self.bar.disable and time.monotonic() - self._said >= self._gap

    def say(self, text: str) -> None:
        """A line after which the next one waits twice as long."""
        say(text)
        self._gap = min(2 * self._gap, LONGEST_GAP)
        self._said = time.monotonic()

    def left(self) -> str:
        """The time left, if the rest takes as long as what was done."""
        done = self.done - self.first
        per_step = (time.monotonic() - self._began) / (done if done > 0 else 1)
        return clock(per_step * (self.total - self.done))


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Gives what is called with how many more are done, while a `Countdown` shows them, which is gone at the end."""
    with Countdown(what, total, transient=True) as countdown:
        yield countdown.advance


@contextmanager
def working(what: str) -> Iterator[None]:
    """Inside, something goes on of which nobody knows how long it takes: a bar shows the time that went by; without a
    terminal, a line says what it is, if it takes long. Both come through while what others print is held back."""
    late = Timer(FIRST_GAP, say, [f"{what} ..."])
    late.daemon = True
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    bar = Bar(*columns, console=console, disable=not console.is_terminal, transient=True, refresh_per_second=2)
    bar.add_task(what, total=None)
    with console.pinned(), bar:
        if bar.disable:
            late.start()
        try:
            yield
        finally:
            late.cancel()


T = TypeVar("T")


def counted_down(what: str, items: Collection[T], *, transient: bool = False) -> Generator[T, None, None]:
    """The items one after the other, while a `Countdown` shows how many are done."""
    with Countdown(what, len(items), transient=transient) as countdown:
        for item in items:
            yield item
            countdown.advance()


def clock(seconds: float) -> str:
    """83 -> 1:23, and with hours 1:01:23."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def be_quiet() -> None:
    """Say nothing from now on: another process does."""
    console.quiet = True
    _log.disabled = True


@contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Inside, what is said is also appended to this file, with the time."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.handleError = lambda record: None  # type: ignore[method-assign]  # a full disk is no reason to end
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    _log.addHandler(handler)
    try:
        yield
    finally:
        _log.removeHandler(handler)
        handler.close()


def bars(shares: Sequence[float], width: int = 24) -> list[str]:
    """Bars of blocks, an eighth of one fine, the longest `width` long; nothing for 0, and something for all else."""
    longest = max(shares, default=0) or 1
    eighths = [math.ceil(8 * width * share / longest) for share in shares]
    return ["█" * (n // 8) + " ▏▎▍▌▋▊▉"[n % 8].strip() for n in eighths]


def columns(rows: Sequence[Sequence[str]], numbers: Collection[int] = ()) -> str:
    """Lines of text in columns, two spaces apart; those of `numbers` are aligned on the right."""
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = []
        for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
            gap = " " * (width - cell_len(cell))
            cells.append(gap + cell if column in numbers else cell + gap)
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def tensorboard() -> str:
    """How to type TensorBoard here: by its path where its folder is not searched."""
    if shutil.which("tensorboard"):
        return "tensorboard"
    return str(Path(sys.executable).with_name("tensorboard"))
