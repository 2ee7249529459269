"""`evaluate`: score a trained network on a split."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.pytorch import Trainer
from torch import nn

from .. import checkpoint as checkpoints
from .. import precision, runs
from ..build import build
from ..callbacks import ScoringBar
from ..data import ClassTable, DataModule
from ..learner import Scorer
from ..precision import Precision
from ..report import say, score, table, write_score

Spec = dict[str, Any]


@dataclass
class Elsewhere:
    """Settings in place of the run's own, where not `None`: the same kind of data in another folder."""

    root: str | None
    workers: int | None


@dataclass
class Engine:
    """What to compute on; `precision=None` is the run's own."""

    accelerator: str
    precision: Precision | None
    devices: int = 1


class Opened(NamedTuple):
    """A trained network from a file, and what to compute with."""

    folder: Path  # of its run
    network: nn.Module
    classes: ClassTable
    settings: Spec
    trust: Collection[str]
    device: str
    precision: Any


def opened(run: str | None, checkpoint: str | None, trainer: Engine, allow: list[str]) -> Opened:
    """The network that `run` or `checkpoint` names.

    Raises:
        ValueError: for a file that is no checkpoint, and for a device that is not there.
    """
    precision.quiet()
    file = runs.checkpoint_file(run, checkpoint)
    content = checkpoints.read(file)
    device = precision.device_type(trainer.accelerator, trainer.devices)
    typed = trainer.precision and precision.resolve(trainer.precision, device)[0]
    trust = checkpoints.trusted(allow)
    network, classes, settings = checkpoints.restore(content, trust)
    chosen = typed or checkpoints.record_of(content)["precision"]
    return Opened(runs.folder_of(file), network, classes, settings, trust, device, chosen)


def evaluate(
    *,
    run: str | None,
    checkpoint: str | None,
    split: str | None,
    data: Elsewhere,
    trainer: Engine,
    allow: list[str],
) -> None:
    """Score a run's best checkpoint, or any checkpoint, on whole images at their own resolution."""
    trained = opened(run, checkpoint, trainer, allow)
    moved = {key: value for key, value in asdict(data).items() if value is not None}
    module: DataModule = build({**trained.settings["data"], **moved}, trained.trust)
    if module.classes.names != trained.classes.names:
        raise ValueError(
            f"the network was trained for {len(trained.classes)} classes ({', '.join(trained.classes.names)}), "
            f"but the data have {len(module.classes)} ({', '.join(module.classes.names)})"
        )
    engine = Trainer(
        accelerator=trained.device,
        devices=trainer.devices,
        precision=trained.precision,
        callbacks=[ScoringBar()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    network = trained.network.to(memory_format=torch.channels_last)
    scorer = Scorer(network, class_names=trained.classes.names, void=module.classes.void)
    split = split or module.final_split
    name = f"{Path(data.root).resolve().name}-{split}" if data.root else split
    report_score(engine, scorer, module, split, trained.folder / "evaluate" / name)


def report_score(trainer: Trainer, scorer: Scorer, data: DataModule, split: str, folder: Path) -> Spec:
    """Score on a split; print the table, and write the scores into `folder`."""
    trainer.test(scorer, dataloaders=data.whole_images(split), verbose=False)
    result = score(scorer.confusion, split, data.classes.names)
    if trainer.is_global_zero:
        write_score(folder, result, scorer.confusion.compute())
        say(f"{split}: {result['images']} images\n{table(result)}")
        if split == "val" and data.final_split == "val":
            say("These data have no test split: val also chose the checkpoint, so this score flatters it.")
        say(f"written: {folder / 'metrics.json'}, confusion.csv and confusion.png beside it")
    return result
