"""Networks in ONNX files that pass for harmless: what they take, and what they answer."""

import struct
from typing import Any

import numpy as np
import pytest
import torch

from segtrain.errors import UserError
from segtrain.inference import bounds
from segtrain.inference.programs import OnnxNetwork, fitting

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
FLOAT, INT64 = 1, 7
IMAGE = torch.zeros(1, 3, 4, 5)


def model(*nodes: Any, shape: Any = ("n", 3, "h", "w"), **constants: Any) -> bytes:
    """A file of these operators on images."""
    make = onnx.helper
    image = make.make_tensor_value_info("image", FLOAT, ["n", 3, "h", "w"])
    logits = make.make_tensor_value_info("logits", FLOAT, shape)
    tensors = [onnx.numpy_helper.from_array(np.array(value), name) for name, value in constants.items()]
    graph = make.make_graph([make.make_node(*node[:3], **dict(node[3:])) for node in nodes], "graph", [image], [logits])
    graph.initializer.extend(tensors)
    return make.make_model(graph, opset_imports=[make.make_opsetid("", 18)], ir_version=10).SerializeToString()


SAME = ("Identity", ["image"], ["logits"])


def refusal(content: bytes, image: torch.Tensor = IMAGE) -> str:
    """What is said of it, as one line, when it is opened or computes."""
    with pytest.raises(UserError) as error:
        OnnxNetwork(content, 3)(image)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_plain_one_answers() -> None:
    assert torch.equal(OnnxNetwork(model(SAME), 3)(IMAGE + 1), IMAGE + 1)


def test_what_would_fill_the_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MEMORY", 1 << 29)
    gigabyte = [1 << 10, 1 << 10, 1 << 8]  # numbers of four bytes
    filled = [
        model(
            ("ConstantOfShape", ["sides"], ["all"]),
            ("ReduceMax", ["all"], ["most"]),
            ("Add", ["image", "most"], ["logits"]),
            sides=np.array(gigabyte),
        ),
        model(
            ("ReduceMax", ["image"], ["one"]),
            ("Expand", ["one", "sides"], ["all"]),
            ("ReduceMax", ["all"], ["most"]),
            ("Add", ["image", "most"], ["logits"]),
            sides=np.array(gigabyte),
        ),
        model(
            ("Resize", ["image", "", "", "sides"], ["all"]),
            ("ReduceMax", ["all"], ["most"]),
            ("Add", ["image", "most"], ["logits"]),
            sides=np.array([1, 3, 1 << 13, 1 << 14]),
        ),
    ]
    for content in filled:
        assert "does not take images (1, 3, 4, 5)" in refusal(content)
    assert torch.equal(OnnxNetwork(model(SAME), 3)(IMAGE), IMAGE)


def test_what_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "SECONDS", 0.1)
    side = np.ones((512, 512), np.float32)
    names = [f"m{index}" for index in range(300)]
    nodes = [("MatMul", [before, "side"], [after]) for before, after in zip(["side", *names], names, strict=False)]
    ends = ("ReduceMax", [names[-1]], ["most"]), ("Add", ["image", "most"], ["logits"])
    assert "terminate" in refusal(model(*nodes, *ends, side=side))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (
            model(("ReduceMax", ["image", "axes"], ["logits"]), axes=np.array([1])),
            "by (1, 1, 4, 5), expected (1, 3, 4, 5)",
        ),
        (model(("Squeeze", ["image"], ["logits"]), shape=None), "by (3, 4, 5), expected (1, 3, 4, 5)"),
        (model(("Shape", ["image"], ["logits"])), "onnxruntime cannot open it"),
        (model(("Identity", ["other"], ["logits"])), "onnxruntime cannot open it"),
        (model(("Relu", ["logits"], ["logits"])), "onnxruntime cannot open it"),
        (model(("NoSuch", ["image"], ["logits"])), "onnxruntime cannot open it"),
        (model(("Conv", ["image", "w"], ["logits"]), w=np.zeros((3, 9, 1, 1), np.float32)), "does not take images"),
    ],
    ids=["classes", "rank", "type", "nothing", "circle", "operator", "weights"],
)
def test_what_answers_otherwise_is_refused(content: bytes, reason: str) -> None:
    assert reason in refusal(content)


def test_numbers_of_another_type_are_refused() -> None:
    assert "does not take images" in refusal(model(SAME), IMAGE.to(torch.uint8))
    for strange in (IMAGE.double(), IMAGE > 0, [IMAGE], None):
        with pytest.raises(UserError, match=r"it answers in .*, expected float32"):
            fitting(strange, IMAGE, 3)


def test_a_file_of_onnxruntimes_own_format_is_no_way_around() -> None:
    """Whose fifth to eighth byte are ORTM, which a name in an ONNX file can have there."""
    head, name = b"\x08\x0a\x12", b"ORTM" + b"\0" * 16
    rest = model(SAME)
    both = head + bytes([len(name)]) + name + rest
    assert struct.unpack("4s", both[4:8]) == (b"ORTM",)
    assert torch.equal(OnnxNetwork(both, 3)(IMAGE), IMAGE)
