"""`evaluate`: score a trained network on a split."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

import torch
from lightning.pytorch import Trainer

from .. import disk
from ..build import Trust, from_stored
from ..data import DataModule
from ..data.files.pictures import Pictures, Span
from ..errors import UserError
from ..machine import device, processes
from ..machine.device import Computing
from ..report.screen import COMMAND, be_quiet, say
from ..runs.folder import checkpoint_files
from ..runs.record import Record
from ..runs.resume import typed_keys
from ..runs.trained import Opened, opened
from ..scoring.members import (
    CROSS,
    Member,
    crossed,
    ensemble,
    missing_text,
    refuse_changed,
    refuse_no_folds,
    refuse_seen,
)
from ..scoring.reopened import OtherData, with_data
from ..scoring.reporting import Request
from ..scoring.scorer import Scorer, report_score, score_split, silent_trainer
from ..scoring.split_score import SplitScore
from ..scoring.views import Views
from ..text import counted
from ..training.callbacks import ScoringBar
from ..training.memory import KeptMemory
from ..training.parts import train_settings

IMAGES = 16  # of another folder that are compared with those of the training


class Scored(NamedTuple):
    """Where a score was written, and what it is."""

    folder: Path
    miou: float | None


class Engine(NamedTuple):
    """What computes scores, and how images are shown to the networks."""

    settings: Computing
    kind: str  # `cuda` or `cpu`
    processes: int
    views: Views


def evaluate(
    *,
    typed: list[str],
    run: str | None,
    checkpoint: str | None,
    split: str | None,
    cross: bool,
    correction: bool,
    calibration: bool,
    flip: bool,
    scales: list[float],
    window: int | None,
    overlap: float | None,
    label_problems: int,
    data: OtherData,
    trainer: Computing,
    allow: list[str],
) -> Scored:
    """Score a run's best checkpoint, or any checkpoint, on whole images at their own resolution; several together by
    the mean of their probabilities; or with `cross` the runs of all folds, each on its own val.

    With `flip` a network sees each image in a mirror too, and in all `scales`. A score with these or with other windows
    than in the training, or without `correction` or `calibration`, has a folder of its own. The labels that the network
    contradicts most, in up to `label_problems` images, are listed beside it.
    """
    if label_problems < 0:
        raise UserError(f"label_problems={label_problems}: expected the number of images to list, or 0 for none")
    processes.end_with_parent()
    device.quiet()
    files, views = checkpoint_files(run, checkpoint), Views(flip, scales, window, overlap)
    engine = engine_of(trainer, views)
    fits = {"correction": correction, "calibration": calibration}
    members = [member_of(file, views, fits, data, Trust(allow)) for file in files]
    first, module = members[0]
    with from_stored(str(files[0])):
        split = wanted_split(split, members, data, cross=cross)
        if data.root:
            say_difference(first, module, "val" if cross else split)
    target = first.folder / "evaluate" / folder_name(split, len(members), data, [*without(fits), *views.words()])
    disk.stay_inside(first.folder, target)
    scored, record = scored_together(files, members, split, engine)
    if processes.is_main(engine.processes):
        request = request_of(typed, members[0], split, data, fits, label_problems)
        report_score(scored, module, target, first.folder, record, steps_of(members[0], data), request)
    return Scored(target, scored.result["miou"])


def engine_of(settings: Computing, views: Views) -> Engine:
    """What computes; of several processes, only the first one speaks from now on."""
    kind, count = processes.count(asdict(settings))
    if not processes.is_main(count):
        be_quiet()
    return Engine(settings, kind, count, views)


def member_of(file: Path, views: Views, fits: Mapping[str, bool], data: OtherData, trust: Trust) -> Member:
    """The network in a file, with or without what its training has fitted, as it is shown its data."""
    network = views.of(opened(file, trust, **fits))
    return with_data(network, file, data, trust)


def without(fits: Mapping[str, bool]) -> list[str]:
    """Words for the folder of a score that does without what a training has fitted."""
    words = {"correction": "uncorrected", "calibration": "uncalibrated"}
    return [words[name] for name, used in fits.items() if not used]


def scored_together(
    files: Sequence[Path], members: Sequence[Member], split: str, engine: Engine
) -> tuple[SplitScore, Record]:
    """The score of the networks in these files, and the record of what a training has fitted to them together."""
    scored = crossed_score(members, engine) if split == CROSS else joint(members, split, engine)
    scored.result.update(engine.views.noted())
    record = members[0].trained.record
    if len(members) == 1:
        return scored, record
    scored.result["members"] = list(map(str, files))
    return scored, replace(record, correction=None, temperature=None)  # each has its own


def joint(members: Sequence[Member], split: str, engine: Engine) -> SplitScore:
    """The score of one network, or of several by the mean of their probabilities, on the data of the first."""
    trained = ensemble([member.trained for member in members])
    return score_of(trained, members[0].data, split, engine)


def crossed_score(members: Sequence[Member], engine: Engine) -> SplitScore:
    """The score of the runs of all folds together, each on its own val, which is said."""
    parts = [score_of(*member, "val", engine) for member in members]
    say_parts(members, parts)
    return crossed(parts, members[0].data.classes.names)


def score_of(trained: Opened, module: DataModule, split: str, engine: Engine) -> SplitScore:
    """The score of a network in the precision that was typed, or that its training had; the same in all processes."""
    precision, note = device.typed_or_stored(engine.settings.precision, engine.kind, trained.record.precision)
    if note:
        say(note)
    bars = [ScoringBar()] if processes.is_main(engine.processes) else []
    trainer = silent_trainer(
        Trainer,
        engine.processes,
        accelerator=engine.kind,
        devices=engine.settings.devices,
        precision=precision,
        callbacks=[*bars, KeptMemory(engine.kind, module.source(split).sizes)],
        logger=False,
        enable_checkpointing=False,
    )
    network = trained.network.to(device.dtype_of_weights(precision)).to(memory_format=torch.channels_last)
    windows = engine.views.windows(trained.record)
    scorer = Scorer(network, class_names=trained.classes.names, void=module.classes.void, windows=windows)
    return score_split(trainer, scorer, module, split)


def wanted_split(typed: str | None, members: Sequence[Member], other: OtherData, *, cross: bool) -> str:
    """The split on which networks are scored. Raises UserError where several would be scored on images that one of
    them was trained on, but for `train`, and for a cross-validation of what are no folds."""
    if cross and typed not in (None, "val"):
        raise UserError(
            f"split={typed} cross=true: each run of a cross-validation is scored on its val: leave split out"
        )
    split = "val" if cross else typed or members[0].data.final_split
    if split == "val" and other.root is None:
        refuse_changed(members)
    if cross:
        refuse_no_folds(members)
        return CROSS
    if split != "train" and len(members) > 1:
        refuse_seen([members[0], *(member for member in members[1:] if knows(member, other))], split)
    return split


def knows(member: Member, other: OtherData) -> bool:
    """Whether a network may have been trained on the data that are scored: not on those in another folder, unless the
    run's own were moved there."""
    return other.root is None or member.data.fingerprint() == member.trained.record.fingerprint


def steps_of(member: Member, other: OtherData) -> int | None:
    """The steps of the whole training of a network; `None` where the images that it was trained on are not at hand."""
    if "train" not in member.data.splits or not knows(member, other):
        return None
    train = train_settings(member.trained.record.settings["train"])
    return train.total_steps(len(member.data.source("train")), member.data.batch_size)


def request_of(
    typed: list[str], member: Member, split: str, other: OtherData, fits: Mapping[str, bool], labels: int
) -> Request:
    """What was typed for a score, for its report; the data are those of one of its networks."""
    strange = not knows(member, other)
    return Request(
        labels=labels,
        networks=[] if split == CROSS or (split == "train" and not strange) else of_training(typed, member, strange),
        command=f"{COMMAND} {shlex.join(['evaluate', *typed])}",
        root=Path(other.root).resolve() if other.root else None,
        strange=strange,
        without=[name for name, used in fits.items() if not used],
    )


def of_training(typed: list[str], member: Member, strange: bool) -> list[str]:
    """What is typed to score the images of the training in the same way, but for their split."""
    dropped = {"split", "label_problems"} | ({"data.root"} if strange else set())
    lasting = {"run=latest": f"run={member.trained.folder}"}  # the latest is another one soon
    return [lasting.get(word, word) for word, key in zip(typed, typed_keys(typed), strict=True) if key not in dropped]


def folder_name(split: str, members: int, other: OtherData, words: Sequence[str]) -> str:
    """The folder for a score, below `evaluate` in the run folder; `words` say how the network answers, where that is
    not as in its training."""
    names = [disk.file_name(Path(other.root).resolve().name)] if other.root else []
    names.append(split)
    if members > 1:
        names.append(f"{members}" if split == CROSS else f"ensemble-{members}")
    return "-".join([*names, *words])


def say_parts(members: Sequence[Member], parts: Sequence[SplitScore]) -> None:
    """Say what each run of a cross-validation has on its own val."""
    for member, scored in zip(members, parts, strict=True):
        fold, miou = getattr(member.data, "fold", None), scored.result["miou"]
        name = f"{member.trained.folder} ({fold})" if fold else f"{member.trained.folder}"
        say(f"{name}: {counted(scored.result['images'], 'image')}, mIoU {'-' if miou is None else f'{miou:.4f}'}")
    if text := missing_text(members):
        say(text)
    say("val also chose the checkpoint of each run, so this score flatters them")


def say_difference(trained: Opened, module: DataModule, split: str) -> None:
    """Say by what images of another folder differ from those that the network was trained on, if they do."""
    known, source = Pictures.stored(trained.record.pictures), module.source(split)
    here = module.measure(split, IMAGES).pictures
    if known is None or here is None:
        return
    if remark := known.remark(here.kind, here.bits, here.channels, Span(here.low, here.high)):
        say(f"images such as {source.names[0]}: {remark}: the score may be of no use")
