"""The pickle in a checkpoint, looked through before it is read.

torch.load(weights_only=True) runs no code, but calls what it takes for harmless: with `builtins.bytearray`, or calls of
`_codecs.encode` in one another, a file of a kilobyte fills any memory. So what checkpoints hold is allowed, and nothing
else.
"""

import pickletools
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from ..errors import UserError

MAPPING = "collections OrderedDict"
STORAGES = ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
CALLED = {
    MAPPING,
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
    *(f"torch {kind}Storage" for kind in STORAGES),
}
PUT, GET = ("BINPUT", "LONG_BINPUT"), ("BINGET", "LONG_BINGET")
INSTRUCTIONS = {  # those of Python's pickle protocol 2 for tensors and plain data
    *("PROTO", "STOP", "MARK", "GLOBAL", "REDUCE", "BUILD", "BINPERSID", *PUT, *GET),
    *("NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE"),
    *("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
    *("EMPTY_LIST", "APPEND", "APPENDS", "EMPTY_DICT", "SETITEM", "SETITEMS"),
}
BUILDS = 16  # objects with attributes: state dicts, each of which copies what it is given


def refuse_pickle(content: bytes) -> None:
    """Raises UserError for a pickle that does more than checkpoints do, or would take much more memory than its size.

    A mapping is always made empty: made from another one it would be a copy, and many copies of a large one are small
    in a pickle.
    """
    builds, mappings = 0, set()  # where in its memo the unpickler keeps the type
    for (name, value), (following, _) in pairwise(without_puts(content, mappings)):
        if name not in INSTRUCTIONS:
            raise UserError(f"its pickle holds the instruction {name}, as torch.save never writes it")
        if name == "GLOBAL" and value not in CALLED:
            raise UserError(f"its pickle names {value.replace(' ', '.')!r:.100}, which no checkpoint needs")
        is_mapping = value == MAPPING if name == "GLOBAL" else name in GET and value in mappings
        if is_mapping and following != "EMPTY_TUPLE":
            raise UserError("its pickle copies a mapping, as torch.save never does")
        builds += name == "BUILD"
    if builds > BUILDS:
        raise UserError(f"its pickle gives attributes to {builds} objects, as torch.save never does")


def without_puts(content: bytes, mappings: set[int]) -> Iterator[tuple[str, Any]]:
    """(name, argument) of each instruction but those that keep the last object for later; `mappings` takes the places
    where that was the type of a mapping."""
    last: tuple[str, Any] = ("", None)
    try:
        for instruction, value, _ in pickletools.genops(content):
            if instruction.name in PUT:
                if last == ("GLOBAL", MAPPING):
                    mappings.add(int(value or 0))
                continue
            last = (instruction.name, value)
            yield last
    except Exception as error:  # pickletools raises many types for what is no pickle
        raise UserError(f"its pickle is damaged: {type(error).__name__}") from None
    yield "END", None
