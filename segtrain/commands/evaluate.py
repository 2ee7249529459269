"""`evaluate`: score a trained network on a split."""

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from lightning.pytorch import Trainer

from .. import disk
from ..build import Trust, build_part, from_stored
from ..data import DataModule
from ..data.batches.statistics import measure
from ..data.files.images import MAX_PIXELS
from ..data.files.pictures import Pictures, Span
from ..errors import UserError
from ..machine import device, processes
from ..machine.device import Computing
from ..report.screen import be_quiet, say
from ..runs.folder import beginnings, checkpoint_file
from ..runs.record import with_places
from ..runs.trained import Opened, opened
from ..text import counted
from ..training.callbacks import ScoringBar
from ..training.parts import data_of_a_run
from ..training.scoring import Scorer, report_score, score_split, silent_trainer

IMAGES = 16  # of another folder that are compared with those of the training


@dataclass
class Elsewhere:
    """Settings in place of the run's own, where not `None`: the same kind of data in another folder."""

    root: str | None
    workers: int | None
    max_pixels: int | None


def evaluate(
    *, run: str | None, checkpoint: str | None, split: str | None, data: Elsewhere, trainer: Computing, allow: list[str]
) -> None:
    """Score a run's best checkpoint, or any checkpoint, on whole images at their own resolution."""
    processes.end_with_parent()
    device.quiet()
    file = checkpoint_file(run, checkpoint)
    kind, count = processes.count(asdict(trainer))
    if not processes.is_main(count):
        be_quiet()
    trust = Trust(allow)
    trained = opened(file, trust)
    with from_stored(str(file)):
        module = stored_data(trained, data, trust)
        split = split or module.final_split
        if data.root:
            say_difference(trained, module, split)
    name = f"{disk.file_name(Path(data.root).resolve().name)}-{split}" if data.root else split
    target = trained.folder / "evaluate" / name
    disk.stay_inside(trained.folder, target)
    precision, note = device.typed_or_stored(trainer.precision, kind, trained.record.precision)
    if note:
        say(note)
    engine = silent_trainer(
        Trainer,
        count,
        accelerator=kind,
        devices=trainer.devices,
        precision=precision,
        callbacks=[ScoringBar()] if processes.is_main(count) else [],
        logger=False,
        enable_checkpointing=False,
    )
    network = trained.network.to(device.dtype_of_weights(precision)).to(memory_format=torch.channels_last)
    scorer = Scorer(network, class_names=trained.classes.names, void=module.classes.void)
    result = score_split(engine, scorer, module, split)
    if engine.is_global_zero:
        report_score(result, scorer.matrix, module, target, trained.record)


def say_difference(trained: Opened, module: DataModule, split: str) -> None:
    """Say by what images of another folder differ from those that the network was trained on, if they do."""
    known, source = Pictures.stored(trained.record.pictures), module.source(split)
    here = measure(source, IMAGES).pictures
    if known is None or here is None:
        return
    if remark := known.remark(here.kind, here.bits, here.channels, Span(here.low, here.high)):
        say(f"images such as {source.names[0]}: {remark}: the score may be of no use")


def stored_data(trained: Opened, elsewhere: Elsewhere, trust: Trust) -> DataModule:
    """The data of the run, or others of the same kind. Raises UserError if they have other classes."""
    typed = {name: value for name, value in asdict(elsewhere).items() if value is not None}
    record = trained.record
    stored = with_places(record.settings, beginnings(trained.folder, record.cwd))
    settings = {**stored["data"], **typed}
    if "max_pixels" in settings:
        settings["max_pixels"] = record.max_pixels(elsewhere.max_pixels, MAX_PIXELS)
    if "channels" in settings:
        settings["channels"] = record.channels  # of grey images in another folder too
    with data_of_a_run(settings):
        module = build_part("data", settings, trust)
    if not isinstance(module, DataModule):
        raise UserError(f"the checkpoint's settings name {type(module).__name__} as its data")
    own, other = trained.classes.names, module.classes.names
    if own != other:
        network, data = f"{counted(len(own), 'class')} ({', '.join(own)})", f"{len(other)} ({', '.join(other)})"
        raise UserError(f"the network was trained for {network}, but the data have {data}")
    return module
