from types import SimpleNamespace

import pytest
from lightning.pytorch.trainer.states import TrainerFn

from segtrain.training import memory
from segtrain.training.memory import FEW_PIXELS, KeptMemory


@pytest.mark.parametrize(
    ("device", "size", "kept"),
    [
        ("cpu", (360, 480), "KKKGKG"),
        ("cpu", (FEW_PIXELS, 2), "KGKGGG"),  # large images are not scored in memory that is kept
        ("cuda", (360, 480), ""),
    ],
)
def test_memory_is_kept_for_steps_and_for_scores_of_small_images(
    device: str, size: tuple[int, int], kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    monkeypatch.setattr(memory, "keep_freed_memory", lambda: done.append("K"))
    monkeypatch.setattr(memory, "give_freed_memory_back", lambda: done.append("G"))
    callback = KeptMemory(device, [(2, 2), size])
    callback.on_train_start()
    callback.on_validation_start()
    callback.on_validation_end(SimpleNamespace(state=SimpleNamespace(fn=TrainerFn.FITTING)))
    callback.on_train_end()
    callback.on_test_start()
    callback.on_test_end()
    assert "".join(done) == kept
