"""What a network is scored with: the weights of the moment, in a training and after it, without batch norm."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from segtrain.inference.folding import Folded
from segtrain.inference.windows import Windows
from segtrain.models import FCN, Bottleneck, Encoder
from segtrain.scoring.scorer import Scorer, look_as_scored
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
    batch_norm = F.batch_norm

    def noted(x: Tensor, mean: Tensor, variance: Tensor, weight: Tensor, bias: Tensor, training: bool, *more: Any):
        computed.append(training)
        return batch_norm(x, mean, variance, weight, bias, training, *more)

    monkeypatch.setattr(F, "batch_norm", noted)
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


def test_windows_overlap_as_far_as_the_network_looks():
    torch.manual_seed(0)
    encoder = Encoder(block=Bottleneck, widths=[8, 16], depths=[1, 2], strides=[2, 2], stem_width=4)
    network = FCN(encoder=encoder, num_classes=CLASSES, skips=2, widths=[8, 6]).eval()
    batch = {"image": torch.rand(1, 3, 200, 150), "mask": torch.zeros(1, 200, 150, dtype=torch.uint8)}
    answer = torch.empty(1, CLASSES, 200, 150)
    with torch.inference_mode():
        for piece in Scorer(network, class_names=("a", "b", "c"), void=VOID, windows=Windows(64)).answers(batch):
            assert piece.answer.shape[-2:] != (200, 150)
            answer[piece.place[0], :, *piece.area] = piece.answer
        torch.testing.assert_close(answer, network(batch["image"]), rtol=1e-4, atol=1e-4)


def test_an_image_is_looked_at_as_it_was_scored(normalised: list[bool]):
    module = learner(network())
    trainer = fit(module, IMAGES)
    module.train()  # as Lightning leaves it after a test
    normalised.clear()
    images = SimpleNamespace(read_in_parts=lambda index: (IMAGES[0]["image"][index], IMAGES[0]["mask"][index]))
    folded = Folded()
    looks = [look_as_scored(trainer, module, folded, images, index) for index in (0, 1)]
    assert normalised == []
    with torch.inference_mode():
        expected = module.network.eval()(IMAGES[0]["image"][:2]).argmax(1)
    assert np.array_equal([look.prediction for look in looks], expected)
