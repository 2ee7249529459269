"""A protobuf message, which may be anyone's, measured before it is parsed.

What is parsed may take a hundred times the bytes of the message: two of them are an empty node of a graph.
"""

from collections.abc import Iterator
from typing import Any

from ..errors import UserError

MOST_FIELDS = 1 << 19  # of a message and all inside of it
MOST_SMALL = 1 << 24  # bytes of all fields but those that are kept as they are: names, metadata, packed numbers
VARINT, EIGHT, SIZED, FOUR = 0, 1, 2, 5  # wire types


def refuse_swollen(content: bytes, kind: Any, plain: str) -> None:
    """Raises UserError for a message of too many parts, and IndexError or ValueError for what is none.

    Args:
        kind: Descriptor of the message.
        plain: Full name of the field whose bytes are kept as they are, and may be many.
    """
    count = small = 0
    messages = [(kind, 0, len(content))]
    while messages:
        kind, start, stop = messages.pop()
        for number, first, end in fields(content, start, stop):
            field = kind.fields_by_number.get(number)
            count += 1
            if field is not None and field.message_type is not None:
                messages.append((field.message_type, first, end))
            elif field is None or field.full_name != plain:
                small += end - first
            if count > MOST_FIELDS:
                raise UserError(f"it has more than {MOST_FIELDS:,} parts")
            if small > MOST_SMALL:
                raise UserError(f"it has more than {MOST_SMALL:,} bytes beside its tensors, such as metadata")


def fields(content: bytes, place: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """(number, first byte, byte behind the last) of the fields of a message, without reading what they hold.

    https://protobuf.dev/programming-guides/encoding. Raises IndexError or ValueError for what is none.
    """
    while place < stop:
        tag, place = varint(content, place)
        number, wire = tag >> 3, tag & 7
        first = place
        if wire == VARINT:
            _, place = varint(content, place)
        elif wire == SIZED:
            length, first = varint(content, place)
            place = first + length
        elif wire in (EIGHT, FOUR):
            place += 8 if wire == EIGHT else 4
        else:
            raise ValueError(f"wire type {wire}")
        if place > stop:
            raise IndexError("it ends inside of a field")
        yield number, first, place


def varint(content: bytes, place: int) -> tuple[int, int]:
    """(a number of seven bits a byte, the place behind it)"""
    number = shift = 0
    while True:
        byte = content[place]
        place += 1
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return number, place
        if shift > 63:
            raise ValueError("a number of too many bytes")
