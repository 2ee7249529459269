from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from segtrain.data import ShapesData
from segtrain.inference.windows import Windows
from segtrain.models.ensemble import Ensemble, Mirrored
from segtrain.training import reporting
from segtrain.training.reporting import look_at

ENGINE = SimpleNamespace(
    strategy=SimpleNamespace(root_device=torch.device("cpu")),
    precision_plugin=SimpleNamespace(forward_context=nullcontext),
)


class Floats(nn.Conv2d):
    """Of pixels 0 to 255."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(input / 255)


@pytest.mark.parametrize("kind", ["one", "several", "mirrored"])
def test_confidence_is_the_probability_of_the_answer(kind: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reporting, "BAND", 70)  # several bands
    torch.manual_seed(0)
    network = Floats(3, 4, 3, padding=1)
    shown = {"one": network, "several": Ensemble([network, network]), "mirrored": Mirrored(network)}[kind]
    data = ShapesData(size=[20, 24], train=1, val=1, test=2, variant=0, crop=[16, 16], batch_size=1, workers=0)
    look = look_at(ENGINE, shown, Windows(), data.source("test"), 1)
    image, mask = data.source("test").read(1)
    with torch.inference_mode():
        expected = network(image[None]).softmax(1)
        if kind == "mirrored":
            expected = (expected + network(image[None].flip(-1)).softmax(1).flip(-1)) / 2
    torch.testing.assert_close(torch.from_numpy(look.confidence), expected[0].amax(0))
    assert (look.prediction == expected[0].argmax(0).numpy()).all()
    assert (look.image == image.numpy()).all()
    assert (look.truth == mask.numpy()).all()
