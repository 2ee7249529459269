import sys
from collections.abc import Callable
from typing import Any

import pytest

from segtrain.errors import UserError
from segtrain.inference import onnx_file
from segtrain.inference.onnx_file import KEY, fields, refuse_hostile

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
    onnx.helper.set_model_props(made, {"note": "a" * (onnx_file.MOST_FACTS + 1)})
    return made


def with_another_input() -> Any:
    made = model()
    made.graph.input[0].name = made.graph.node[0].input[0] = "picture"
    return made


def with_a_graph_inside() -> Any:
    made = model()
    inner = onnx.helper.make_graph([], "inner", [], [])
    made.graph.node[0].attribute.append(onnx.helper.make_attribute("body", inner))
    return made


def with_a_function() -> Any:
    made = model()
    made.functions.add(name="Trick", domain="")
    return made


HOSTILE = [
    (without_opset, "it does not say which version of ONNX's operators it needs"),
    (lambda: model(opset_imports=[onnx.helper.make_opsetid("", 7)]), "it needs opset 7, expected 13 to"),
    (lambda: model(opset_imports=[onnx.helper.make_opsetid("", 99)]), "it needs opset 99, expected 13 to"),
    (lambda: model("Launch", domain="com.example"), "an operator of somebody else's, com.example.Launch"),
    (in_another_file, "its tensor weight lies in another file, of which nothing is read"),
    (with_long_metadata, "its metadata have"),
    (with_another_input, "its input is picture, expected one named image"),
    (with_a_graph_inside, "it has a graph inside of a graph, in Relu"),
    (with_a_function, "it defines an operator of its own, Trick"),
]


def test_a_plain_file_is_taken() -> None:
    refuse_hostile(model().SerializeToString())


@pytest.mark.parametrize(("make", "reason"), HOSTILE, ids=[reason[:40] for _, reason in HOSTILE])
def test_what_no_file_of_segtrain_has_is_refused(make: Callable[[], Any], reason: str) -> None:
    with pytest.raises(UserError) as error:
        refuse_hostile(make().SerializeToString())
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"no model", b"\x0a\xff\xff\xff\xff\x0f", b"\x80" * 20, bytes(range(256))])
def test_what_is_no_model_is_refused(content: bytes) -> None:
    with pytest.raises(UserError):
        refuse_hostile(content)


def test_long_metadata_are_refused_before_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    content = with_long_metadata().SerializeToString()
    monkeypatch.setattr(onnx, "load_model_from_string", lambda _: pytest.fail("it was read"))
    with pytest.raises(UserError, match="its metadata have"):
        refuse_hostile(content)


def test_a_file_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_file, "MOST", 10)
    with pytest.raises(UserError, match="more than 10"):
        refuse_hostile(model().SerializeToString())


def test_the_fields_of_a_message_are_those_that_protobuf_wrote() -> None:
    made = model()
    onnx.helper.set_model_props(made, {KEY: "{}", "note": "a" * 300})
    found: dict[int, int] = {}
    for number, _ in fields(made.SerializeToString()):
        found[number] = found.get(number, 0) + 1
    present = {field.number: len(value) if field.is_repeated else 1 for field, value in made.ListFields()}
    assert found == present


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UserError, match=r"onnx is not installed: pip install 'segtrain\[export\]'"):
        onnx_file.facts_in(b"")
