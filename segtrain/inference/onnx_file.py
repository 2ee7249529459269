"""An ONNX file, which may be anyone's, looked through before anything of it is run."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import UserError

KEY = "segtrain"  # our entry in the metadata
MOST = 1 << 30  # bytes of a file
MOST_FACTS = 1 << 24  # bytes of its metadata
OPSETS = range(13, 24)
OWN = ("", "ai.onnx")  # the domain of ONNX's own operators
METADATA = 14  # number of the field of a ModelProto
VARINT, EIGHT, SIZED, FOUR = 0, 1, 2, 5  # wire types of protobuf


def onnx() -> Any:
    """The module of that name, from the extra `export`. Raises UserError if it is not installed."""
    with extra():
        return importlib.import_module("onnx")


@contextmanager
def extra() -> Iterator[None]:
    """Inside, modules are imported that the extra `export` brings. Raises UserError if one is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise UserError(f"{error.name} is not installed: pip install 'segtrain[export]'") from error


def facts_in(content: bytes) -> str | None:
    """What segtrain has noted in a file; `None` if that is nothing. Raises UserError as `parsed` does."""
    for entry in parsed(content).metadata_props:
        if entry.key == KEY:
            return entry.value
    return None


def refuse_hostile(content: bytes) -> None:
    """Raises UserError for a file that is no model, or has anything that those of segtrain do not have."""
    model = parsed(content)
    refuse_operators(model)
    refuse_tensors(model)
    for side, values, name in (("input", model.graph.input, "image"), ("output", model.graph.output, "logits")):
        if [value.name for value in values] != [name]:
            names = ", ".join(value.name for value in values)
            raise UserError(f"its {side} is {names or 'missing'}, expected one named {name}")


def parsed(content: bytes) -> Any:
    """The model in a file. Raises UserError for a file that is none, or too large; its metadata are not read then."""
    if len(content) > MOST:
        raise UserError(f"it has {len(content):,} bytes, more than {MOST:,}")
    try:
        facts = sum(length for number, length in fields(content) if number == METADATA)
    except (IndexError, ValueError):
        raise UserError("it is no ONNX model: is it damaged?") from None
    if facts > MOST_FACTS:
        raise UserError(f"its metadata have {facts:,} bytes, more than {MOST_FACTS:,}")
    reader = onnx()
    try:
        return reader.load_model_from_string(content)
    except Exception:  # protobuf's own
        raise UserError("it is no ONNX model: is it damaged?") from None


def refuse_operators(model: Any) -> None:
    """Raises UserError for operators that are not ONNX's own, of a version that is tested, in one plain graph."""
    versions = {entry.domain: entry.version for entry in model.opset_import}
    own = [versions[domain] for domain in OWN if domain in versions]
    if not own:
        raise UserError("it does not say which version of ONNX's operators it needs (opset)")
    if own[0] not in OPSETS:
        raise UserError(f"it needs opset {own[0]}, expected {OPSETS.start} to {OPSETS.stop - 1}")
    if model.functions:
        raise UserError(f"it defines an operator of its own, {model.functions[0].name}")
    for node in model.graph.node:
        if node.domain not in OWN:
            raise UserError(f"it has an operator of somebody else's, {node.domain}.{node.op_type}")
        if any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute):
            raise UserError(f"it has a graph inside of a graph, in {node.op_type}")


def refuse_tensors(model: Any) -> None:
    """Raises UserError for tensors that lie in other files, or are sparse."""
    if model.graph.sparse_initializer:
        raise UserError("it has sparse tensors")
    tensors = list(model.graph.initializer)
    for node in model.graph.node:
        tensors += [attribute.t for attribute in node.attribute if attribute.HasField("t")]
    for tensor in tensors:
        if tensor.data_location == onnx().TensorProto.EXTERNAL:
            raise UserError(f"its tensor {tensor.name} lies in another file, of which nothing is read")


def fields(content: bytes) -> Iterator[tuple[int, int]]:
    """(number, bytes) of the fields of a protobuf message, without reading what they hold.

    https://protobuf.dev/programming-guides/encoding. Raises IndexError or ValueError for what is none.
    """
    place = 0
    while place < len(content):
        tag, place = varint(content, place)
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            length, (_, place) = 0, varint(content, place)
        elif wire == SIZED:
            length, place = varint(content, place)
        elif wire in (EIGHT, FOUR):
            length = 8 if wire == EIGHT else 4
        else:
            raise ValueError(f"wire type {wire}")
        place += length
        yield number, length
    if place > len(content):
        raise IndexError("it ends inside of a field")


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
