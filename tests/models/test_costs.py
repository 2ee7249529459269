"""The README's table of networks is what scripts/costs.py prints, and what it prints is right."""

import re
import runpy
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import get_model_weights

from segtrain.build import build
from segtrain.models import UpsampleByChannel, resnet

ROOT = Path(__file__).parents[2]
COSTS = runpy.run_path(str(ROOT / "scripts" / "costs.py"))


@pytest.mark.slow
@pytest.mark.skipif(find_spec("segmentation_models_pytorch") is None, reason="the extra smp is not installed")
def test_the_readme_holds_the_table():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    tables = re.findall(r"<!-- costs -->\n(.*?)<!-- /costs -->", readme, flags=re.DOTALL)
    assert [table.strip() for table in tables] == [COSTS["table"]()]


@pytest.mark.parametrize("layers", [18, 34, 50, 101, 152])
def test_operations_are_those_that_torchvision_publishes(layers):
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        encoder = resnet(layers=layers).eval()
        encoder(torch.empty(1, 3, 224, 224))
    multiply_adds = counter.get_total_flops() / 2 + encoder.channels[-1] * 1000  # and the classifier
    published = get_model_weights(f"resnet{layers}").IMAGENET1K_V1.meta["_ops"]  # 10^9, three decimals
    assert multiply_adds / 1e9 == pytest.approx(published, abs=0.002)


def test_with_1000_classes_up_sampling_each_by_itself_costs_4_million_parameters_and_not_4_billion(compose):
    parameters = {}
    for grouped in (False, True):
        with torch.device("meta"):
            network = build(compose("fcn32s"), num_classes=1000, grouped=grouped)
        parameters[grouped] = network.decoder.up.weight.numel()
    assert parameters == {False: 1000 * 1000 * 64 * 64, True: 1000 * 64 * 64}


def test_operations_of_one_layer_by_hand():
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        torch.nn.ConvTranspose2d(3, 5, 4, stride=2, padding=1, bias=False)(torch.empty(1, 3, 6, 7))
    assert counter.get_total_flops() == 2 * 6 * 7 * 3 * 5 * 4 * 4  # each input pixel goes to 4x4 outputs
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        UpsampleByChannel(5, 2)(torch.empty(1, 5, 6, 7))
    assert counter.get_total_flops() == 2 * 6 * 7 * 5 * 4 * 4
