"""`evaluate`: score a trained network on a split."""

import os
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn

from .. import disk
from ..build import build, is_spec
from ..data import ClassTable, DataModule
from ..errors import UserError
from ..inference import input_channels
from ..machine import device as precision
from ..machine import processes
from ..machine.device import Devices, Precision
from ..machine.signals import leave_to_us
from ..report.scores import score, table, write_score
from ..report.screen import be_quiet, say
from ..runs import folder as runs
from ..runs import restore
from ..runs import trained as building
from ..training.callbacks import ScoringBar
from ..training.learner import Scorer

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
    devices: Devices = 1


class Opened(NamedTuple):
    """A trained network from a file, and what to compute with."""

    folder: Path  # of its run
    network: nn.Module
    classes: ClassTable
    settings: Spec
    trust: Collection[str]
    device: str
    processes: int
    precision: Any


def opened(run: str | None, checkpoint: str | None, trainer: Engine, allow: list[str]) -> Opened:
    """The network that `run` or `checkpoint` names.

    Raises:
        UserError: for a file that is no checkpoint, and for a device that is not there.
    """
    precision.quiet()
    file = runs.checkpoint_file(run, checkpoint)
    device, number = processes.count(asdict(trainer))
    if not processes.is_main(number):
        be_quiet()
    content = restore.read(file)
    typed = trainer.precision and precision.resolve(trainer.precision, device)[0]
    trust = building.trusted(allow)
    network, classes, settings = building.restore(content, trust)
    chosen = typed or restore.record_of(content)["precision"]
    return Opened(runs.folder_of(file), network, classes, settings, trust, device, number, chosen)


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
    processes.end_with_parent()
    trained = opened(run, checkpoint, trainer, allow)
    moved = {key: value for key, value in asdict(data).items() if value is not None}
    if not is_spec(trained.settings.get("data")):
        raise UserError("the checkpoint's settings name no data: is it damaged?")
    if "channels" in trained.settings["data"]:
        moved["channels"] = input_channels(trained.network)  # of grey images in another folder too
    module = build({**trained.settings["data"], **moved}, trained.trust)
    if not isinstance(module, DataModule):
        raise UserError(f"the checkpoint's settings name {type(module).__name__} as its data")
    if module.classes.names != trained.classes.names:
        raise UserError(
            f"the network was trained for {len(trained.classes)} classes ({', '.join(trained.classes.names)}), "
            f"but the data have {len(module.classes)} ({', '.join(module.classes.names)})"
        )
    engine = Trainer(
        accelerator=trained.device,
        devices=trainer.devices,
        precision=trained.precision,
        strategy=processes.strategy(trained.processes),
        plugins=processes.environment(),
        callbacks=[ScoringBar()] if processes.is_main(trained.processes) else [],
        default_root_dir=os.devnull,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    leave_to_us(engine)
    network = trained.network.to(memory_format=torch.channels_last)
    scorer = Scorer(network, class_names=trained.classes.names, void=module.classes.void)
    split = split or module.final_split
    name = f"{Path(data.root).resolve().name}-{split}" if data.root else split
    target = trained.folder / "evaluate" / name
    disk.stay_inside(trained.folder, target)
    result = score_split(engine, scorer, module, split)
    if engine.is_global_zero:
        report_score(result, scorer.matrix, module, target)


def score_split(trainer: Trainer, scorer: Scorer, data: DataModule, split: str) -> Spec:
    """The content of `metrics.json`; the same in all processes."""
    trainer.test(scorer, dataloaders=data.whole_images(split, trainer), verbose=False)
    return score(scorer.totals, scorer.matrix, split, data.classes.names)


def report_score(result: Spec, matrix: Tensor, data: DataModule, folder: Path) -> None:
    """Print the table, and write the scores into `folder`."""
    split = result["split"]
    write_score(folder, result, matrix)
    say(f"{split}: {result['images']} images\n{table(result)}")
    if split == "val" and data.final_split == "val":
        say("These data have no test split: val also chose the checkpoint, so this score flatters it.")
    say(f"written: {folder / 'metrics.json'}, confusion.csv and confusion.png beside it")
