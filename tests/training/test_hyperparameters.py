from pathlib import Path
from types import SimpleNamespace

from segtrain.training.hyperparameters import hyperparameters

SETTINGS = {
    "name": "photos-fcn",
    "seed": 3,
    "data": {"batch_size": 4},
    "train": {"ema": None, "correction": True},
    "trainer": {},
    "optimizer": {"_target_": "torch.optim.AdamW", "lr": 0.5},
    **{part: {"_target_": f"rooms.{part}"} for part in ("model", "loss", "schedule", "augment")},
}


def test_they_are_the_main_settings_and_those_that_were_typed(tmp_path: Path):
    words = ["model=fcn_r50", "+model.depths=[1,2]", "augment.flip=0.25", "run_dir=x", "logger=wandb", "seed=3"]
    (tmp_path / "overrides.txt").write_text("\n".join([*words, "loss.weights=[1", ""]))
    data = SimpleNamespace(source=lambda split: range(8), classes=["a", "b"], crop=(32, 64))
    parts = SimpleNamespace(settings=SETTINGS, data=data, precision="32-true", steps=6, epoch_steps=2)
    assert hyperparameters(parts, tmp_path) == {
        "name": "photos-fcn",
        "precision": "32-true",
        "steps": 6,
        "epochs": 3.0,
        "images": 8,
        "classes": 2,
        "data.crop": "32x64",
        "model": "fcn_r50",
        "loss": "loss",
        "optimizer": "AdamW",
        "schedule": "schedule",
        "augment": "augment",
        "seed": 3,
        "data.batch_size": 4,
        "optimizer.lr": 0.5,
        "train.ema": "null",
        "train.correction": True,
        "model.depths": "[1, 2]",
        "augment.flip": 0.25,
        "loss.weights": "[1",
    }
