"""The screen: lines, columns of text, progress bars, and the log beside them."""

import logging
import math
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.constrain import Constrain
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

COMMAND = os.environ.get("SEGTRAIN_COMMAND", "python -m segtrain")  # how this was called: scripts/run says so
TO_COPY = (COMMAND, "--logdir ")  # by which a line shows that it holds what is typed next
HARD_SPACE = "\xa0"
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")  # which a terminal would obey, but for line ends


class Screen(Console):
    """Where lines are printed. When what they are piped into has ended, the work goes on without them."""

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


def counting_bar(*beside: ProgressColumn, transient: bool = False) -> Progress:
    """How many of how many, `beside` it more columns, and the time left; nothing where the output is no terminal."""
    return Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        *beside,
        TimeRemainingColumn(elapsed_when_finished=True),
        console=console,
        disable=not console.is_terminal,
        transient=transient,
    )


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
