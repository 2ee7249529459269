import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from segtrain import build

CLASSES = {"ignore": None, "classes": [{"name": "a"}, {"name": "b"}]}
MODEL = {
    "_target_": "segtrain.models.FCN",
    "encoder": {
        "_target_": "segtrain.models.Encoder",
        "block": {"_target_": "segtrain.models.Bottleneck", "_partial_": True},
        "widths": [8],
        "depths": [1],
        "strides": [2],
    },
    "num_classes": 2,
    "skips": 0,
}

BUILT = ("data", "model", "loss", "optimizer", "schedule", "augment", "trainer")
SETTINGS = {"name": "some", "seed": 0, "train": {}, **{part: {"_target_": "some.Thing"} for part in BUILT}}


@pytest.fixture
def stored(tmp_path: Path) -> Callable[..., Path]:
    """Writes a checkpoint file of a fresh network; changes replace parts of its record."""

    def write(model: dict = MODEL, version: int = 1, average: bool = False, correction: dict | None = None) -> Path:
        torch.manual_seed(0)
        network = build.build(MODEL)
        state = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
        if average:
            state |= {f"average.module.{name[8:]}": tensor + 1 for name, tensor in state.items()}
        record = {
            "run": "some",
            "settings": SETTINGS,
            "model": model,
            "loss": {"_target_": "segtrain.losses.CrossEntropy"},
            "precision": "32-true",
            "classes": CLASSES,
            "fingerprint": "",
            "correction": correction,
        }
        content = {"state_dict": state, "segtrain": {"version": version, "record": json.dumps(record)}}
        torch.save(content, tmp_path / "some.ckpt")
        return tmp_path / "some.ckpt"

    return write
