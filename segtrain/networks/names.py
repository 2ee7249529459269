"""Names that a library has, and those that it has not."""

from collections.abc import Collection
from difflib import get_close_matches
from reprlib import repr as short
from typing import NoReturn

from ..errors import UserError
from ..text import enumerated

SHOWN = 8  # names in a message
LONGEST = 100  # characters of a name


def refuse_unknown(setting: str, name: str, names: Collection[str], library: str) -> None:
    """Raises ValueError for a name that is not among those of the library, with the ones that come near."""
    if not isinstance(name, str) or len(name) > LONGEST or not name.isprintable():  # it may be a stranger's
        raise ValueError(f"{setting}={short(name)}: {library} has no such one")
    if name in names:
        return
    near = get_close_matches(name, names, n=3)
    if near:
        hint = f"did you mean {' or '.join(near)}?"
    else:
        hint = f"it has {enumerated(sorted(names), SHOWN)} (python -m segtrain models find=WORD looks for more)"
    raise ValueError(f"{setting}={name}: {library} has no such one: {hint}")


def refuse_other_channels(weights: str | None, in_channels: int | None) -> None:
    """Raises ValueError for weights together with images that are not RGB."""
    if weights is not None and in_channels not in (None, 3):
        raise ValueError(f"weights={weights} are for RGB: take in_channels=3, not {in_channels}, or weights=null")


def missing(extra: str, error: ImportError) -> NoReturn:
    """Raises UserError that says how to install an extra."""
    raise UserError(f"model={extra} needs more packages: pip install 'segtrain[{extra}]' ({error})") from None
