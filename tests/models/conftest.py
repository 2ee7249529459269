"""The networks of conf/model that are made of models alone, for the tests in this folder."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

from segtrain.build import build

CONF = Path(__file__).parents[2] / "conf" / "model"
NAMES = sorted(path.stem for path in CONF.glob("*.yaml") if "segtrain.networks" not in path.read_text())
DEEP = {"fcn_r101", "fcn_r152", "fcn_r50_atrous", "fcn_r50_pyramid"}


def merged(base: dict, own: dict) -> dict:
    """`own` over `base`, mapping by mapping: what Hydra does."""
    inside = {key: merged(base[key], own[key]) for key in base.keys() & own.keys() if isinstance(base[key], dict)}
    return base | own | inside


@pytest.fixture
def compose() -> Callable[[str], dict]:
    """name -> the settings in conf/model/NAME.yaml, over those of the one sibling that it may extend."""

    def read(name: str) -> dict:
        own = yaml.safe_load((CONF / f"{name}.yaml").read_text())
        siblings = own.pop("defaults", [])
        assert len(siblings) <= 1
        base = yaml.safe_load((CONF / f"{siblings[0]}.yaml").read_text()) if siblings else {}
        assert "defaults" not in base, "a file may extend one sibling, no deeper"
        return merged(base, own)

    return read


@pytest.fixture
def network(compose: Callable[[str], dict]) -> Callable[..., nn.Module]:
    """name, settings -> the network of conf/model/NAME.yaml, with parameters that are the same at each call."""

    def make(name: str, **settings: object) -> nn.Module:
        torch.manual_seed(0)
        return build(compose(name), **({"num_classes": 5} | settings))

    return make


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.slow if name in DEEP else ()) for name in NAMES])
def any_name(request: pytest.FixtureRequest) -> str:
    """Each of these names; for tests that compute, of which those of the deepest networks are slow."""
    return request.param


@pytest.fixture(params=NAMES)
def any_network(request: pytest.FixtureRequest, compose: Callable[[str], dict]) -> nn.Module:
    """Each of these networks, with an auxiliary head, on torch's meta device: shapes without numbers."""
    with torch.device("meta"):
        return build(compose(request.param), num_classes=5, auxiliary=True)
