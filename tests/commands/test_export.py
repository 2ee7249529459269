"""`export`: what is written answers as the checkpoint does, or is not there."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import segtrain as api
from segtrain.build import Trust
from segtrain.commands import export
from segtrain.inference import onnx_file, programs
from segtrain.inference.gate import Limits
from segtrain.report import screen
from segtrain.runs.portable import Facts
from segtrain.runs.temperature import Temperature
from segtrain.runs.trained import opened
from tests.commands.conftest import TINY

pytest.importorskip("onnxscript")
runtime = pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

Run = Callable[..., int]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a run, and its network as an ONNX file."""
    folder, before = tmp_path_factory.mktemp("export"), Path.cwd()
    os.chdir(folder)
    try:
        from segtrain.cli import start

        assert start(["train", *TINY, "data.size=[48,40]", "run_dir=run", "train.steps=40"]) == 0
        assert start(["export", "run=run", "out=net.onnx"]) == 0
        yield folder
    finally:
        os.chdir(before)


@pytest.fixture
def exported(home: Path, segtrain: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(home)
    return segtrain


def miou(folder: str) -> float:
    return json.loads(Path(folder, "evaluate/test/metrics.json").read_text())["miou"]


def test_another_program_gets_the_same_answer_from_the_onnx_file(exported: Run) -> None:
    network = api.load("run")
    classes = network.classes
    session = runtime.InferenceSession("net.onnx", providers=["CPUExecutionProvider"])
    facts = json.loads(session.get_modelmeta().custom_metadata_map["segtrain"])
    assert [entry["name"] for entry in facts["classes"]] == list(classes.names)
    assert facts["classes"][1]["color"] == classes.colors[1].tolist()
    assert facts["void"] == classes.void
    shape = session.get_inputs()[0].shape
    assert shape == ["images", 3, "height", "width"]
    for size in ((1, 3, 32, 32), (3, 3, 45, 70), (2, 3, 1, 5)):
        image = torch.randint(0, 256, size, dtype=torch.uint8)
        (logits,) = session.run(None, {"image": image.numpy()})
        with torch.no_grad():
            np.testing.assert_allclose(logits, network(image).numpy(), atol=1e-3)


def test_a_file_says_what_logits_are_divided_by(exported: Run) -> None:
    record = opened(Path("run/checkpoints/best.ckpt"), Trust()).record
    softened = replace(record, temperature=Temperature(1.5, 0.5, 0.25))
    assert [Facts(one, None).as_json()["temperature"] for one in (record, softened)] == [1, 1.5]


@pytest.mark.slow
def test_a_file_is_scored_and_predicts_in_place_of_a_checkpoint(exported: Run) -> None:
    assert exported("evaluate", "checkpoint=net.onnx") == 0
    assert miou(".") == pytest.approx(miou("run"), abs=1e-3)
    Path("new").mkdir(exist_ok=True)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 40, 3), np.uint8)).save("new/a.png")
    assert exported("predict", "checkpoint=net.onnx", "images=new", "out=by_file") == 0
    assert exported("predict", "run=run", "images=new", "out=by_run") == 0
    one, other = (np.asarray(Image.open(f"{out}/masks/a.png")) for out in ("by_file", "by_run"))
    assert (one == other).mean() > 0.999


@pytest.mark.slow
def test_weights_with_their_record_are_a_whole_network(exported: Run) -> None:
    assert exported("export", "run=run", "format=safetensors") == 0
    (file,) = Path("run/export").glob("*.safetensors")
    assert exported("evaluate", f"checkpoint={file}") == 0
    assert miou("run/export") == pytest.approx(miou("run"), abs=1e-3)
    checks = json.loads(Path(f"{file}.json").read_text())["checks"]
    assert all(check["share"] == 1 for check in checks)
    save_file(load_file(file), "bare.safetensors")
    assert exported("evaluate", "checkpoint=bare.safetensors") == 2


@pytest.mark.slow
def test_a_program_is_run_by_who_allows_it_alone(exported: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert exported("export", "run=run", "format=pt2", "out=net.pt2") == 0
    capsys.readouterr()
    assert exported("evaluate", "checkpoint=net.pt2") == 2
    assert "add allow=[pt2]" in capsys.readouterr().err
    assert exported("evaluate", "checkpoint=net.pt2", "allow=[pt2]") == 0
    assert miou(".") == pytest.approx(miou("run"), abs=1e-3)
    image = torch.randint(0, 256, (1, 3, 33, 65), dtype=torch.uint8)
    names: dict[str, Any] = {"image": image.numpy()}
    exec(compile(lines_for("pt2"), str(PAGE), "exec"), names)
    with torch.no_grad():
        assert (names["mask"] == api.load("run")(image).argmax(1)).float().mean() > 0.999
    with zipfile.ZipFile("net.pt2") as file:
        assert not any(str(Path(programs.__file__).parent).encode() in file.read(name) for name in file.namelist())
    Path("torn.pt2").write_bytes(Path("net.pt2").read_bytes()[:-1000])
    capsys.readouterr()
    assert exported("evaluate", "checkpoint=torn.pt2", "allow=[pt2]") == 2
    message = capsys.readouterr().err
    assert "torn.pt2: no program of torch.export's" in message
    assert message.count("\n") == 1


def permute(model: Any) -> None:
    """Has the last operator answer with classes in another order."""
    name = model.graph.node[-1].output[0]
    model.graph.node[-1].output[0] = "before"
    order = onnx.numpy_helper.from_array(np.array([1, 0, 2, 3, 4, 5]), "order")
    model.graph.initializer.append(order)
    model.graph.node.append(onnx.helper.make_node("Gather", ["before", "order"], [name], axis=1))


def darken(model: Any) -> None:
    """Has the network see every image in black."""
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            if name == "image":
                node.input[place] = "dark"
    model.graph.node.insert(0, onnx.helper.make_node("Sub", ["image", "image"], ["dark"]))


def center(model: Any) -> None:
    """Takes off the mean of each class over the batch, as a norm with statistics of the batch does."""
    name = model.graph.node[-1].output[0]
    model.graph.node[-1].output[0] = "before"
    axes = onnx.numpy_helper.from_array(np.array([0, 2, 3]), "axes")
    model.graph.initializer.append(axes)
    model.graph.node.append(onnx.helper.make_node("ReduceMean", ["before", "axes"], ["mean"]))
    model.graph.node.append(onnx.helper.make_node("Sub", ["before", "mean"], [name]))


def freeze(model: Any) -> None:
    """Takes images of one size alone."""
    for place, side in ((2, 48), (3, 40)):
        model.graph.input[0].type.tensor_type.shape.dim[place].dim_value = side


@pytest.mark.slow
@pytest.mark.parametrize("damage", [permute, darken, center, freeze])
def test_an_onnx_file_that_answers_otherwise_is_not_left(
    exported: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, damage: Callable[[Any], None]
) -> None:
    def damaged(_: Any, path: Path) -> None:
        model = onnx.load("net.onnx")
        damage(model)
        onnx.save(model, path)

    monkeypatch.setattr(export, "write", damaged)
    refuses(exported, capsys, "onnx", images_of_one_size=damage is freeze)


def refuses(run: Run, capsys: pytest.CaptureFixture[str], format: str, *, images_of_one_size: bool = False) -> None:
    """What is written does not pass, and is gone."""
    assert run("export", "run=run", f"format={format}", f"out=wrong/net.{format}") == 2
    reason = "does not take images" if images_of_one_size else "not written, since it does not answer as the network"
    assert reason in capsys.readouterr().err
    assert list(Path("wrong").iterdir()) == []


class Permuted(nn.Module):
    """Classes in another order."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        return self.network(image)[:, [1, 0, 2, 3, 4, 5]]


def with_batch_statistics(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = module.running_var = None
    return network


def with_another_mean(network: nn.Module) -> nn.Module:
    for name, buffer in network.named_buffers():
        if name.split(".")[-1] == "mean":
            buffer += 0.5
    return network


@pytest.mark.slow
@pytest.mark.parametrize("change", [Permuted, with_batch_statistics, with_another_mean, None])
def test_a_program_that_answers_otherwise_is_not_left(
    exported: Run,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[nn.Module], nn.Module] | None,
) -> None:
    if change is None:
        monkeypatch.setattr(programs, "DYNAMIC", {})
    else:
        monkeypatch.setattr(
            export, "traced", lambda network, *rest: programs.traced(change(deepcopy(network)).eval(), *rest)
        )
    refuses(exported, capsys, "pt2", images_of_one_size=change is None)


def shift_mean(weights: dict[str, Tensor]) -> None:
    (name,) = [name for name in weights if name.split(".")[-1] == "mean"]
    weights[name] = weights[name] + 0.5


def forget_statistics(weights: dict[str, Tensor]) -> None:
    for name, tensor in weights.items():
        if name.endswith("running_mean"):
            weights[name] = torch.zeros_like(tensor)


def permute_scores(weights: dict[str, Tensor]) -> None:
    for part in ("weight", "bias"):
        (name,) = [name for name in weights if name.endswith(f"decoder.score.{part}")]
        weights[name] = weights[name][[1, 0, 2, 3, 4, 5]]


@pytest.mark.slow
@pytest.mark.parametrize("damage", [shift_mean, forget_statistics, permute_scores])
def test_weights_that_answer_otherwise_are_not_left(
    exported: Run,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    damage: Callable[[dict[str, Tensor]], None],
) -> None:
    def damaged(network: nn.Module, facts: Any, path: Path) -> None:
        weights = {name: tensor.clone().contiguous() for name, tensor in network.state_dict().items()}
        damage(weights)
        save_file(weights, path, metadata={"segtrain": json.dumps(facts)})

    monkeypatch.setattr(export, "write_safetensors", damaged)
    refuses(exported, capsys, "safetensors")


NETWORKS = {
    "fcn_small": ["model=fcn_small"],
    "fcn_r18": ["model=fcn_r18"],
    "lraspp": ["model=torchvision", "model.name=lraspp_mobilenet_v3_large"],
}


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
def test_networks_of_all_kinds_leave_in_all_formats(segtrain: Run, network: str) -> None:
    data = [word for word in TINY if not word.startswith("model")]
    assert segtrain("train", *NETWORKS[network], *data, "data.size=[64,64]", "run_dir=run") == 0
    for format in export.FORMATS:
        file = Path(f"net.{format}")
        assert segtrain("export", "run=run", f"format={format}", f"out={file}") == 0
        summary = json.loads(Path(f"{file}.json").read_text())
        assert all(check["share"] >= check["needed"] for check in summary["checks"])
        assert len({check["what"] for check in summary["checks"]}) == 7
        if format != "pt2":
            assert segtrain("evaluate", f"checkpoint={file}") == 0
            assert miou(".") == pytest.approx(miou("run"), abs=1e-3)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network is written at once, since it was before."""
    monkeypatch.setattr(export, "write", lambda _, path: shutil.copy("net.onnx", path))


@pytest.mark.slow
@pytest.mark.usefixtures("written")
def test_integers_of_eight_bits_are_held_against_the_network_too(
    exported: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(export, "INT8", Limits(0.9, 0.9, 0.1))  # the network has learned next to nothing
    assert exported("export", "run=run", "int8=true", "out=eight/net.onnx") == 0
    assert "3 at a time" in capsys.readouterr().out
    integers, floats = onnx.load("eight/net.onnx"), onnx.load("net.onnx")
    operators = {node.op_type for node in integers.graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= operators
    assert list(integers.metadata_props) == list(floats.metadata_props)
    assert [list(end) for end in (integers.graph.input, integers.graph.output)] == [
        list(end) for end in (floats.graph.input, floats.graph.output)
    ]
    weights = [tensor for tensor in integers.graph.initializer if len(tensor.dims) == 4]
    assert sum(tensor.data_type == onnx.TensorProto.INT8 for tensor in weights) > len(weights) / 2
    assert exported("evaluate", "checkpoint=eight/net.onnx") == 0
    assert miou("eight") == pytest.approx(miou("run"), abs=0.1)


@pytest.mark.usefixtures("written")
def test_integers_that_answer_otherwise_are_not_left(
    exported: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(export, "INT8", Limits(1.0, 1.0, 0.0))
    assert exported("export", "run=run", "int8=true", "out=wrong/net.onnx") == 2
    assert "not written, since it does not answer as the network does" in capsys.readouterr().err
    assert list(Path("wrong").iterdir()) == []


@pytest.mark.usefixtures("written")
def test_what_takes_long_says_how_far_it_is(
    exported: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(export, "INT8", Limits(0.9, 0.9, 0.1))
    monkeypatch.setattr(screen, "FIRST_GAP", 0)
    assert exported("export", "run=run", "int8=true", "out=eight/net.onnx") == 0
    said = [line.partition(",")[0] for line in capsys.readouterr().out.splitlines() if line.endswith(" left")]
    assert said == [*(f"calibrating: {n} of 12" for n in range(1, 12)), "checking: 1 of 3", "checking: 2 of 3"]


def test_an_exported_file_does_not_tell_where_it_was_made(exported: Run) -> None:
    assert str(Path(programs.__file__).parent).encode() not in Path("net.onnx").read_bytes()


PAGE = Path(__file__).resolve().parents[2] / "docs" / "export.md"


def lines_for(format: str) -> str:
    """The lines in Python that the page shows for a format, with the name of our file."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (block,) = [block for block in blocks if f"roads.{format}" in block]
    return block.replace(f"roads.{format}", f"net.{format}")


def test_the_lines_for_programs_in_python_work_as_they_stand(exported: Run, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (50, 70, 3), np.uint8)).save("photo.jpg")
    names: dict[str, Any] = {}
    capsys.readouterr()
    exec(compile(lines_for("onnx"), str(PAGE), "exec"), names)
    network = api.load("run")
    classes = network.classes
    assert names["mask"].shape == (50, 70)
    assert (names["mask"] == api.predict(network, "photo.jpg").mask.numpy()).mean() > 0.999
    assert capsys.readouterr().out.strip() == classes.names[names["mask"][0, 0]]


REFUSED = [
    (["format=tflite"], "format=tflite: expected onnx, pt2, safetensors"),
    (["out=net.pt"], "out=net.pt: expected a file whose name ends with .onnx"),
    (["run=run,run"], "export takes one network"),
    (["format=pt2", "int8=true"], "int8=true format=pt2: integers of 8 bits are for format=onnx alone"),
]


@pytest.mark.parametrize(("words", "reason"), REFUSED)
def test_what_cannot_be_exported_is_refused(
    exported: Run, capsys: pytest.CaptureFixture[str], words: list[str], reason: str
) -> None:
    assert exported("export", "run=run", *words) == 2
    assert reason in capsys.readouterr().err


@pytest.mark.slow
def test_a_file_of_someone_else_is_refused_in_one_line(exported: Run, capsys: pytest.CaptureFixture[str]) -> None:
    model = onnx.load("net.onnx")
    del model.metadata_props[:]
    onnx.save(model, "strange.onnx")
    Path("torn.onnx").write_bytes(Path("net.onnx").read_bytes()[:-1000])
    for file, reason in (
        ("strange.onnx", "strange.onnx: it was not exported by segtrain"),
        ("torn.onnx", "torn.onnx: it is no ONNX model: is it damaged?"),
        ("net.onnx", "the correction is a part of it" if has_correction() else ""),
    ):
        capsys.readouterr()
        status = exported("evaluate", f"checkpoint={file}", "correction=false")
        message = capsys.readouterr().err
        assert (status, message.count("\n")) == ((2, 1) if reason else (0, 0))
        assert reason in message


MEASURE = """
import sys
from pathlib import Path
from segtrain.cli import start
for file in sys.argv[1:]:
    try:
        start(["evaluate", f"checkpoint={file}"])
    except SystemExit as end:
        peak = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
        print(file, end.code, peak)
"""


def strange_files() -> Iterator[tuple[str, str]]:
    """Files of strangers, the first a usual one, each with what is said of it."""
    plain = Path("net.onnx").read_bytes()

    def changed(name: str, change: Callable[[Any], object]) -> str:
        model = onnx.load_model_from_string(plain)
        change(model)
        Path(name).write_bytes(model.SerializeToString())
        return name

    def outside(model: Any) -> None:
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="weights.bin")

    os.truncate(os.open("weights.bin", os.O_CREAT | os.O_RDWR), 1 << 31)
    long = onnx.StringStringEntryProto(key="note", value="a" * 100_000_000)
    yield changed("no_opset.onnx", lambda model: model.ClearField("opset_import")), "opset"
    yield changed("outside.onnx", outside), "lies in another file"
    yield changed("custom.onnx", lambda model: model.graph.node.add(op_type="Do", domain="evil")), "evil.Do"
    yield changed("metadata.onnx", lambda model: model.metadata_props.append(long)), "beside its tensors"
    Path("swollen.onnx").write_bytes(plain + b"\x3a\x80\x80\x80\x01" + b"\x0a\x00" * (1 << 20))
    yield "swollen.onnx", "parts"
    shutil.copy("net.onnx", "long.onnx")
    os.truncate("long.onnx", 1 << 40)
    yield "long.onnx", "more than 1,073,741,824 bytes"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured by /proc")
def test_a_stranger_takes_little(exported: Run) -> None:
    """Some of the memory is the file itself."""
    files = dict(strange_files())
    words = [sys.executable, "-c", MEASURE, *files]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=600)
    reasons = done.stderr.splitlines()
    assert len(reasons) == len(files)
    for reason, (name, expected) in zip(reasons, files.items(), strict=True):
        assert name in reason
        assert expected in reason
    results = [line.split() for line in done.stdout.splitlines() if line.split(" ")[0] in files]
    assert {status for _, status, _ in results} == {"2"}
    kilobytes = [int(peak) for _, _, peak in results]
    assert kilobytes[-1] - kilobytes[0] < 400_000


def has_correction() -> bool:
    facts = json.loads(onnx_file.facts_in(Path("net.onnx").read_bytes()) or "{}")
    return json.loads(facts["record"])["correction"] is not None
