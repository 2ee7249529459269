"""Names of tensors in a file, and names in a network."""

import pytest
import torch

from segtrain.weights import downloading, fitted, without_prefix

OWN = {"conv1.weight": torch.zeros(2, 3), "bn1.weight": torch.zeros(2), "bn1.num_batches_tracked": torch.tensor(0)}
FILE = {"conv1.weight": torch.ones(2, 3), "bn1.weight": torch.ones(2), "bn1.num_batches_tracked": torch.tensor(9)}


def test_the_names_of_the_network_are_looked_up():
    assert {name: tensor.sum().item() for name, tensor in fitted(FILE, OWN, "a.pth").items()} == {
        "conv1.weight": 6,
        "bn1.weight": 2,
        "bn1.num_batches_tracked": 9,
    }


def test_a_classifier_is_left_out():
    assert fitted(FILE | {"fc.weight": torch.ones(1), "fc.bias": torch.ones(1)}, OWN, "a.pth").keys() == OWN.keys()


@pytest.mark.parametrize("prefix", ["encoder.", "module.", "network.backbone."])
def test_an_encoder_is_found_in_a_larger_network(prefix: str):
    whole = {f"{prefix}{name}": tensor for name, tensor in FILE.items()} | {"decoder.weight": torch.ones(1)}
    assert torch.equal(fitted(whole, OWN, "a.pth")["conv1.weight"], torch.ones(2, 3))


def test_of_prefixes_that_fit_alike_the_shortest_counts():
    names = ("conv1.weight", "layer1.0.conv1.weight", "layer1.1.conv1.weight")
    weights = {name: torch.tensor(float(number)) for number, name in enumerate(names)}
    assert without_prefix(weights, ["conv1.weight"]) == weights


def test_files_from_before_batch_norm_counted_fit():
    old = {name: tensor for name, tensor in FILE.items() if "num_batches" not in name}
    assert fitted(old, OWN, "a.pth")["bn1.num_batches_tracked"] == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"conv1.weight": None}, r"^weights=a.pth are not those of this encoder: it lacks conv1.weight"),
        ({"bn1.weight": None}, r"it lacks bn1.weight$"),
        ({"layer9.weight": torch.ones(1)}, r"it holds layer9.weight besides$"),
        ({f"more.{number}": torch.ones(1) for number in range(5)}, r"more.0, more.1, more.2 and 2 more besides$"),
        ({"conv1.weight": torch.ones(2, 4)}, r"conv1.weight is \[2, 4\], expected \[2, 3\]$"),
    ],
)
def test_weights_of_another_network_are_refused_with_a_few_names(changes: dict, message: str):
    weights = {name: tensor for name, tensor in (FILE | changes).items() if tensor is not None}
    with pytest.raises(ValueError, match=message):
        fitted(weights, OWN, "a.pth")


def test_a_download_that_fails_proposes_a_file():
    message = r"^weights=A cannot be downloaded \(OSError: no route\): type .*FILE.pth$"
    with pytest.raises(ValueError, match=message), downloading("A"):
        raise OSError("no route\nto host")
