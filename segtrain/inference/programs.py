"""Networks as programs of other makers: ONNX (onnx.ai), and torch.export's. Writing them, and running them again."""

import importlib
import io
import json
import warnings
from collections.abc import Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UserError
from .any_size import AnySize
from .bounds import bounded_memory, bounded_time
from .onnx_file import KEY, extra, harmless

OPSET = 18  # of ONNX; runtimes from 2023 on know it
SAMPLE = (2, 70, 90)  # images, height and width of what is traced: none of them stays fixed
DYNAMIC = {0: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}


def traced(network: nn.Module, channels: int, kind: torch.dtype) -> torch.export.ExportedProgram:
    """A network as torch.export's program, for any number of images of any size.

    Raises UserError for a network that cannot be traced.
    """
    count, height, width = SAMPLE
    image = torch.zeros(count, channels, height, width, dtype=kind)
    try:
        with torch.no_grad(), silence():
            program = torch.export.export(AnySize(network).eval(), (image,), dynamic_shapes=(DYNAMIC,), strict=False)
    except Exception as error:  # of many types, for whatever a network does that has no graph
        reason, *_ = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(f"this network cannot be traced for images of any size: {reason:.200}") from error
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # with paths of this machine, which are nobody else's
    return program


def write_onnx(program: torch.export.ExportedProgram, facts: Mapping[str, Any], path: Path) -> None:
    """A program as an ONNX file that holds its weights and `facts`."""
    with extra():
        importlib.import_module("onnxscript")
        helper = importlib.import_module("onnx.helper")
    with silence():
        made: Any = torch.onnx.export(
            program, (), dynamo=True, input_names=["image"], output_names=["logits"], opset_version=OPSET
        )
    model = made.model_proto
    for place, name in enumerate(("images", "channels", "height", "width")):
        for value in (model.graph.input[0], model.graph.output[0]):
            dimension = value.type.tensor_type.shape.dim[place]
            if not dimension.HasField("dim_value"):
                dimension.dim_param = name
    helper.set_model_props(model, {KEY: json.dumps(facts)})
    path.write_bytes(model.SerializeToString())


def write_program(program: torch.export.ExportedProgram, facts: Mapping[str, Any], path: Path) -> None:
    """torch.export's own file, which `torch.export.load` reads."""
    with silence():
        torch.export.save(program, path, extra_files={f"{KEY}.json": json.dumps(facts)})


@contextmanager
def silence() -> Any:
    """The exporters tell of each step, and warn of what nobody can do anything about."""
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


class OnnxNetwork(nn.Module):
    """A network in an ONNX file, which onnxruntime computes on the CPU.

    Args:
        content: The file, which may be anyone's: it is looked through before anything of it is run.
        classes: Number of classes that it has to answer with.
    """

    def __init__(self, content: bytes, classes: int) -> None:
        super().__init__()
        with extra():
            runtime = importlib.import_module("onnxruntime")
        content = harmless(content)
        options = runtime.SessionOptions()
        options.log_severity_level = 4  # none: what goes wrong is raised
        options.intra_op_num_threads = torch.get_num_threads()
        options.add_session_config_entry("session.load_model_format", "ONNX")  # not onnxruntime's own, by four letters
        settings = {"providers": ["CPUExecutionProvider"], "disabled_optimizers": ["ConstantFolding"]}  # runs nothing
        try:
            with bounded_memory():
                self.session = runtime.InferenceSession(content, options, **settings)
        except Exception as error:
            raise UserError(f"onnxruntime cannot open it: {one_line(error)}") from None
        self.options = runtime.RunOptions
        self.classes = classes
        self.place = nn.Parameter(torch.zeros(0), requires_grad=False)  # what has no weights has a device by this

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, classes, H, W), float32."""
        options = self.options()
        options.log_severity_level = 4
        given = {"image": image.cpu().contiguous().numpy()}
        try:
            with bounded_memory(), bounded_time(options):
                (logits,) = self.session.run(["logits"], given, options)
        except Exception as error:
            raise UserError(f"the ONNX file does not take images {tuple(image.shape)}: {one_line(error)}") from None
        return fitting(torch.from_numpy(logits), image, self.classes)


class ProgramNetwork(nn.Module):
    """A network in torch.export's file, which is a program: it does what whoever wrote it wants.

    Args:
        path: The file.
        classes: Number of classes that it has to answer with.
    """

    def __init__(self, path: Path, classes: int) -> None:
        super().__init__()
        self.program = [loaded(path).module()]  # in a list: what was exported has no training mode to leave
        self.classes = classes
        self.place = nn.Parameter(torch.zeros(0), requires_grad=False)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, classes, H, W), float32."""
        (program,) = self.program
        try:
            with torch.autocast("cpu", enabled=False):  # it has the numbers that it was written with
                logits = program(image.cpu())
        except (RuntimeError, AssertionError) as error:
            raise UserError(f"the program does not take images {tuple(image.shape)}: {one_line(error)}") from None
        return fitting(logits, image, self.classes)


def loaded(path: Path, **settings: Any) -> torch.export.ExportedProgram:
    """torch.export's program in a file. Raises UserError for a file that holds none."""
    try:
        with silence():
            return torch.export.load(path, **settings)
    except Exception as error:  # of many types, for a damaged file
        raise UserError(f"{path}: no program of torch.export's ({one_line(error)}): is it damaged?") from None


def fitting(logits: Any, image: Tensor, classes: int) -> Tensor:
    """Logits on the device of the images. Raises UserError for others than (N, classes, H, W) in float32."""
    expected = (len(image), classes, *image.shape[-2:])
    if not isinstance(logits, Tensor) or logits.dtype != torch.float32:
        raise UserError(f"it answers in {getattr(logits, 'dtype', type(logits).__name__)}, expected float32")
    if logits.shape != expected:
        raise UserError(f"it answers {tuple(image.shape)} by {tuple(logits.shape)}, expected {expected}")
    return logits.to(image.device)


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
