"""An ONNX file, which may be anyone's, looked through before anything of it is run."""

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from typing import Any

from ..errors import UserError
from .protobuf import refuse_swollen

KEY = "segtrain"  # our entry in the metadata
MOST = 1 << 30  # bytes of a file
OPSETS = range(13, 24)
OWN = ("", "ai.onnx")  # the domain of ONNX's own operators
MOST_NODES = 20_000
MOST_AXES, LONGEST = 16, 1 << 31  # of a tensor; side of one
IMAGES, LOGITS = ("UINT8", "UINT16", "FLOAT"), ("FLOAT",)  # types of numbers
NUMBERS = {  # bytes of a number of each type that a tensor may have
    **dict.fromkeys(("UINT8", "INT8", "BOOL"), 1),
    **dict.fromkeys(("UINT16", "INT16", "FLOAT16", "BFLOAT16"), 2),
    **dict.fromkeys(("UINT32", "INT32", "FLOAT"), 4),
    **dict.fromkeys(("UINT64", "INT64", "DOUBLE"), 8),
}
VALUES = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data")  # where raw_data is not
NOTES = ("name", "doc_string", "metadata_props")
IN_MODEL = {
    *NOTES,
    "ir_version",
    "opset_import",
    "producer_name",
    "producer_version",
    "domain",
    "model_version",
    "graph",
}
IN_GRAPH = {*NOTES, "node", "initializer", "input", "output", "value_info"}
IN_NODE = {*NOTES, "input", "output", "op_type", "domain", "attribute", "overload"}
IN_ATTRIBUTE = {*NOTES, "type", "f", "i", "s", "t", "floats", "ints", "strings"}
IN_TENSOR = {*NOTES, "dims", "data_type", "data_location", "raw_data", *VALUES}


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
    facts = [entry.value for entry in parsed(content).metadata_props if entry.key == KEY]
    if len(facts) > 1:
        raise UserError(f"its metadata have {KEY} {len(facts)} times")
    return facts[0] if facts else None


def harmless(content: bytes) -> bytes:
    """The model in a file, written anew from what was looked at.

    Raises UserError for a file that is no model, or has anything that those of segtrain do not have.
    """
    model = parsed(content)
    model.DiscardUnknownFields()
    refuse_others("model", model, IN_MODEL)
    refuse_others("graph", model.graph, IN_GRAPH)
    refuse_versions(model)
    refuse_operators(model.graph)
    sizes = sizes_of_numbers()
    for tensor in tensors_of(model.graph):
        refuse_tensor(tensor, sizes)
    refuse_ends("input", model.graph.input, "image", IMAGES)
    refuse_ends("output", model.graph.output, "logits", LOGITS)
    return model.SerializeToString()


def parsed(content: bytes) -> Any:
    """The model in a file. Raises UserError for a file that is none, or too large, before it is read."""
    if len(content) > MOST:
        raise UserError(f"it has {len(content):,} bytes, more than {MOST:,}")
    reader = onnx()
    try:
        refuse_swollen(content, reader.ModelProto.DESCRIPTOR, "onnx.TensorProto.raw_data")
        return reader.load_model_from_string(content)
    except UserError:
        raise
    except Exception:  # protobuf's own, too
        raise UserError("it is no ONNX model: is it damaged?") from None


def refuse_others(what: str, message: Any, known: set[str]) -> None:
    """Raises UserError for a message with other fields than these."""
    for field, _ in message.ListFields():
        if field.name not in known:
            raise UserError(f"its {what} has {field.name}, which those of segtrain do not have")


def refuse_versions(model: Any) -> None:
    """Raises UserError where it is not one version of ONNX's operators that is needed, and one that is tested."""
    versions = [entry.version for entry in model.opset_import if entry.domain in OWN]
    if not versions:
        raise UserError("it does not say which version of ONNX's operators it needs (opset)")
    for version in versions:
        if version not in OPSETS or len(versions) > 1:
            needed = ", ".join(map(str, versions[:9]))
            raise UserError(f"it needs opset {needed}, expected one of {OPSETS.start} to {OPSETS.stop - 1}")


def refuse_operators(graph: Any) -> None:
    """Raises UserError for operators that are not ONNX's own, hold graphs, or are too many."""
    if len(graph.node) > MOST_NODES:
        raise UserError(f"it has {len(graph.node):,} operators, more than {MOST_NODES:,}")
    for node in graph.node:
        if node.domain not in OWN:
            raise UserError(f"it has an operator of somebody else's, {short(f'{node.domain}.{node.op_type}')}")
        refuse_others(f"operator {short(node.op_type)}", node, IN_NODE)
        for attribute in node.attribute:
            refuse_others(f"attribute {short(attribute.name)} of {short(node.op_type)}", attribute, IN_ATTRIBUTE)


def tensors_of(graph: Any) -> Iterator[Any]:
    """All tensors whose numbers stand in a graph."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t


def sizes_of_numbers() -> dict[int, float]:
    """The bytes of a number, by how ONNX counts the types that are read."""
    numbered = onnx().TensorProto.DataType.Value
    return {numbered(kind): size for kind, size in NUMBERS.items()}


def refuse_tensor(tensor: Any, sizes: Mapping[int, float]) -> None:
    """Raises UserError for a tensor that lies in another file, or has other numbers than its shape says."""
    name = short(tensor.name)
    if tensor.data_location == onnx().TensorProto.EXTERNAL or tensor.external_data:
        raise UserError(f"its tensor {name} lies in another file, of which nothing is read")
    refuse_others(f"tensor {name}", tensor, IN_TENSOR)
    size = sizes.get(tensor.data_type)
    if size is None:
        raise UserError(f"its tensor {name} has numbers of type {tensor.data_type}, which are not read")
    if len(tensor.dims) > MOST_AXES:  # whose product would be a number of millions of digits
        raise UserError(f"its tensor {name} has {len(tensor.dims):,} axes, more than {MOST_AXES}")
    values = sum(len(getattr(tensor, field)) for field in VALUES)
    count = values or len(tensor.raw_data) / size
    if any(not 0 <= side < LONGEST for side in tensor.dims) or prod(tensor.dims) != count:
        raise UserError(f"its tensor {name} has {count:g} numbers, not those of its shape {short(list(tensor.dims))}")


def refuse_ends(side: str, values: Any, name: str, kinds: tuple[str, ...]) -> None:
    """Raises UserError unless the inputs or outputs are one tensor of this name, with numbers of one of these types."""
    if [value.name for value in values] != [name]:
        names = ", ".join(value.name for value in values)
        raise UserError(f"its {side} is {short(names) or 'missing'}, expected one named {name}")
    kind = values[0].type.tensor_type.elem_type
    if kind not in map(onnx().TensorProto.DataType.Value, kinds):
        raise UserError(f"its {side} {name} has numbers of type {kind}, expected {' or '.join(kinds)}")


def short(text: Any) -> str:
    """What a stranger has written, on a part of one line."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(text)[:60])
