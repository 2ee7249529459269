"""What Ctrl-C, SIGTERM and a closed terminal do: end a training after its step, and anything else at once."""

import os
import signal
from types import FrameType
from typing import Any

STOPPING = [number for number in signal.Signals if number.name in ("SIGINT", "SIGTERM", "SIGHUP")]


class Stopped(SystemExit):
    """The end of a training that a signal asked for, after its state was saved; the exit status is a shell's."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)


class Stop:
    """Notes signals in place of dying of them, from `listen` to `close`; a second Ctrl-C ends the process at once.

    Of several processes in one terminal, all of which Ctrl-C reaches, one `speaks`.
    """

    def __init__(self, *, speaks: bool = True) -> None:
        self.speaks = speaks
        self.number = 0  # the signal that came
        self._before: dict[int, Any] = {}

    def listen(self) -> None:
        for number in STOPPING:
            before = signal.getsignal(number)
            if before is not signal.SIG_IGN:  # as nohup sets it for SIGHUP
                self._before[number] = before
                signal.signal(number, self._note)

    def close(self) -> None:
        while self._before:
            signal.signal(*self._before.popitem())

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.number == number == signal.SIGINT:
            end(number, frame)
        self.number = number
        if self.speaks and number == signal.SIGINT:
            notice(b"segtrain: stopping after this step and saving; once more stops now")


def ctrl_c_ends() -> None:
    """From now on Ctrl-C ends the process at once and quietly: no file is ever half-written, so nothing has to be done.

    Nothing is put back: a KeyboardInterrupt while the interpreter ends would be a traceback.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, end)


def end(number: int, frame: FrameType | None) -> None:
    write_error(b"\033[?25h\n" if os.isatty(2) else b"")  # progress bars hide the cursor
    os._exit(128 + number)


def notice(text: bytes) -> None:
    """A line on stderr. On a terminal it takes the place of a progress bar, which is drawn anew below."""
    write_error((b"\r\033[2K" if os.isatty(2) else b"") + text + b"\n")


def write_error(text: bytes) -> None:
    """On stderr, from within a signal handler, where printing could meet itself."""
    try:
        os.write(2, text)
    except OSError:  # the terminal is gone
        return
