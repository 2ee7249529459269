"""A network is scored on whole images: the same code in a training, after it, and in `evaluate`."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn

from ..data import DataModule
from ..errors import from_user
from ..machine import processes
from ..machine.signals import leave_to_us
from ..metrics import ConfusionMatrix, summary
from ..report.scores import score, table, write_score
from ..report.screen import say

Batch = dict[str, Tensor]


class Scorer(LightningModule):
    """Scores a network on whole images.

    Args:
        network: images (N, C, H, W) -> logits (N, classes, H, W).
        class_names: in the order of their indices.
        void: value in the masks that is left out.
    """

    def __init__(self, network: nn.Module, *, class_names: tuple[str, ...], void: int) -> None:
        super().__init__()
        self.network, self.class_names = network, class_names
        self.confusion = ConfusionMatrix(len(class_names), void)

    @property
    def scored(self) -> nn.Module:
        """The network whose score counts."""
        return self.network

    def on_test_epoch_start(self) -> None:
        self.confusion.reset()

    def test_step(self, batch: Batch, _: int) -> None:
        self.confusion.update(self.scored(batch["image"]), batch["mask"])

    def on_test_epoch_end(self) -> None:
        """The sum over all processes, which here still all take part."""
        with from_user():
            self.totals, self.matrix = summary(self.confusion), self.confusion.compute().cpu()


def silent_trainer(make: Callable[..., Trainer], count: int, plugins: Sequence[Any] = (), **settings: Any) -> Trainer:
    """Lightning's trainer, which prints nothing, writes nothing of its own and leaves samplers and signals to us.

    Args:
        make: Lightning's class, or what builds it with more settings.
        count: the number of processes.
    """
    trainer = make(
        strategy=processes.strategy(count),
        plugins=[*plugins, *processes.environment()],
        default_root_dir=os.devnull,  # where Lightning looks for checkpoints of its own
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        **settings,
    )
    leave_to_us(trainer)
    return trainer


def score_split(trainer: Trainer, scorer: Scorer, data: DataModule, split: str) -> dict[str, Any]:
    """The content of `metrics.json`; the same in all processes."""
    trainer.test(scorer, dataloaders=data.whole_images(split, trainer), verbose=False)
    return score(scorer.totals, scorer.matrix, split, data.classes.names)


def report_score(result: dict[str, Any], matrix: Tensor, data: DataModule, folder: Path) -> None:
    """Print the table, and write the scores into `folder`."""
    split = result["split"]
    write_score(folder, result, matrix)
    say(f"{split}: {result['images']} images\n{table(result)}")
    if split == "val" and data.final_split == "val":
        say("These data have no test split: val also chose the checkpoint, so this score flatters it.")
    say(f"written: {folder / 'metrics.json'}, confusion.csv and confusion.png beside it")
