"""`export`: what is written answers as the checkpoint does, or is not there."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import segtrain as api
from segtrain.build import Trust
from segtrain.commands import export
from segtrain.inference import onnx_file, programs
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
    network, classes, _ = api.load("run")
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


def test_a_file_is_scored_and_predicts_in_place_of_a_checkpoint(exported: Run) -> None:
    assert exported("evaluate", "checkpoint=net.onnx") == 0
    assert miou(".") == pytest.approx(miou("run"), abs=1e-3)
    Path("new").mkdir(exist_ok=True)
    from PIL import Image

    Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 40, 3), np.uint8)).save("new/a.png")
    assert exported("predict", "checkpoint=net.onnx", "images=new", "out=by_file") == 0
    assert exported("predict", "run=run", "images=new", "out=by_run") == 0
    one, other = (np.asarray(Image.open(f"{out}/masks/a.png")) for out in ("by_file", "by_run"))
    assert (one == other).mean() > 0.999


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
    with torch.no_grad():
        answer = torch.export.load("net.pt2").module()(image)
        torch.testing.assert_close(answer, api.load("run").network(image), atol=1e-3, rtol=1e-3)


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


@pytest.mark.slow
@pytest.mark.parametrize("damage", [permute, darken])
def test_a_file_that_answers_otherwise_is_not_left(
    exported: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, damage: Callable[[Any], None]
) -> None:
    write = programs.write_onnx

    def damaged(program: Any, facts: Any, path: Path) -> None:
        write(program, facts, path)
        model = onnx.load(path)
        damage(model)
        onnx.save(model, path)

    monkeypatch.setattr(export, "write_onnx", damaged)
    assert exported("export", "run=run", "out=wrong/net.onnx") == 2
    assert "not written, since it does not answer as the network does" in capsys.readouterr().err
    assert list(Path("wrong").iterdir()) == []


REFUSED = [
    (["format=tflite"], "format=tflite: expected onnx, pt2, safetensors"),
    (["out=net.pt"], "out=net.pt: expected a file whose name ends with .onnx"),
    (["run=run,run"], "export takes one network"),
]


@pytest.mark.parametrize(("words", "reason"), REFUSED)
def test_what_cannot_be_exported_is_refused(
    exported: Run, capsys: pytest.CaptureFixture[str], words: list[str], reason: str
) -> None:
    assert exported("export", "run=run", *words) == 2
    assert reason in capsys.readouterr().err


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


def has_correction() -> bool:
    facts = json.loads(onnx_file.facts_in(Path("net.onnx").read_bytes()) or "{}")
    return json.loads(facts["record"])["correction"] is not None
