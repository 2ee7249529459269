"""What a network is scored with: the weights of the moment, in a training and after it, without batch norm."""

import pytest
import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from segtrain.scoring.scorer import Scorer
from tests.training.test_learner import CLASSES, VOID, batches, fit, learner

QUIET = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
IMAGES = list(batches(4))


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, CLASSES, 1))


@pytest.fixture
def normalised(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Grows with each batch norm that is computed, by whether it is in training."""
    computed: list[bool] = []
    forward = nn.BatchNorm2d.forward

    def noted(self: nn.BatchNorm2d, x: Tensor) -> Tensor:
        computed.append(self.training)
        return forward(self, x)

    monkeypatch.setattr(nn.BatchNorm2d, "forward", noted)
    return computed


@pytest.mark.parametrize("ema", [None, 0.5])
def test_a_validation_scores_as_a_test_does(normalised: list[bool], ema: float | None):
    module = learner(network(), ema=ema)
    names = list(module.state_dict())
    fit(module, IMAGES, max_epochs=2)
    assert normalised == [True] * 2 * len(IMAGES)  # of the steps
    assert list(module.state_dict()) == names
    scorer = Scorer(module.scored, class_names=("a", "b", "c"), void=VOID)
    names = list(scorer.state_dict())
    Trainer(accelerator="cpu", devices=1, **QUIET).test(scorer, DataLoader(IMAGES, batch_size=None), verbose=False)
    assert torch.equal(scorer.matrix, module.matrix)  # of the second validation, after further steps
    assert normalised == [True] * 2 * len(IMAGES)
    assert list(scorer.state_dict()) == names
