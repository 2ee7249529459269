"""Networks of segmentation_models_pytorch here compute what its own do."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from segtrain.errors import UserError
from segtrain.networks import SmpEncoder, SmpNetwork
from tests.networks.conftest import MEAN, STD, byte_image, refuse_any_image_problem, shaken

smp = pytest.importorskip("segmentation_models_pytorch")


def network(arch: str = "Unet", encoder: str = "mobilenet_v2", *, weights: str | None = None, **settings) -> nn.Module:
    channels = settings.pop("channels", None)
    return SmpNetwork(arch=arch, encoder=SmpEncoder(encoder, weights, channels), num_classes=4, **settings)


@pytest.mark.parametrize("arch", ["Unet", "FPN", "DeepLabV3Plus"])
def test_logits_are_smps(arch: str, normal: Callable[[Tensor], Tensor]):
    ours = network(arch, mean=MEAN, std=STD).eval()
    theirs = smp.create_model(arch, "mobilenet_v2", encoder_weights=None, classes=4).eval()
    theirs.load_state_dict(ours.body.state_dict())
    image = byte_image(64, 96)
    assert torch.equal(ours(image), theirs(normal(image)))


@pytest.mark.slow
@pytest.mark.parametrize("arch", sorted(smp.MODEL_ARCHITECTURES_MAPPING))
def test_every_network_of_smp_is_built_and_takes_images_of_any_size(arch: str):
    name = smp.MODEL_ARCHITECTURES_MAPPING[arch].__name__
    ours = network(name, "tu-test_vit" if arch == "dpt" else "mobilenet_v2").eval()
    for size in ((160, 96), (133, 100)):
        if arch == "pan":  # whose pyramid needs a larger image
            size = (2 * size[0], 2 * size[1])
        assert ours(byte_image(*size)).shape == (1, 4, *size)


@pytest.mark.parametrize("encoder", ["mobilenet_v2", "tu-test_resnet"])
def test_images_may_have_any_size_and_numbers_of_any_type(encoder: str):
    refuse_any_image_problem(network(encoder=encoder))


def test_names_are_smps_behind_body():
    theirs = smp.Unet("mobilenet_v2", encoder_weights=None, classes=4).state_dict()
    assert network().state_dict().keys() == {"mean", "std"} | {f"body.{name}" for name in theirs}
    assert {name.split(".")[0] for name in theirs} == {"encoder", "decoder", "segmentation_head"}


def test_files_of_torchvision_and_of_whole_networks_fill_the_encoder(tmp_path: Path):
    state = shaken(models.resnet18())
    torch.save(state, tmp_path / "resnet18.pth")
    ours = network(encoder="resnet18", weights=str(tmp_path / "resnet18.pth"))
    assert all(torch.equal(t, state[name]) for name, t in ours.encoder.state_dict().items())
    assert ours.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    torch.save(ours.body.state_dict(), tmp_path / "whole.pth")
    again = network("FPN", "resnet18", weights=str(tmp_path / "whole.pth"))
    assert all(torch.equal(t, state[name]) for name, t in again.encoder.state_dict().items())
    with pytest.raises(ValueError, match="are not those of this encoder"):
        network(weights=str(tmp_path / "resnet18.pth"))


def test_weights_by_name_are_downloaded_by_smp(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    encoder = smp.encoders.get_encoder("mobilenet_v2")
    state = shaken(encoder)
    (tmp_path / "config.json").write_text('{"mean": [100, 100, 100], "std": [50, 50, 50], "input_range": [0, 255]}')
    monkeypatch.setattr(smp.encoders, "hf_hub_download", lambda *_, filename, **__: str(tmp_path / filename))
    monkeypatch.setattr(smp.encoders, "load_file", lambda *_, **__: dict(state))
    ours = network(weights="imagenet")
    assert all(torch.equal(t, state[name]) for name, t in ours.encoder.state_dict().items())
    assert ours.mean.flatten().tolist() == pytest.approx([100 / 255] * 3)


def test_a_failed_download_proposes_a_file(monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no route to host")

    monkeypatch.setattr(smp.encoders, "hf_hub_download", fail)
    with pytest.raises(ValueError, match=r"weights=imagenet cannot be downloaded .*model.encoder.weights=FILE"):
        network(weights="imagenet")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"arch": "Unett"}, "arch=Unett: segmentation_models_pytorch has no such one: did you mean Unet"),
        ({"arch": "from_pretrained"}, "no such one"),
        ({"encoder": "resnet3"}, "encoder=resnet3: segmentation_models_pytorch has no such one: did you mean resnet"),
        ({"encoder": "tu-hf-hub:someone/network"}, "no such one"),
        ({"weights": "voc"}, "weights=voc: smp has imagenet .* for mobilenet_v2"),
        ({"weights": "imagenet", "channels": 4}, "weights=imagenet are for RGB"),
    ],
)
def test_what_smp_does_not_have_is_refused(settings: dict, message: str):
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        network(**settings)


def test_transformers_of_smp_are_built_without_numbers():
    with torch.device("meta"):
        assert all(parameter.is_meta for parameter in network("Segformer", "mit_b0").parameters())


def test_without_smp_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch", None)  # its import fails
    with pytest.raises(UserError, match=r"^model=smp needs more packages: pip install 'segtrain\[smp\]'"):
        network()
