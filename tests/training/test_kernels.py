from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.trainer.states import TrainerFn

from segtrain.training.kernels import TriedKernels


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    before = torch.backends.cudnn.benchmark
    yield
    torch.backends.cudnn.benchmark = before
    torch.use_deterministic_algorithms(False)


def test_kernels_are_tried_for_crops_alone() -> None:
    kernels, tried = TriedKernels(), []
    trainer = SimpleNamespace(state=SimpleNamespace(fn=TrainerFn.FITTING))
    for happens in ("on_train_start", "on_validation_start", "on_validation_end", "on_train_end", "on_exception"):
        getattr(kernels, happens)(trainer)
        tried.append(torch.backends.cudnn.benchmark)
    assert tried == [True, False, True, False, False]


def test_a_validation_by_itself_leaves_none() -> None:
    kernels = TriedKernels()
    kernels.on_validation_start()
    kernels.on_validation_end(SimpleNamespace(state=SimpleNamespace(fn=TrainerFn.VALIDATING)))
    assert not torch.backends.cudnn.benchmark


def test_no_kernels_are_tried_where_results_must_be_the_same_each_time() -> None:
    torch.use_deterministic_algorithms(True)
    kernels = TriedKernels()
    kernels.on_train_start()
    assert not torch.backends.cudnn.benchmark
