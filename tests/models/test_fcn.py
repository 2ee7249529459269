"""The whole network: any size, any depth of image, each configuration in conf/model."""

import io
from collections.abc import Iterator
from functools import partial
from itertools import pairwise

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as transforms

from segtrain.build import build
from segtrain.models import FCN, AtrousPyramid, Bottleneck, ConvBNReLU, Encoder, PyramidPooling
from segtrain.models.initialize import initialize

SIZES = [(1, 1), (1, 7), (33, 65), (64, 64)]


def picture(*shape: int) -> Tensor:
    """A random image in uint8."""
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def small(**settings) -> FCN:
    """Stride 8, 3 classes."""
    torch.manual_seed(0)
    encoder = Encoder(block=Bottleneck, widths=[8, 16], depths=[1, 1], strides=[2, 2], stem_width=4)
    return FCN(**{"encoder": encoder, "num_classes": 3, "skips": 2, "widths": [8, 6]} | settings)


@pytest.mark.slow
@pytest.mark.parametrize("any_network", ["fcn_small", "fcn_r50_pyramid"], indirect=True)
def test_a_network_is_one_graph_for_the_compiler(any_network):
    """A break in it would give back most of what compiling gains."""
    torch.compiler.reset()
    compiled = torch.compile(any_network.train(), backend="eager", fullgraph=True)
    for size in ((64, 96), (33, 65)):
        logits, _ = compiled(torch.empty(2, 3, *size, device="meta"))
        assert logits.shape == (2, 5, *size)


def test_every_configuration_gives_logits_at_the_inputs_size(any_network):
    any_network.eval()
    for size in SIZES:
        assert any_network(torch.empty(2, 3, *size, device="meta")).shape == (2, 5, *size)
    logits, auxiliary = any_network.train()(torch.empty(2, 3, 33, 65, device="meta"))
    assert logits.shape == (2, 5, 33, 65)
    assert auxiliary.shape == (2, 5, 9, 17)  # of every fourth row and column


@pytest.mark.parametrize("name", ["fcn_tiny", "fcn8s"])
@pytest.mark.parametrize("size", SIZES)
@torch.no_grad()
def test_logits_are_finite_and_not_constant_at_any_size(network, name, size):
    logits = network(name).eval()(picture(2, 3, *size))
    assert logits.shape == (2, 5, *size)
    assert logits.isfinite().all()
    assert not torch.equal(logits[0], logits[1])


@torch.no_grad()
def test_what_lies_beyond_the_border_repeats_the_last_row_and_column():
    network, image = small().eval(), picture(1, 3, 9, 15)
    repeated = torch.cat([image, image[..., -1:, :].expand(-1, -1, 7, -1)], dim=-2)
    repeated = torch.cat([repeated, repeated[..., -1:]], dim=-1)
    assert repeated.shape == (1, 3, 16, 16)
    assert torch.equal(network(image), network(repeated)[..., :9, :15])


@pytest.mark.parametrize("size", SIZES)
@torch.no_grad()
def test_8_bits_16_bits_and_floats_give_equal_logits(size):
    network, image = small().eval(), picture(2, 3, *size)
    logits = network(image)
    assert torch.equal(network((image.int() * 257).to(torch.uint16)), logits)
    assert torch.equal(network(image / 255), logits)
    torch.testing.assert_close(network(image.double() / 255), logits)
    torch.testing.assert_close(network((image / 255).half()), logits, rtol=0.02, atol=0.002)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int16, torch.bool])
def test_other_images_are_refused_in_one_line(dtype):
    with pytest.raises(ValueError, match=rf"^an image of {dtype}: give torch.uint8, torch.uint16, or float in 0..1$"):
        small()(torch.ones(2, 3, 8, 8, dtype=dtype))


def test_the_mean_and_std_normalise_as_torchvision_does():
    mean, std = [0.4, 0.5, 0.6], [0.1, 0.2, 0.3]
    image = picture(2, 3, 5, 6)
    expected = transforms.normalize(transforms.to_dtype(image, torch.float32, scale=True), mean, std)
    torch.testing.assert_close(small(mean=mean, std=std).normalize(image), expected)


def test_without_a_mean_black_is_minus_two_and_white_plus_two():
    black_and_white = torch.tensor([0, 255], dtype=torch.uint8).view(1, 1, 1, 2).expand(1, 3, 1, 2)
    assert torch.equal(small().normalize(black_and_white), torch.tensor([-2.0, 2.0]).expand(1, 3, 1, 2))


@torch.no_grad()
def test_an_images_logits_do_not_depend_on_the_batch_it_is_in():
    network, images = small().eval(), picture(3, 3, 20, 30)
    alone = torch.cat([network(image[None]) for image in images])
    torch.testing.assert_close(network(images), alone, rtol=1e-4, atol=1e-6)
    assert (alone[0] - alone[1]).abs().max() > 1e-3


def test_the_auxiliary_head_speaks_in_training_only():
    network = small(auxiliary=True)
    logits, auxiliary = network(picture(2, 3, 9, 15))
    assert logits.shape == auxiliary.shape == (2, 3, 9, 15)
    features = network.encoder(F.pad(network.normalize(picture(2, 3, 9, 15)), (0, 1, 0, 7), mode="replicate"))
    torch.testing.assert_close(auxiliary, network.auxiliary(features[-2])[..., :9, :15])
    auxiliary.square().sum().backward()
    assert network.encoder.stem[0].weight.grad.any()  # it teaches the encoder,
    assert network.encoder.stages[-1][0].shortcut[0].weight.grad is None  # but for the coarsest stage
    logits = network.eval()(picture(2, 3, 9, 15))
    assert isinstance(logits, Tensor)
    assert logits.shape == (2, 3, 9, 15)


@pytest.mark.parametrize(("stride", "size"), [(1, (9, 15)), (2, (5, 8)), (4, (3, 4)), (32, (3, 4))])
def test_the_auxiliary_head_scores_every_so_many_rows_and_columns(stride: int, size: tuple[int, int]):
    network = small(auxiliary=True, auxiliary_stride=stride)  # on a feature of stride 4
    logits, auxiliary = network(picture(2, 3, 9, 15))
    assert (logits.shape, auxiliary.shape) == ((2, 3, 9, 15), (2, 3, *size))
    assert picture(2, 3, 9, 15)[..., :: network.auxiliary_stride, :: network.auxiliary_stride].shape[-2:] == size


@pytest.mark.parametrize(("stride", "expected"), [(0, "1 or more"), (3, "a divisor of 4")])
def test_an_auxiliary_stride_that_does_not_divide_that_of_its_feature_is_refused(stride: int, expected: str):
    with pytest.raises(ValueError, match=f"auxiliary_stride={stride}: expected {expected}"):
        small(auxiliary=True, auxiliary_stride=stride)


def test_without_an_auxiliary_head_training_gives_logits_alone():
    assert small()(picture(2, 3, 9, 15)).shape == (2, 3, 9, 15)


def test_gradients_reach_every_parameter(network, any_name):
    net = network(any_name, auxiliary=True)
    labels = torch.randint(0, 5, (2, 64, 64), generator=torch.Generator().manual_seed(0))
    logits, auxiliary = net(picture(2, 3, 64, 64))
    (F.cross_entropy(logits, labels) + F.cross_entropy(auxiliary, labels[:, ::4, ::4])).backward()
    without = [
        n for n, p in net.named_parameters() if p.grad is None or not p.grad.any() or not p.grad.isfinite().all()
    ]
    assert without == []


def test_the_ladder_differs_in_its_skips_only(compose):
    ladder = {name: compose(name) for name in ("fcn32s", "fcn16s", "fcn8s")}
    assert [settings.pop("skips") for settings in ladder.values()] == [0, 1, 2]
    small = compose("fcn_small")
    assert {"skips", "widths"} < small.keys()
    without = {key: value for key, value in small.items() if key != "skips"} | {"widths": None}
    assert all(settings == without for settings in ladder.values())


@torch.no_grad()
def test_fcn8s_is_scores_up_2_plus_scores_up_2_plus_scores_up_8(network):
    net, image = network("fcn8s", grouped=True).eval(), picture(2, 3, 64, 96)
    _, _, third, second, coarsest = net.encoder((image / 255 - 0.5) / 0.25)
    assert [f.shape[-2:] for f in (third, second, coarsest)] == [(8, 12), (4, 6), (2, 3)]
    weights = net.decoder.state_dict()

    def score(name: str, feature: Tensor) -> Tensor:
        return F.conv2d(feature, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def up(name: str, scores: Tensor, scale: int) -> Tensor:
        return F.conv_transpose2d(scores, weights[f"{name}.weight"], stride=scale, padding=scale // 2, groups=5)

    x = up("rungs.0.up", score("top", coarsest), 2) + score("rungs.0.lateral", second)
    x = up("rungs.1.up", x, 2) + score("rungs.1.lateral", third)
    torch.testing.assert_close(net(image), up("up", x, 8))


def layers_before_batch_norm(module: nn.Module) -> Iterator[nn.Module]:
    for child in module.modules():
        if isinstance(child, nn.Sequential):
            yield from (first for first, second in pairwise(child) if isinstance(second, nn.BatchNorm2d))


def test_no_configuration_has_a_bias_before_batch_norm(any_network):
    before = list(layers_before_batch_norm(any_network))
    assert len(before) == sum(isinstance(layer, nn.BatchNorm2d) for layer in any_network.modules()) > 10
    assert all(isinstance(layer, nn.Conv2d) and layer.bias is None for layer in before)


@torch.no_grad()
def test_a_state_dict_restores_the_logits_and_the_normalisation():
    trained = small(mean=[0.1, 0.2, 0.3], std=[0.4, 0.5, 0.6], auxiliary=True)
    trained(picture(2, 3, 16, 16))  # moves the running statistics
    file = io.BytesIO()
    torch.save(trained.state_dict(), file)
    file.seek(0)
    other = small(mean=[0.5] * 3, std=[1] * 3, auxiliary=True)
    image = picture(1, 3, 9, 15)
    assert not torch.equal(other.eval()(image), trained.eval()(image))
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(other(image), trained(image))


NEW = ("context", "join", "grouped", "dropout", "auxiliary_stride")  # settings that records of version 0.1 do not have


@torch.no_grad()
def test_the_settings_of_an_older_record_make_the_network_that_they_made(compose, network):
    settings = {name: value for name, value in compose("fcn_tiny").items() if name not in NEW}
    del settings["encoder"]["output_stride"]
    older = build(settings, num_classes=5, auxiliary=True)
    newer = network("fcn_tiny", auxiliary=True, auxiliary_stride=1, grouped=True)
    shapes = {name: tuple(tensor.shape) for name, tensor in older.state_dict().items()}
    now = {name: tuple(tensor.shape) for name, tensor in newer.state_dict().items()}
    assert list(shapes) == list(now)
    assert {name: shapes[name] for name in shapes if shapes[name] != now[name]} == {
        "decoder.up.weight": (5, 5, 4, 4),
        "auxiliary.2.weight": (5, 5, 32, 32),
    }


@torch.no_grad()
def test_up_sampling_each_class_by_itself_starts_as_the_dense_one(network):
    each, dense = network("fcn8s", grouped=True).eval(), network("fcn8s", grouped=False).eval()
    torch.testing.assert_close(each(picture(2, 3, 64, 96)), dense(picture(2, 3, 64, 96)))


@torch.no_grad()
def test_context_works_on_the_coarsest_feature_alone():
    context = partial(PyramidPooling, out_channels=10, bins=[1, 2])
    network = small(context=context).eval()
    image = picture(2, 3, 16, 24)
    stem, first, coarsest = network.encoder(network.normalize(image))
    gathered = network.context(coarsest)
    assert gathered.shape == (2, 10, 2, 3)
    assert torch.equal(network(image), network.decoder([stem, first, gathered]))
    plain = small().state_dict()
    assert {name for name in network.state_dict() if not name.startswith("context.")} == set(plain)


@torch.no_grad()
def test_a_context_of_ones_own_may_keep_the_channels():
    network = small(context=lambda in_channels: nn.Conv2d(in_channels, in_channels, 1)).eval()
    assert network(picture(2, 3, 9, 15)).shape == (2, 3, 9, 15)


@pytest.mark.parametrize("context", [PyramidPooling, AtrousPyramid])
@pytest.mark.parametrize("size", SIZES)
def test_a_network_with_context_trains_on_one_image_of_any_size(context, size):
    network = small(context=partial(context, out_channels=6), auxiliary=True).train()
    for norm in (layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)):
        norm.eval()  # outside of the pooled branches, one pixel at stride 8 is too little for it
    network(picture(1, 3, *size))[0].square().sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())
    assert network.context.branches[-1].project[0].weight.grad is not None


def test_dropout_is_in_training_alone_and_comes_from_torchs_random_numbers():
    image = picture(2, 3, 16, 16)
    network = small(dropout=0.5, auxiliary=True)
    torch.manual_seed(1)
    first = network(image)
    torch.manual_seed(1)
    again, other = network(image), network(image)
    for head in (0, 1):
        assert torch.equal(first[head], again[head])
        assert not torch.equal(first[head], other[head])
    plain = small(auxiliary=True)
    plain.load_state_dict(network.state_dict())
    assert torch.equal(network.eval()(image), plain.eval()(image))


class Patches(nn.Module):
    """An encoder that is no `Encoder`: two convolutions over patches of 3 and of 6 pixels."""

    channels, strides = (4, 8), (3, 6)

    def __init__(self) -> None:
        super().__init__()
        self.fine, self.coarse = nn.Conv2d(3, 4, 3, stride=3), ConvBNReLU(4, 8, stride=2)

    def forward(self, x: Tensor) -> list[Tensor]:
        fine = self.fine(x)
        return [fine, self.coarse(fine)]


@pytest.mark.parametrize("size", SIZES)
def test_any_module_with_channels_and_strides_is_an_encoder(size):
    network = FCN(encoder=Patches(), num_classes=3, skips=1, widths=[6]).eval()
    assert network(picture(2, 3, *size)).shape == (2, 3, *size)
    initialize(network)


def test_other_modules_are_refused_in_one_line():
    with torch.device("meta"):
        encoder = torchvision.models.resnet18(weights=None)
    with pytest.raises(ValueError, match=r"^encoder=ResNet lacks \.channels or \.strides.*$"):
        small(encoder=encoder)


@pytest.mark.parametrize("changed", [{"skips": 3}, {"widths": [8]}, {"widths": [8, 8, 8]}])
def test_skips_and_widths_that_do_not_fit_the_encoder_are_refused_in_one_line(changed):
    with pytest.raises(ValueError, match=r"^(skips=3|widths has \d entries).*$"):
        small(**changed)


def test_a_print_shows_the_choices():
    shown = repr(small(mean=[0.485, 0.456, 0.406]))
    assert shown.startswith("FCN(\n  mean=[0.485, 0.456, 0.406], std=[0.25]\n")
    assert "channels=[4, 8, 16], strides=[2, 4, 8]" in shown
    assert "expansion=4, zero_init=False" in shown


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_half_weights_leave_normalisation_its_digits(kind: torch.dtype):
    image = torch.arange(33000, 33256).to(torch.int32).to(torch.uint16).view(1, 1, 1, 256).expand(1, 3, 4, 256)
    exact = small(mean=[33128 / 65535] * 3, std=[0.001] * 3).normalize(image)
    half = small(mean=[33128 / 65535] * 3, std=[0.001] * 3).to(kind)
    assert half.normalize(image).dtype == kind
    assert half.mean.dtype == half.std.dtype == torch.float32
    assert (half.normalize(image).float() - exact).abs().max() < 0.01
    assert half.double().mean.dtype == torch.float64


@pytest.mark.parametrize(("classes", "groups"), [(64, 1), (65, 65)])
def test_many_classes_are_up_sampled_each_by_itself_unless_that_is_chosen(network, classes: int, groups: int):
    assert network("fcn_tiny", num_classes=classes).decoder.up.groups == groups
