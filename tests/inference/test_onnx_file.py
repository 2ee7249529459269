import sys
from collections.abc import Callable
from typing import Any

import pytest

from segtrain.errors import UserError
from segtrain.inference import onnx_file, protobuf
from segtrain.inference.onnx_file import KEY, facts_in, harmless
from segtrain.inference.protobuf import MOST_SMALL, fields

onnx = pytest.importorskip("onnx")


def model(operator: str = "Relu", domain: str = "", **settings: Any) -> Any:
    """A file of one operator on images."""
    kind = onnx.TensorProto.FLOAT
    values = [onnx.helper.make_tensor_value_info(name, kind, ["n", 3, "h", "w"]) for name in ("image", "logits")]
    node = onnx.helper.make_node(operator, ["image"], ["logits"], domain=domain)
    graph = onnx.helper.make_graph([node], "graph", values[:1], values[1:])
    settings.setdefault("opset_imports", [onnx.helper.make_opsetid("", 18)])
    return onnx.helper.make_model(graph, **settings)


def without_opset() -> Any:
    made = model()
    del made.opset_import[:]
    return made


def in_another_file() -> Any:
    made = model()
    tensor = made.graph.initializer.add(name="weight", data_location=onnx.TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="/etc/passwd")
    tensor.external_data.add(key="length", value=str(1 << 31))
    return made


def with_long_metadata() -> Any:
    made = model()
    onnx.helper.set_model_props(made, {"note": "a" * (MOST_SMALL + 1)})
    return made


def with_another_input() -> Any:
    made = model()
    made.graph.input[0].name = made.graph.node[0].input[0] = "picture"
    return made


def with_a_graph_inside(*, several: bool = False) -> Any:
    """As an If, a Loop or a Scan has it, whose tensors may lie in other files."""
    made = model()
    inner = onnx.helper.make_graph([], "inner", [], [], [in_another_file().graph.initializer[0]])
    made.graph.node[0].attribute.append(onnx.helper.make_attribute("body", [inner] if several else inner))
    return made


def with_attribute(value: Any) -> Any:
    made = model()
    made.graph.node[0].attribute.append(onnx.helper.make_attribute("value", value))
    return made


def with_a_function() -> Any:
    made = model()
    made.functions.add(name="Trick", domain="")
    return made


def with_training() -> Any:
    made = model()
    made.training_info.add().algorithm.CopyFrom(in_another_file().graph)
    return made


def with_sparse_tensors() -> Any:
    made = model()
    made.graph.sparse_initializer.add().values.CopyFrom(in_another_file().graph.initializer[0])
    return made


def with_tensor(kind: int = 1, **fields: Any) -> Any:
    made = model()
    made.graph.initializer.add(name="weight", data_type=kind, **fields)
    return made


def with_type(kind: int) -> Any:
    made = model()
    made.graph.output[0].type.tensor_type.elem_type = kind
    return made


def of_many_operators() -> Any:
    made = model()
    for _ in range(onnx_file.MOST_NODES):
        made.graph.node.add(op_type="Relu")
    return made


def sparse() -> Any:
    return onnx.helper.make_sparse_tensor(
        onnx.helper.make_tensor("values", onnx.TensorProto.FLOAT, [1], [1.0]),
        onnx.helper.make_tensor("indices", onnx.TensorProto.INT64, [1], [0]),
        [2],
    )


def twice_versioned() -> Any:
    return model(opset_imports=[onnx.helper.make_opsetid("", 18), onnx.helper.make_opsetid("ai.onnx", 7)])


HOSTILE = [
    (without_opset, "it does not say which version of ONNX's operators it needs"),
    (lambda: model(opset_imports=[onnx.helper.make_opsetid("", 7)]), "it needs opset 7, expected one of 13 to"),
    (lambda: model(opset_imports=[onnx.helper.make_opsetid("", 99)]), "it needs opset 99, expected one of 13 to"),
    (lambda: model("Launch", domain="com.example"), "an operator of somebody else's, com.example.Launch"),
    (in_another_file, "its tensor weight lies in another file, of which nothing is read"),
    (with_long_metadata, "it has more than 16,777,216 bytes beside its tensors, such as metadata"),
    (with_another_input, "its input is picture, expected one named image"),
    (with_a_graph_inside, "its attribute body of Relu has g, which those of segtrain do not have"),
    (lambda: with_a_graph_inside(several=True), "its attribute body of Relu has graphs"),
    (lambda: with_attribute(sparse()), "its attribute value of Relu has sparse_tensor"),
    (lambda: with_attribute(in_another_file().graph.initializer[0]), "its tensor weight lies in another file"),
    (lambda: with_attribute([in_another_file().graph.initializer[0]]), "its attribute value of Relu has tensors"),
    (with_a_function, "its model has functions, which those of segtrain do not have"),
    (with_training, "its model has training_info"),
    (with_sparse_tensors, "its graph has sparse_initializer"),
    (twice_versioned, "it needs opset 18, 7, expected one of 13 to"),
    (of_many_operators, "operators, more than 20,000"),
    (lambda: with_tensor(dims=[1 << 40], raw_data=b"four"), "has 1 numbers, not those of its shape [1099511627776]"),
    (lambda: with_tensor(dims=[1 << 30] * 200_000), "its tensor weight has 200,000 axes, more than 16"),
    (lambda: with_tensor(dims=[0, 1 << 62]), "has 0 numbers, not those of its shape"),
    (lambda: with_tensor(dims=[-1, -1], raw_data=b"four"), "has 1 numbers, not those of its shape [-1, -1]"),
    (lambda: with_tensor(dims=[2], raw_data=b"short"), "has 1.25 numbers, not those of its shape [2]"),
    (lambda: with_tensor(dims=[3], float_data=[1.0]), "has 1 numbers, not those of its shape [3]"),
    (lambda: with_tensor(8, dims=[1], string_data=[b"text"]), "its tensor weight has string_data"),
    (lambda: with_tensor(77, dims=[1], raw_data=b"four"), "its tensor weight has numbers of type 77"),
    (lambda: with_type(7), "its output logits has numbers of type 7, expected FLOAT"),
    (lambda: model("Launch\x1b[2J\n", domain="evil"), "evil.Launch?[2J?"),
]


def test_a_plain_file_is_taken() -> None:
    harmless(model().SerializeToString())


@pytest.mark.parametrize(("make", "reason"), HOSTILE, ids=[reason[:40] for _, reason in HOSTILE])
def test_what_no_file_of_segtrain_has_is_refused(make: Callable[[], Any], reason: str) -> None:
    with pytest.raises(UserError) as error:
        harmless(make().SerializeToString())
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"no model", b"\x0a\xff\xff\xff\xff\x0f", b"\x80" * 20, bytes(range(256))])
def test_what_is_no_model_is_refused(content: bytes) -> None:
    with pytest.raises(UserError):
        harmless(content)


def test_long_metadata_are_refused_before_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    content = with_long_metadata().SerializeToString()
    monkeypatch.setattr(onnx, "load_model_from_string", lambda _: pytest.fail("it was read"))
    with pytest.raises(UserError, match="more than 16,777,216 bytes beside its tensors"):
        harmless(content)


def test_a_file_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_file, "MOST", 10)
    with pytest.raises(UserError, match="more than 10"):
        harmless(model().SerializeToString())


def sized(number: int, content: bytes) -> bytes:
    """A field of a protobuf message."""
    length, head = len(content), [number << 3 | 2]
    while length > 127:
        head.append(length & 127 | 128)
        length >>= 7
    return bytes([*head, length]) + content


@pytest.mark.parametrize(
    "content",
    [
        sized(7, sized(1, b"") * 4097),  # empty nodes, two bytes each
        sized(7, sized(1, sized(5, sized(6, sized(1, b"") * 4097)))),  # the same in the body of a loop
        sized(7, sized(5, sized(7, bytes(4097)))),  # numbers of one byte, which become eight
        sized(7, sized(9, bytes(4097))),  # a field that is not known
    ],
    ids=["nodes", "nodes in a loop", "packed numbers", "unknown"],
)
def test_what_swells_when_it_is_read_is_refused_before(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(onnx, "load_model_from_string", lambda _: pytest.fail("it was read"))
    monkeypatch.setattr(protobuf, "MOST_FIELDS", 4096)
    monkeypatch.setattr(protobuf, "MOST_SMALL", 4096)
    with pytest.raises(UserError, match=r"it has more than 4,096 (parts|bytes beside its tensors)"):
        harmless(content)


def test_graphs_inside_of_one_another_are_no_model() -> None:
    content = b""
    for _ in range(3000):
        content = sized(1, sized(5, sized(6, content)))
    with pytest.raises(UserError, match="it is no ONNX model"):
        harmless(sized(7, content))


def test_what_is_handed_on_is_what_was_looked_at() -> None:
    content = model().SerializeToString()
    assert harmless(content + sized(15, b"a field of another version")) == harmless(content)


def test_facts_that_are_there_twice_are_refused() -> None:
    made = model()
    for value in ("{}", "[]"):
        made.metadata_props.add(key=KEY, value=value)
    with pytest.raises(UserError, match="its metadata have segtrain 2 times"):
        facts_in(made.SerializeToString())


def test_the_fields_of_a_message_are_those_that_protobuf_wrote() -> None:
    made = model()
    onnx.helper.set_model_props(made, {KEY: "{}", "note": "a" * 300})
    found: dict[int, int] = {}
    content = made.SerializeToString()
    for number, _, _ in fields(content, 0, len(content)):
        found[number] = found.get(number, 0) + 1
    present = {field.number: len(value) if field.is_repeated else 1 for field, value in made.ListFields()}
    assert found == present


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UserError, match=r"onnx is not installed: pip install 'segtrain\[export\]'"):
        onnx_file.facts_in(b"")
