"""Each family of networks that others wrote is trained, stopped, resumed, evaluated and used as ours are."""

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import models

from segtrain.training import learner
from tests.commands.conftest import TINY

Run = Callable[..., int]
Weights = Callable[..., dict[str, torch.Tensor]]
SMALL = [word for word in TINY if not word.startswith(("model", "train.steps"))] + ["train.steps=6", "data.workers=0"]
NO_SMP = pytest.mark.skipif(find_spec("segmentation_models_pytorch") is None, reason="the extra smp is not installed")
NO_TIMM = pytest.mark.skipif(find_spec("timm") is None, reason="the extra timm is not installed")
TORCHVISION = ["model=torchvision", "model.name=lraspp_mobilenet_v3_large"]
FAMILIES = [
    pytest.param(TORCHVISION, id="torchvision"),
    pytest.param(["model=fcn_torchvision", "model.encoder=mobilenet_v3_small"], id="fcn_torchvision"),
    pytest.param(["model=fcn_torchvision", "model.encoder=swin_t"], id="fcn_torchvision, channels last"),
    pytest.param(["model=smp", "model.arch=FPN", "model.encoder=mobilenet_v2"], marks=NO_SMP, id="smp"),
    pytest.param(["model=timm", "model.encoder=test_convnext"], marks=NO_TIMM, id="timm"),
    pytest.param(["model=timm", "model.encoder=test_vit", "model.auxiliary=true"], marks=NO_TIMM, id="timm, a ViT"),
]


class Interruption(Exception):
    """Stands for a power cut."""


def interrupted(segtrain: Run, monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """The exit status of a training that ends in its fifth step; what it saved last is its third one."""
    step = learner.Learner.training_step

    def failing(self: learner.Learner, *args: Any, **kwargs: Any) -> Any:
        if self.trainer.global_step == 4:
            raise Interruption
        return step(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(learner.Learner, "training_step", failing)
        return segtrain("train", *words)


def score(run: str) -> dict[str, Any]:
    return json.loads(Path(f"{run}/evaluate/test/metrics.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_trains_resumes_to_the_same_bits_evaluates_and_predicts(
    segtrain: Run, weights: Weights, monkeypatch: pytest.MonkeyPatch, family: list[str]
):
    words = [*SMALL, *family, "train.ema=0.9"]
    assert segtrain("train", *words, "run_dir=whole") == 0
    assert interrupted(segtrain, monkeypatch, *words, "run_dir=part") == 1
    assert segtrain("train", "resume=part") == 0
    whole, part = weights("whole"), weights("part")
    assert whole.keys() == part.keys()
    assert all(torch.equal(whole[name], part[name]) for name in whole)
    assert score("whole") == score("part")

    before = score("whole")
    assert segtrain("evaluate", "run=whole", "trainer.accelerator=cpu") == 0
    assert score("whole")["miou"] == before["miou"]
    Image.fromarray(np.zeros((45, 67, 3), np.uint8)).save("image.png")
    assert segtrain("predict", "run=whole", "images=image.png", "trainer.accelerator=cpu") == 0
    with Image.open("whole/predict/masks/image.png") as mask:
        assert mask.size == (67, 45)


def write_weights(family: str) -> None:
    """weights.pth: a state dict of the real names and shapes of an encoder."""
    torch.manual_seed(0)
    if family == "timm":
        network = pytest.importorskip("timm").create_model("test_resnet")
    elif family == "smp":
        network = pytest.importorskip("segmentation_models_pytorch").encoders.get_encoder("mobilenet_v2")
    elif family == "fcn_r50":
        network = models.resnet50()
    else:
        network = models.get_model("mobilenet_v3_large" if family == "torchvision" else "mobilenet_v3_small")
    torch.save(network.state_dict(), "weights.pth")


@pytest.mark.slow
@pytest.mark.parametrize(
    "family",
    [
        TORCHVISION,
        ["model=fcn_torchvision", "model.encoder=mobilenet_v3_small"],
        ["model=smp", "model.arch=FPN", "model.encoder=mobilenet_v2"],
        ["model=timm", "model.encoder=test_resnet"],
        ["model=fcn_r50"],
    ],
    ids=lambda words: words[0],
)
def test_weights_from_a_file_are_needed_once(
    segtrain: Run, weights: Weights, monkeypatch: pytest.MonkeyPatch, family: list[str]
):
    write_weights(family[0].removeprefix("model="))
    words = [*SMALL, *family, "model.encoder.weights=weights.pth"]
    assert segtrain("train", *words, "run_dir=whole") == 0
    assert interrupted(segtrain, monkeypatch, *words, "run_dir=part") == 1
    Path("weights.pth").unlink()
    assert segtrain("train", "resume=part") == 0
    whole, part = weights("whole"), weights("part")
    assert all(torch.equal(whole[name], part[name]) for name in whole)
    assert segtrain("evaluate", "run=whole", "trainer.accelerator=cpu") == 0
    expected = [0.5] * 3 if "timm" in family[0] else [0.485, 0.456, 0.406]  # timm: as its own weights for test_resnet
    assert whole["network.mean"].flatten().tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["model=fcn_r50", "model.encoder.weights=gone.pth"], "model.encoder.weights=gone.pth: there is no such file"),
        (["model=timm", "model.encoder=convnext_tny"], "timm has no such one: did you mean convnext_tiny"),
        (["model=fcn_small", "model.encoder=resnet34"], "fcn_small has an encoder of its own; model=timm, smp and"),
        (["model=smp", "model.arch=Unett"], "arch=Unett: segmentation_models_pytorch has no such one: did you mean"),
        ([*TORCHVISION, "model.auxiliary=true"], "lraspp_mobilenet_v3_large has no auxiliary head"),
    ],
)
def test_what_cannot_be_built_is_one_line(
    segtrain: Run, capsys: pytest.CaptureFixture[str], words: list[str], message: str
):
    if "timm" in words[0] or "smp" in words[0]:
        pytest.importorskip("segmentation_models_pytorch")
    assert segtrain("train", *SMALL, *words) == 2
    err = capsys.readouterr().err.strip()
    assert message in err
    assert "\n" not in err
    assert not Path("runs").exists()
