"""An ONNX file whose network computes in integers of 8 bits, by onnxruntime's static quantisation.

What comes before the first operator that raises the resolution is computed in integers, which is nearly all of a
network's weights and work. The decoder stays in floats: its few channels are what the classes are told apart by.
"""

import importlib
import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from .onnx_file import KEY, extra, onnx

OPERATORS = ["Conv", "Relu", "Add", "MaxPool"]
RAISING = {"ConvTranspose", "Resize", "DepthToSpace"}
PREPARED = ("onnx.quant.pre_process", "onnxruntime.quant")  # what torch has written needs no preparation


class Images:
    """Images as onnxruntime asks for them: one at a time, `None` at the end."""

    def __init__(self, images: Iterable[Tensor]) -> None:
        self.images: Iterator[Tensor] = iter(images)

    def get_next(self) -> dict[str, Any] | None:
        image = next(self.images, None)
        return None if image is None else {"image": image[None].contiguous().numpy()}


def quantize(path: Path, images: Iterable[Tensor]) -> None:
    """Have the network in an ONNX file compute in 8 bits, each channel of the weights with a scale of its own.

    Args:
        path: The file, as `write_onnx` has written it.
        images: Images (C, H, W) by which the range of each feature is found: the mean of the images' ranges.
    """
    with extra():
        quantization = importlib.import_module("onnxruntime.quantization")
    model = onnx().load(str(path))
    model.metadata_props.add(key=PREPARED[0], value=PREPARED[1])
    path.write_bytes(model.SerializeToString())
    quantized = path.with_name("int8.onnx")
    with unwarned():
        quantization.quantize_static(
            path,
            quantized,
            Images(images),
            op_types_to_quantize=OPERATORS,
            nodes_to_exclude=decoder_of(model.graph),
            per_channel=True,
            extra_options={"CalibMovingAverage": True},
        )
    made = onnx().load(str(quantized))
    facts = [entry for entry in made.metadata_props if entry.key == KEY]
    del made.metadata_props[:]
    made.metadata_props.extend(facts)
    path.write_bytes(made.SerializeToString())
    quantized.unlink()


@contextmanager
def unwarned() -> Iterator[None]:
    """Inside, what onnxruntime warns of, through the root logger, is not heard; a progress bar is still seen."""
    root = logging.getLogger()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        root.disabled = True
        try:
            yield
        finally:
            root.disabled = False


def decoder_of(graph: Any) -> list[str]:
    """Names of the operators that raise the resolution, and of all that depend on them."""
    raised: set[str] = set()
    names: list[str] = []
    for node in graph.node:  # each stands behind those that it depends on
        if node.op_type in RAISING or raised.intersection(node.input):
            raised.update(node.output)
            names.append(node.name)
    return names
