"""timm's encoders here compute what timm's own do."""

import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from segtrain.errors import UserError
from segtrain.networks import TimmEncoder
from segtrain.networks.timm import pyramid, tags_of
from tests.networks.conftest import byte_image, on_encoder, refuse_any_image_problem, shaken

timm = pytest.importorskip("timm")
SWIN = "swin_tiny_patch4_window7_224"


@pytest.mark.parametrize(
    ("name", "channels", "strides"),
    [
        ("test_resnet", [32, 32, 48, 192, 96], [2, 4, 8, 16, 32]),
        ("test_convnext", [24, 32, 48, 64], [4, 8, 16, 32]),
        ("test_efficientnet", [16, 24, 32, 48, 64], [2, 4, 8, 16, 32]),
        ("test_mambaout", [16, 32, 48, 64], [4, 8, 16, 32]),
    ],
)
def test_features_are_timms(name: str, channels: list[int], strides: list[int]):
    encoder = TimmEncoder(name=name).eval()
    assert (encoder.channels, encoder.strides) == (channels, strides)
    theirs = timm.create_model(name, features_only=True).eval()
    theirs.load_state_dict(encoder.body.state_dict())
    image = torch.rand(1, 3, 64, 96)
    for ours, other, stride in zip(encoder(image), theirs(image), strides, strict=True):
        expected = other if other.shape[-2:] == (64 // stride, 96 // stride) else other.permute(0, 3, 1, 2)
        assert torch.equal(ours, expected)


@pytest.mark.parametrize(
    "name", ["test_resnet", "test_convnext", "test_vit", pytest.param(SWIN, marks=pytest.mark.slow)]
)
def test_an_encoder_stands_under_our_decoder_for_images_of_any_size(name: str):
    ours = on_encoder(TimmEncoder(name=name), auxiliary=True)
    refuse_any_image_problem(ours)
    assert len(ours.train()(byte_image(64, 64, images=2))) == 2


@pytest.mark.slow
def test_features_with_channels_last_are_turned():
    encoder = TimmEncoder(name=SWIN).eval()
    shapes = [tuple(feature.shape) for feature in encoder(torch.rand(1, 3, 64, 96))]
    assert shapes == [(1, 96, 16, 24), (1, 192, 8, 12), (1, 384, 4, 6), (1, 768, 2, 3)]


def test_the_single_stride_of_a_plain_transformer_becomes_four():
    encoder = TimmEncoder(name="test_vit").eval()
    features = encoder(torch.rand(1, 3, 64, 96))
    assert [tuple(feature.shape) for feature in features] == [(1, 64, 64 // s, 96 // s) for s in (4, 8, 16, 32)]
    last = encoder.body(torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0)))[-1]
    assert last.shape == features[2].shape
    assert torch.allclose(features[3], torch.nn.functional.avg_pool2d(features[2], 2))


@pytest.mark.parametrize(
    ("stride", "strides"), [(16, [4, 8, 16, 32]), (14, [7, 14, 28, 56]), (8, [2, 4, 8, 16]), (7, [7, 14, 28, 56])]
)
def test_a_pyramid_doubles(stride: int, strides: list[int]):
    assert pyramid(stride) == strides


def test_names_of_an_encoder_are_those_of_timms_features():
    theirs = timm.create_model("test_convnext", features_only=True).state_dict()
    assert list(TimmEncoder(name="test_convnext").state_dict()) == [f"body.{name}" for name in theirs]
    assert {name.split(".")[0] for name in theirs} == {"stem_0", "stem_1", *(f"stages_{i}" for i in range(4))}


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("name", ["test_resnet", "test_convnext", "test_vit"])
def test_a_file_of_the_classifier_fills_the_encoder_as_timm_does(tmp_path: Path, name: str, suffix: str):
    whole = timm.create_model(name)
    state = shaken(whole)
    file = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save(state, file)
    else:
        save_file(state, file)
    encoder = TimmEncoder(name=name, weights=str(file))
    overlay = {"file": str(file)}
    theirs = timm.create_model(name, features_only=True, pretrained=True, pretrained_cfg_overlay=overlay)
    assert all(torch.equal(t, theirs.state_dict()[key]) for key, t in encoder.body.state_dict().items())
    assert not any("state_dict" in getattr(part, "pretrained_cfg", {}) for part in encoder.modules())
    expected = timm.get_pretrained_cfg(name)
    assert (encoder.mean, encoder.std) == (list(expected.mean), list(expected.std))


def test_a_file_of_another_network_is_refused(tmp_path: Path):
    torch.save(timm.create_model("test_convnext").state_dict(), tmp_path / "weights.pth")
    with pytest.raises(
        ValueError, match=r"are not those of this encoder: it lacks conv1.*; it holds stem.0.weight.*more"
    ):
        TimmEncoder(name="test_resnet", weights=str(tmp_path / "weights.pth"))


def test_a_tag_is_downloaded_by_timm(monkeypatch: pytest.MonkeyPatch):
    tag = tags_of("test_resnet")[0]
    state = shaken(timm.create_model("test_resnet"))
    asked = []

    def download(place: object, *_: object, **__: object) -> dict:
        asked.append(place)
        return dict(state)

    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", download)
    encoder = TimmEncoder(name="test_resnet", weights=tag)
    assert asked == [f"timm/test_resnet.{tag}"]
    assert torch.equal(encoder.body.state_dict()["layer1.0.conv1.weight"], state["layer1.0.conv1.weight"])
    with pytest.raises(ValueError, match=f"weights=in22k: timm has {tag}"):
        TimmEncoder(name="test_resnet", weights="in22k")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("convnext_tny", "encoder=convnext_tny: timm has no such one: did you mean convnext_tiny"),
        ("hf-hub:someone/network", "timm has no such one"),
        ("local-dir:/tmp", "timm has no such one"),
        ("mixer_s32_224", r"gives no features of images of any size \(Input height"),
        ("levit_128", "gives no features of images of any size"),
        ("inception_v3", r"gives no features .*is no whole fraction"),
    ],
)
def test_what_is_no_encoder_is_refused_with_the_reason(name: str, message: str):
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        TimmEncoder(name=name)


def test_images_of_other_channels():
    refuse_any_image_problem(on_encoder(TimmEncoder(name="test_resnet", in_channels=5)), channels=5)


def test_without_timm_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "timm", None)  # its import fails
    with pytest.raises(UserError, match=r"^model=timm needs more packages: pip install 'segtrain\[timm\]'"):
        TimmEncoder(name="convnext_tiny")
