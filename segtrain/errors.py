# pyright: strict
"""Whose fault an error is: the user's, who can fix it, or ours.

    BaseException
    ├── Exception
    │   ├── ValueError
    │   │   └── UserError      what the user can fix; exit status 2
    │   │       ├── Unequal    an image and a mask of different sizes (data.files.pair)
    │   │       ├── Unfit      a file that is whole, and holds something that is not taken (data.files.tiff)
    │   │       └── Diverged   the loss or a weight was NaN or infinite (training.learner)
    │   ├── OSError            what the system says of a file, a disk or a connection; exit status 2
    │   └── all others         a bug of ours; exit status 1, and SEGTRAIN_DEBUG=1 shows where it is
    └── SystemExit
        └── Stopped            a training that a signal ended, after its state was saved (machine.signals)

A library's error, or the plain ValueError of a network, a loss or a schedule, becomes a UserError where it is known to
come from what the user typed: where the object is built and tried out.
"""

from collections.abc import Generator
from contextlib import contextmanager


class UserError(ValueError):
    """What the user can fix. The message is one line: what came, what was expected, what to do."""


@contextmanager
def from_user(*kinds: type[Exception], where: str = "") -> Generator[None]:
    """Inside, errors of these kinds (by default ValueError) come from what the user typed: they become a UserError.

    Its message begins with `where`, such as "optimizer: ".
    """
    kinds = kinds or (ValueError,)
    try:
        yield
    except UserError:
        raise
    except kinds as error:
        raise UserError(f"{where}{error}") from error
