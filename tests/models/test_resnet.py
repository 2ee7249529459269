"""ResNet-18 to -152 against torchvision's, with the same weights."""

from collections import OrderedDict

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torchvision.models import ResNet50_Weights, get_model_weights

from segtrain.models import FCN, Bottleneck, Encoder, resnet
from segtrain.models.initialize import initialize
from segtrain.models.resnet import from_torchvision


def torchvision_resnet(layers: int, *, double: bool = False, **settings) -> nn.Module:
    """torchvision's network with random weights, and batch norms as no initialization would leave them."""
    with torch.device("meta"):  # its own initialization would only cost time
        network = torchvision.models.get_model(f"resnet{layers}", weights=None, **settings)
    network = network.to_empty(device="cpu").to(torch.float64 if double else torch.float32)
    generator = torch.Generator().manual_seed(layers)
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                layer.weight.normal_(0, (2 / layer.weight[0].numel()) ** 0.5, generator=generator)
            elif isinstance(layer, nn.BatchNorm2d):
                layer.weight.uniform_(0.3, 0.9, generator=generator)
                layer.bias.uniform_(-0.2, 0.2, generator=generator)
                layer.running_mean.uniform_(-0.3, 0.3, generator=generator)
                layer.running_var.uniform_(0.5, 2.0, generator=generator)
                layer.num_batches_tracked.fill_(7)
        network.fc.weight.zero_()
        network.fc.bias.zero_()
    return network


def torchvision_features(network: nn.Module, x: Tensor) -> list[Tensor]:
    """As torchvision's own forward, keeping what each stage gives."""
    features = [network.relu(network.bn1(network.conv1(x)))]
    x = network.maxpool(features[0])
    for stage in (network.layer1, network.layer2, network.layer3, network.layer4):
        x = stage(x)
        features.append(x)
    return features


def loaded(layers: int, theirs: nn.Module, **settings) -> Encoder:
    """Ours with the weights of `theirs`."""
    with torch.device("meta"):
        ours = resnet(layers=layers, **settings)
    ours.load_state_dict(from_torchvision(theirs.state_dict()), strict=True, assign=True)
    return ours


def assert_equal_features(ours: Encoder, theirs: nn.Module, x: Tensor) -> None:
    mine, other = ours(x), torchvision_features(theirs, x)
    assert [f.shape for f in mine] == [f.shape for f in other]
    for a, b in zip(mine, other, strict=True):
        assert b.std() > 0.01  # a dead or exploded feature would prove nothing
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4 * b.abs().max().item())


@pytest.mark.parametrize(
    ("layers", "size"),
    [(18, (64, 64)), (34, (33, 47)), (50, (64, 64)), (50, (33, 47)), (101, (32, 32)), (152, (32, 32))],
)
@torch.no_grad()
def test_features_equal_torchvisions(layers, size):
    theirs = torchvision_resnet(layers).eval()
    ours = loaded(layers, theirs).eval()
    assert_equal_features(ours, theirs, torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0)))


@pytest.mark.parametrize("layers", [18, 50])
@torch.no_grad()
def test_features_and_running_statistics_equal_torchvisions_in_training(layers):
    theirs = torchvision_resnet(layers, double=True).train()
    ours = loaded(layers, theirs)
    ours.load_state_dict({name: tensor.clone() for name, tensor in ours.state_dict().items()}, assign=True)  # own them
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert_equal_features(ours.train(), theirs, x)
    state = ours.state_dict()
    for name, tensor in from_torchvision(theirs.state_dict()).items():
        torch.testing.assert_close(state[name], tensor)
    assert state["stem.1.num_batches_tracked"] == 8


@pytest.mark.parametrize(
    ("replaced", "settings", "strides"),
    [
        ([False, True, True], {"strides": (1, 2, 1, 1), "dilations": (1, 1, 2, 4)}, [2, 4, 8, 8, 8]),
        ([False, True, True], {"output_stride": 8}, [2, 4, 8, 8, 8]),
        ([False, False, True], {"output_stride": 16}, [2, 4, 8, 16, 16]),
        ([True, True, True], {"output_stride": 4}, [2, 4, 4, 4, 4]),
    ],
)
@torch.no_grad()
def test_dilation_instead_of_stride_equals_torchvisions(replaced, settings, strides):
    theirs = torchvision_resnet(50, replace_stride_with_dilation=replaced).eval()
    ours = loaded(50, theirs, **settings).eval()
    assert ours.strides == strides
    assert_equal_features(ours, theirs, torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)))


@pytest.mark.parametrize("layers", [18, 34, 50, 101, 152])
def test_keys_and_shapes_match_torchvisions_exactly(layers):
    with torch.device("meta"):
        theirs, ours = torchvision.models.get_model(f"resnet{layers}", weights=None), resnet(layers=layers)
    renamed = from_torchvision(theirs.state_dict())
    assert len(renamed) == len(theirs.state_dict()) - 2  # all but the classifier's weight and bias
    assert {k: v.shape for k, v in renamed.items()} == {k: v.shape for k, v in ours.state_dict().items()}


@pytest.mark.parametrize("layers", [18, 34, 50, 101, 152])
def test_parameters_are_as_many_as_torchvision_publishes(layers):
    with torch.device("meta"):
        encoder = resnet(layers=layers)
    classifier = encoder.channels[-1] * 1000 + 1000
    published = get_model_weights(f"resnet{layers}").IMAGENET1K_V1.meta["num_params"]
    assert sum(p.numel() for p in encoder.parameters()) + classifier == published
    channels = [64, 128, 256, 512] if layers < 50 else [256, 512, 1024, 2048]
    assert (encoder.channels, encoder.strides) == ([64, *channels], [2, 4, 8, 16, 32])


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    """What a download would give: a state dict of torchvision's ResNet-50."""
    return torchvision_resnet(50).state_dict()


@pytest.fixture
def downloads(monkeypatch, state) -> list[tuple[str, dict]]:
    """The calls of torchvision's download, which gives `state` instead."""
    calls = []

    def load_state_dict_from_url(url, *args, **kwargs):
        assert not args
        calls.append((url, kwargs))
        return OrderedDict(state)

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", load_state_dict_from_url)
    return calls


@pytest.mark.parametrize("name", ["IMAGENET1K_V1", "IMAGENET1K_V2"])
def test_weights_come_from_torchvision_verified_and_with_their_normalisation(downloads, state, name):
    encoder = resnet(layers=50, weights=name)
    assert downloads == [(ResNet50_Weights[name].url, {"progress": True, "check_hash": True, "weights_only": True})]
    expected = from_torchvision(state)
    assert all(torch.equal(tensor, expected[key]) for key, tensor in encoder.state_dict().items())

    network = FCN(encoder=encoder, num_classes=3, skips=0)
    assert network.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert network.std.flatten().tolist() == pytest.approx([0.229, 0.224, 0.225])
    assert torch.equal(network.encoder.stem[0].weight, expected["stem.0.weight"])  # building the rest left it alone
    network = FCN(encoder=encoder, num_classes=3, skips=0, mean=[0.1], std=[0.2])  # what is given counts more
    assert (network.mean.item(), network.std.item()) == pytest.approx((0.1, 0.2))


def test_dilated_networks_take_the_same_weights(downloads):
    resnet(layers=50, weights="IMAGENET1K_V2", strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4))
    assert len(downloads) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layers": 50, "weights": "IMAGENET22K"}, r"^weights=IMAGENET22K: torchvision has IMAGENET1K_V1.*resnet50$"),
        (
            {"layers": 18, "weights": "IMAGENET1K_V2"},
            r"^weights=IMAGENET1K_V2: torchvision has IMAGENET1K_V1.*resnet18$",
        ),
        ({"layers": 36}, r"^layers=36: torchvision's ResNets have 18, 34, 50, 101, 152$"),
        ({"layers": 50, "weights": "IMAGENET1K_V2", "in_channels": 4}, r"^weights=IMAGENET1K_V2 are for RGB.*$"),
    ],
)
def test_what_torchvision_does_not_have_is_refused_in_one_line(downloads, settings, message):
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        resnet(**settings)
    assert downloads == []


def test_without_weights_there_is_no_normalisation_and_no_download(downloads):
    with torch.device("meta"):
        encoder = resnet(layers=50, in_channels=4)
    assert (encoder.mean, encoder.std, downloads) == (None, None, [])
    assert encoder.stem[0].in_channels == 4


@torch.no_grad()
def test_a_dilated_basic_block_sees_what_a_strided_one_sees():
    """torchvision cannot dilate ResNet-18."""
    theirs = torchvision_resnet(18).eval()
    strided, dilated = loaded(18, theirs).eval(), loaded(18, theirs, output_stride=16).eval()
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert dilated(x)[-1].shape[-2:] == (4, 4)
    first_conv = strided.stages[3][0].residual[0], dilated.stages[3][0].residual[0]
    feature = strided(x)[-2]
    torch.testing.assert_close(first_conv[0](feature), first_conv[1](feature)[..., ::2, ::2])
    assert dilated.stages[3][1].residual[1].dilation == (2, 2)


def test_zero_init_reaches_the_last_batch_norm_of_every_bottleneck():
    encoder = resnet(layers=50, zero_init=True)
    blocks = [module for module in encoder.modules() if isinstance(module, Bottleneck)]
    assert len(blocks) == 3 + 4 + 6 + 3
    assert all(not block.residual[-1].weight.any() for block in blocks)
    encoder.stages[0][0].residual[-1].weight.data.fill_(2)
    initialize(encoder)
    assert not encoder.stages[0][0].residual[-1].weight.any()
    theirs = from_torchvision(torchvision.models.resnet50(weights=None, zero_init_residual=True).state_dict())
    assert {k for k, v in theirs.items() if not v.any()} == {k for k, v in encoder.state_dict().items() if not v.any()}
