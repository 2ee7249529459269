"""`evaluate`: score a trained network on a split."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer

from .. import checkpoint as checkpoints
from .. import precision, runs
from ..build import build
from ..data import DataModule
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
    precision.quiet()
    file = runs.checkpoint_file(run, checkpoint)
    content = checkpoints.read(file)
    record, trust = checkpoints.record_of(content), checkpoints.trusted(allow)
    network, classes, settings = checkpoints.restore(content, trust)
    moved = {key: value for key, value in asdict(data).items() if value is not None}
    module: DataModule = build({**settings["data"], **moved}, trust)
    if len(module.classes) != len(classes):
        raise ValueError(
            f"{file} was trained for {len(classes)} classes ({', '.join(classes.names)}), "
            f"but the data have {len(module.classes)} ({', '.join(module.classes.names)})"
        )
    precision.device_type(trainer.accelerator)  # says so in one line where it is missing
    chosen: Any = trainer.precision or record["precision"]
    engine = Trainer(
        accelerator=trainer.accelerator,
        devices=trainer.devices,
        precision=chosen,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    scorer = Scorer(network.to(memory_format=torch.channels_last), class_names=classes.names, void=module.classes.void)
    folder = runs.folder_of(file)
    report_score(engine, scorer, module, split or module.final_split, folder)


def report_score(trainer: Trainer, scorer: Scorer, data: DataModule, split: str, folder: Path) -> Spec:
    """Score on a split; print the table, write `metrics.json` and `confusion.csv` below `folder`."""
    trainer.test(scorer, dataloaders=data.whole_images(split), verbose=False)
    result = score(scorer.confusion, split, data.classes.names)
    if trainer.is_global_zero:
        target = folder / "evaluate" / split
        write_score(target, result, scorer.confusion.compute())
        say(f"{split}: {result['images']} images\n{table(result)}")
        say(f"written: {target / 'metrics.json'}, {target / 'confusion.csv'}")
    return result
