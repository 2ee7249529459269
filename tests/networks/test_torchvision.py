"""torchvision's networks and classifiers here compute what torchvision's own do."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision import models
from torchvision.models.feature_extraction import create_feature_extractor

from segtrain.networks import TorchvisionBackbone, TorchvisionEncoder, TorchvisionNetwork
from tests.networks.conftest import MEAN, STD, byte_image, on_encoder, refuse_any_image_problem, shaken

SMALL = "lraspp_mobilenet_v3_large"
STAGES = {  # of classifiers: the last of each stride, and the channels there
    "mobilenet_v3_small": ([0, 1, 3, 8, 12], [16, 16, 24, 48, 576], [2, 4, 8, 16, 32]),
    "efficientnet_b0": ([1, 2, 3, 5, 8], [16, 24, 40, 112, 1280], [2, 4, 8, 16, 32]),
    "convnext_tiny": ([1, 3, 5, 7], [96, 192, 384, 768], [4, 8, 16, 32]),
    "swin_t": ([1, 3, 5, 7], [96, 192, 384, 768], [4, 8, 16, 32]),
}


def network(name: str = SMALL, *, weights: str | None = None, channels: int | None = None, **settings) -> nn.Module:
    backbone = TorchvisionBackbone(weights=weights, in_channels=channels)
    return TorchvisionNetwork(name=name, encoder=backbone, num_classes=4, **settings)


@pytest.mark.parametrize("name", [SMALL, pytest.param("deeplabv3_resnet50", marks=pytest.mark.slow)])
def test_logits_are_torchvisions(name: str, normal: Callable[[Tensor], Tensor]):
    ours = network(name, mean=MEAN, std=STD).eval()
    theirs = models.get_model(name, weights=None, weights_backbone=None, num_classes=4).eval()
    theirs.load_state_dict({key.removeprefix("body."): t for key, t in ours.state_dict().items() if "body" in key})
    image = byte_image(45, 67)
    assert torch.allclose(ours(image), theirs(normal(image))["out"], atol=1e-5)


def test_images_may_have_any_size_and_numbers_of_any_type():
    refuse_any_image_problem(network())


def test_names_are_torchvisions_behind_body():
    theirs = models.get_model(SMALL, weights=None, weights_backbone=None, num_classes=4)
    assert network().state_dict().keys() == {"mean", "std"} | {f"body.{name}" for name in theirs.state_dict()}


@pytest.mark.slow
def test_an_auxiliary_head_speaks_in_training_alone():
    ours = network("fcn_resnet50", auxiliary=True)
    logits, auxiliary = ours.train()(byte_image(45, 67, images=2))
    assert logits.shape == auxiliary.shape == (2, 4, 45, 67)
    assert not torch.equal(logits, auxiliary)
    assert isinstance(ours.eval()(byte_image(45, 67)), Tensor)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "deeplabv3"}, "name=deeplabv3: torchvision.models.segmentation has no such one: did you mean"),
        ({"name": "resnet50"}, "no such one"),
        ({"auxiliary": True}, f"auxiliary=true: {SMALL} has no auxiliary head"),
        ({"weights": "NONE"}, "weights=NONE: torchvision has IMAGENET1K_V1.*for mobilenet_v3_large"),
        ({"weights": "IMAGENET1K_V1", "channels": 4}, "weights=IMAGENET1K_V1 are for RGB"),
    ],
)
def test_what_torchvision_does_not_have_is_refused(settings: dict, message: str):
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        network(**settings)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_of_the_classifier_fills_the_backbone(tmp_path: Path, suffix: str):
    state = shaken(models.mobilenet_v3_large())
    file = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save(state, file)
    else:
        save_file(state, file)
    ours = network(weights=str(file))
    assert all(torch.equal(t, state[f"features.{name}"]) for name, t in ours.encoder.state_dict().items())
    assert ours.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert network(weights=str(file), mean=[0.1]).mean.item() == pytest.approx(0.1)


def test_a_file_of_a_whole_network_fills_the_backbone(tmp_path: Path):
    whole = models.get_model(SMALL, weights=None, weights_backbone=None)
    state = shaken(whole)
    torch.save({"model": state}, tmp_path / "whole.pth")
    ours = network(weights=str(tmp_path / "whole.pth"))
    assert all(torch.equal(t, state[f"backbone.{name}"]) for name, t in ours.encoder.state_dict().items())


@pytest.mark.parametrize(
    "name", [name if "mobile" in name else pytest.param(name, marks=pytest.mark.slow) for name in STAGES]
)
def test_features_are_those_that_torchvision_extracts(name: str):
    indices, channels, strides = STAGES[name]
    encoder = TorchvisionEncoder(name=name).eval()
    assert (encoder.channels, encoder.strides) == (channels, strides)
    theirs = models.get_model(name, weights=None).eval()
    theirs.features.load_state_dict(encoder.features.state_dict())
    extract = create_feature_extractor(theirs, {f"features.{index}": str(index) for index in indices})
    image = torch.rand(1, 3, 64, 96)
    for ours, other, stride in zip(encoder(image), extract(image).values(), strides, strict=True):
        expected = other.permute(0, 3, 1, 2) if name.startswith("swin") else other
        assert torch.allclose(ours, expected, atol=1e-5)
        assert ours.shape[-2:] == (64 // stride, 96 // stride)


@pytest.mark.parametrize("name", ["mobilenet_v3_small", pytest.param("swin_t", marks=pytest.mark.slow)])
def test_a_classifier_stands_under_our_decoder(name: str):
    ours = on_encoder(TorchvisionEncoder(name=name), auxiliary=True)
    refuse_any_image_problem(ours)
    assert len(ours.train()(byte_image(64, 64, images=2))) == 2
    assert {key.split(".")[0] for key in ours.state_dict()} == {"mean", "std", "encoder", "decoder", "auxiliary"}


def test_names_of_an_encoder_are_torchvisions():
    theirs = models.mobilenet_v3_small().state_dict()
    ours = TorchvisionEncoder(name="mobilenet_v3_small").state_dict()
    assert list(ours) == [name for name in theirs if name.startswith("features.")]


def test_an_encoder_takes_weights_from_a_file(tmp_path: Path):
    state = shaken(models.mobilenet_v3_small())
    torch.save(state, tmp_path / "weights.pth")
    encoder = TorchvisionEncoder(name="mobilenet_v3_small", weights=str(tmp_path / "weights.pth"))
    assert all(torch.equal(t, state[name]) for name, t in encoder.state_dict().items())
    assert on_encoder(encoder).std.flatten().tolist() == pytest.approx([0.229, 0.224, 0.225])
    with pytest.raises(ValueError, match=r"are not those of this encoder: it lacks .* and .* more"):
        TorchvisionEncoder(name="mobilenet_v3_large", weights=str(tmp_path / "weights.pth"))


def test_weights_by_name_are_downloaded_by_torchvision(monkeypatch: pytest.MonkeyPatch):
    state = shaken(models.mobilenet_v3_small())
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", lambda *_, **__: dict(state))
    encoder = TorchvisionEncoder(name="mobilenet_v3_small", weights="IMAGENET1K_V1")
    assert torch.equal(encoder.features[0][0].weight, state["features.0.0.weight"])
    assert (encoder.mean, encoder.std) == ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def test_a_failed_download_proposes_a_file(monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fail)
    with pytest.raises(ValueError, match=r"cannot be downloaded .*no route to host.*model.encoder.weights=FILE"):
        TorchvisionEncoder(name="mobilenet_v3_small", weights="IMAGENET1K_V1")


def test_images_of_five_channels():
    refuse_any_image_problem(on_encoder(TorchvisionEncoder(name="mobilenet_v3_small", in_channels=5)), channels=5)
    refuse_any_image_problem(network(channels=1), channels=1)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "mobilenet_v3_smal",
            "encoder=mobilenet_v3_smal: torchvision.models has no such one: did you mean mobilenet_v3",
        ),
        ("resnet18", "encoder resnet18: torchvision does not compute it stage by stage"),
        ("alexnet", r"encoder alexnet: a feature of \[1, 64, 31, 47\] is no whole fraction"),
    ],
)
def test_what_is_no_encoder_is_refused_with_the_reason(name: str, message: str):
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        TorchvisionEncoder(name=name)
