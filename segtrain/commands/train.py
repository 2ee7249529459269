"""`train`: from settings to a scored network in a run folder."""

import math
import os
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import uuid4

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer

from .. import disk, inspection
from ..build import build
from ..data.public import provide
from ..errors import UserError, from_user
from ..machine import device as precision
from ..machine import processes
from ..machine.device import Devices, Precision
from ..machine.signals import Stopped, leave_to_us
from ..report.screen import COMMAND, be_quiet, log_to, say, tensorboard
from ..runs import folder as runs
from ..runs import restore, trained
from ..runs import resume as resuming
from ..training import callbacks, checkpoint
from ..training import parts as assembly
from ..training.learner import Diverged, Learner
from .evaluate import report_score, score_split

Spec = dict[str, Any]
MOSAIC_IMAGES = 4
OWN = {  # what the program decides, by the group whose target would take it
    "data": {"augment", "seed"},
    "trainer": {
        *("max_steps", "max_epochs", "max_time", "val_check_interval", "check_val_every_n_epoch"),
        *("num_sanity_val_steps", "use_distributed_sampler", "gradient_clip_algorithm", "default_root_dir"),
        *("fast_dev_run", "overfit_batches", "limit_train_batches", "limit_val_batches", "limit_test_batches"),
        *("min_steps", "min_epochs", "barebones", "reload_dataloaders_every_n_epochs", "log_every_n_steps"),
        *("enable_progress_bar", "enable_model_summary", "enable_checkpointing", "logger", "callbacks", "plugins"),
    },
}


@dataclass
class Settings:
    """The `train.` settings: how long, how often.

    Attributes:
        epochs: passes over the training images.
        steps: optimiser steps; replaces `epochs`.
        validate_epochs: between two validations; there is one at the end in any case.
        log_steps: between two points of the curves.
        save_minutes: between two saves, beside those after each validation.
        ema: decay of the moving average of the weights; `None` for none.
        auxiliary_weight: of the loss of the auxiliary head.
        compile: the network, with torch.compile.
    """

    epochs: float
    steps: int | None
    validate_epochs: float
    log_steps: int
    save_minutes: float
    ema: float | None
    auxiliary_weight: float
    compile: bool

    def __post_init__(self) -> None:
        above_zero = ("epochs", "steps", "validate_epochs", "log_steps")
        for name, least in {**dict.fromkeys(above_zero, 1e-9), "save_minutes": 0, "auxiliary_weight": 0}.items():
            value = getattr(self, name)
            if value is not None and not least <= value < math.inf:
                raise UserError(f"train.{name}={value}: expected {'a number above 0' if least else '0 or more'}")
        if self.ema is not None and not 0 <= self.ema < 1:
            raise UserError(f"train.ema={self.ema}: expected null, or a decay from 0 to below 1, such as 0.999")


def train(
    *,
    name: str,
    typed: list[str],
    seed: int,
    train: Settings,
    run_dir: str | None,
    resume: str | None,
    init: str | None,
    allow_changes: bool,
    allow: list[str],
    data: Spec,
    model: Annotated[Spec, {"num_classes": int | None}],
    loss: Annotated[Spec, {"weights": Sequence[float] | str | None}],
    optimizer: Spec,
    schedule: Spec,
    augment: Spec,
    trainer: Annotated[Spec, {"precision": Precision, "devices": Devices, "strategy": Literal["auto", "ddp"]}],
) -> int:
    """Train a network, score its best checkpoint on the held-out split, and say how to go on.

    Args:
        name: of the data and the model, for the run folder.
        typed: the words on the command line.

    Returns:
        The exit status: 3 if the end could not be saved.
    """
    processes.end_with_parent()
    parts = {"data": data, "model": model, "loss": loss, "optimizer": optimizer, "schedule": schedule}
    settings = {"name": name, "seed": seed, "train": asdict(train), **parts, "augment": augment, "trainer": trainer}
    if resume is None:
        return start(settings, run_dir, init, typed)
    return go_on(resume, settings, typed, allow, allow_changes=allow_changes)


def start(settings: Spec, run_dir: str | None, init: str | None, typed: list[str]) -> int:
    """Train from the beginning, in a new run folder."""
    training = Training(settings, trust=None)
    training.initialise(init)
    if not training.main:
        return training.fit(None, None)
    folder = runs.create(settings["name"], run_dir)
    with runs.lock(folder):
        disk.write(folder / "overrides.txt", "".join(f"{word}\n" for word in typed))
        runs.write_settings(folder, {**settings, "init": init})
        runs.point_latest(folder)
        return training.fit(folder, None)


def go_on(resume: str, settings: Spec, typed: list[str], allow: list[str], *, allow_changes: bool) -> int:
    """Continue a run where it was saved last, or from its settings if it never was."""
    folder, files = resuming.resumable(resume)
    disk.stay_inside(folder, *(folder / name for name in runs.WRITTEN))
    with runs.lock(folder) if processes.is_main(2) else nullcontext():
        saved = usable(files, folder)
        record = restore.record_of(saved[1]) if saved else {"settings": runs.read_settings(folder)}
        refuse_strange(record, settings, saved=saved is not None)
        init = record["settings"].pop("init", None)
        settings = resuming.settled(record["settings"], settings, typed, allow_changes=allow_changes)
        trust = trained.trusted(allow)
        if saved is None:
            training = Training(settings, trust)
            training.initialise(init)
            return training.fit(folder, None)
        file, content = saved
        unchanged = resuming.same_result(settings, record["settings"])
        training = Training(settings, trust, before=record)
        if record["fingerprint"] != training.record["fingerprint"] and not allow_changes:
            raise UserError(
                f"resume={folder}: the data are not those of the run (names, sizes or classes differ); "
                "restore them, or add allow_changes=true"
            )
        if content[restore.RECORD]["finished"] and unchanged and training.is_scored(folder):
            say(f"{folder} is finished: nothing is changed; {COMMAND} evaluate run={folder} scores it")
            return 0
        assembly.refuse_misfit(training.learner, content)
        training.data.batches_done = checkpoint.batches_done(content)
        return training.fit(folder, file, first_step=content["global_step"] + 1)


def refuse_strange(record: Spec, composed: Spec, *, saved: bool) -> None:
    """Raises UserError for a run, which may come from anyone, that lacks what a training notes, or gives Lightning
    more than segtrain does."""
    parts = record["settings"] if isinstance(record["settings"], dict) else {}
    if runs.PARTS - parts.keys() or (saved and {"loss", "precision", "fingerprint"} - record.keys()):
        raise UserError("the checkpoint holds no training to go on with; init= starts a new run from its weights")
    for name in parts["trainer"]:
        if name not in composed["trainer"]:
            raise UserError(f"the run was begun with trainer.{name}: type +trainer.{name}=... to go on with it")


def usable(files: Sequence[Path], folder: Path) -> tuple[Path, Spec] | None:
    """The first of a run's checkpoints that can be read and is its own; `None` if there is none yet.

    Raises:
        UserError: if there are some, and none is good.
    """
    problem = None
    for file in files:
        try:
            content = restore.read(file)
            run, own = restore.record_of(content).get("run"), runs.identity(folder)
            if own is not None and run != own:
                raise UserError(f"{file}: the checkpoint of another run ({run}; this one is {own})")
        except UserError as error:
            problem = problem or error
            continue
        if problem:
            say(f"{problem}: going on from {file.name}, the one before it")
        return file, content
    if problem:
        raise problem
    return None


class Training:
    """One training with all its parts; all is built before anything is written.

    Args:
        settings: as composed.
        trust: the `_target_` names that `settings` may hold, or `None` for any.
        before: the record of the run that is resumed; what it found out about data and machine stays.

    Attributes:
        main: whether this process is the one that speaks and writes.
    """

    def __init__(self, settings: Spec, trust: frozenset[str] | None, before: Spec | None = None) -> None:
        precision.quiet()
        for group, names in OWN.items():
            for name in names & settings[group].keys():
                raise UserError(f"{group}.{name} is decided by segtrain: leave it out (train.* says how long)")
        self.settings, self.trust = settings, trust
        self.train = Settings(**settings["train"])
        engine = settings["trainer"]
        clip = engine["gradient_clip_val"]
        if clip is not None and clip < 0:
            raise UserError(f"trainer.gradient_clip_val={clip}: expected null, or 0 or more")
        self.device, self.processes = processes.count(engine)
        self.main = processes.is_main(self.processes)
        if not self.main:
            be_quiet()
        if not before:  # stored settings, which may be a stranger's, open no connection
            provide(settings["data"])
        inspection.before_training(settings["data"])
        self.data = assembly.open_data(settings, trust, self.processes)
        torch.manual_seed(settings["seed"])
        self.skipped = getattr(self.data, "skipped", [])
        self.precision, self.reason = precision.resolve(engine["precision"], self.device)
        if before and engine["precision"] == "auto":
            self.precision, self.reason = before["precision"], "as before"
        spec = assembly.network_spec(settings["model"], self.data, before)
        if before:
            spec = trained.without_download(spec)
        self.network = assembly.build_network(spec, trust)
        self.pieces = engine["accumulate_grad_batches"]
        assembly.try_out(self.network, self.data, self.pieces * self.processes)
        self.epoch_steps = len(self.data.source("train")) / self.data.batch_size
        self.steps = self.train.steps or math.ceil(self.train.epochs * self.epoch_steps)
        self.record = {
            "run": (before or {}).get("run") or uuid4().hex,
            "settings": settings,
            "model": assembly.model_record(spec, self.network),
            "loss": assembly.loss_spec(settings["loss"], self.data, before),
            "precision": self.precision,
            "classes": self.data.classes.spec,
            "fingerprint": self.data.fingerprint(),
        }
        self.learner = self._learner()
        assembly.try_optimizer(self.learner.make_optimizer, self.learner.schedule, self.steps)

    def initialise(self, init: str | None) -> None:
        """Begin with the weights of another run or checkpoint, where they fit."""
        if init is not None:
            file = runs.named_file(init, "best", "init")
            assembly.initialise(self.network, restore.weights_of(restore.read(file)))

    def is_scored(self, folder: Path) -> bool:
        return (folder / "evaluate" / self.data.final_split / "metrics.json").exists()

    def fit(self, folder: Path | None, resume_from: Path | None, first_step: int | None = None) -> int:
        """Train to the end from the fresh network or a checkpoint, whose next step is `first_step`; then score.

        Args:
            folder: of the run; `None` in processes that do not write.

        Returns:
            The exit status.
        """
        folder = folder or Path(os.devnull)
        with log_to(folder / "log.txt") if self.main else nullcontext():
            if self.main:
                disk.clear(folder)
                (folder / "checkpoints").mkdir(exist_ok=True)
                device = precision.device_name(self.device)
                runs.write_environment(folder, self.record["run"], device, self.record["fingerprint"])
                if self.skipped:
                    disk.write(folder / "skipped.csv", inspection.findings_csv(self.skipped))
            say(self.headline(folder, resume_from))
            if self.data.cache_bytes:
                say(f"data.cache=ram: up to {self.data.cache_bytes / 2**30:.1f} GiB of memory, which workers share")
            if self.skipped:
                say(f"data.on_bad=skip: {len(self.skipped)} errors in the data; without what skipped.csv lists there")
            say(f"watch it: {tensorboard()} --logdir {folder}")
            minutes = self.train.save_minutes
            keeper = checkpoint.Checkpoint(folder / "checkpoints", record=self.record, save_minutes=minutes)
            trainer = self._trainer(folder, first_step, keeper)
            self._fit(trainer, folder, resume_from)
            self._score(trainer, folder)
            say(f"next: {COMMAND} predict run={folder} images=YOUR_IMAGES")
            if keeper.failed:
                say(f"the last checkpoint could not be written: {folder} holds an earlier state")
            return 3 if keeper.failed else 0

    def _fit(self, trainer: Trainer, folder: Path, resume_from: Path | None) -> None:
        """Lightning's loop; where it ends too early, how to go on."""
        try:
            trainer.fit(self.learner, datamodule=self.data, ckpt_path=resume_from, weights_only=True)
        except Diverged as error:
            raise UserError(f"{error}: {self.circumstances(error.step)}") from None
        except (Exception, Stopped) as error:
            if (folder / "checkpoints" / "last.ckpt").exists():
                say(
                    f"stopped; go on{'' if isinstance(error, Stopped) else ' once it is mended'}: "
                    f"{COMMAND} train resume={folder}"
                )
            if isinstance(error, Stopped) and not self.main:
                raise SystemExit(0) from None  # the first process has the status; another one's would kill it
            raise

    def circumstances(self, step: int) -> str:
        """Of a loss that is not finite: what was computed, and what to try."""
        names = self.data.names_in_batch(step)
        shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
        rate = self.settings["optimizer"].get("lr")
        return (
            f"images {shown}; optimizer.lr={rate}, {self.precision}; no checkpoint from after it was written; "
            "try a lower optimizer.lr, trainer.gradient_clip_val=1 or trainer.precision=32-true"
        )

    def _score(self, trainer: Trainer, folder: Path) -> None:
        """The final score: of the best checkpoint, on the held-out split."""
        file = folder / "checkpoints" / "best.ckpt"
        best = restore.weights_of(restore.read(file)) if self.main and file.exists() else None
        best = trainer.strategy.broadcast(best)
        if best is None:
            say("no checkpoint could be written, so there is none to score")
            return
        self.learner.scored.load_state_dict(best)
        split = self.data.final_split
        result = score_split(trainer, self.learner, self.data, split)
        if split == "test" and result["miou"] is not None:
            self.learner.publish({"IoU/test": result["miou"]})
            for logger in trainer.loggers:
                logger.save()
        if self.main:
            report_score(result, self.learner.matrix, self.data, folder / "evaluate" / split)

    def headline(self, folder: Path, resume_from: Path | None) -> str:
        """What is trained on what, in one line."""
        images = ", ".join(f"{len(source)} {split}" for split, source in self.data.splits.items())
        millions = sum(p.numel() for p in self.network.parameters()) / 1e6
        height, width = self.data.crop
        return (
            f"{'going on with' if resume_from else 'training'} {self.settings['name']}: {images} images, "
            f"{len(self.data.classes)} classes; {millions:.2f} M parameters; {self.device}, {self.precision} "
            f"({self.reason}); batch {self.data.batch_size} of {height} x {width}; {self.steps} steps = "
            f"{self.steps / self.epoch_steps:.1f} epochs; {folder}"
        )

    def _learner(self) -> Learner:
        """The network with its loss, optimiser and schedule."""
        classes = self.data.classes
        with from_user():
            loss = build(self.record["loss"], self.trust)
        return Learner(
            self.network,
            loss=loss,
            optimizer=build(self.settings["optimizer"], self.trust),
            schedule=build(self.settings["schedule"], self.trust),
            steps=self.steps,
            seed=self.settings["seed"],
            class_names=classes.names,
            void=classes.void,
            auxiliary_weight=self.train.auxiliary_weight,
            ema=self.train.ema,
            compile=self.train.compile,
        )

    def _trainer(self, folder: Path, first_step: int | None, keeper: checkpoint.Checkpoint) -> Trainer:
        """Lightning's trainer, counting steps, with our loggers, callbacks and checkpoints."""
        val = len(self.data.source("val"))
        shown = [round((i + 0.5) * val / MOSAIC_IMAGES - 0.5) for i in range(MOSAIC_IMAGES)]
        spec = {**self.settings["trainer"], "accelerator": self.device, "precision": self.precision}
        tags = callbacks.tags(self.data.classes.names)
        settings = {**spec, "strategy": processes.strategy(self.processes)}
        with from_user(MisconfigurationException, ValueError):
            trainer: Trainer = build(
                settings,
                self.trust,
                max_steps=self.steps,
                max_epochs=-1,
                val_check_interval=self.pieces * max(1, round(self.train.validate_epochs * self.epoch_steps)),
                check_val_every_n_epoch=None,
                num_sanity_val_steps=0,
                use_distributed_sampler=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                default_root_dir=os.devnull,  # where Lightning looks for checkpoints of its own
                plugins=[keeper.io, *processes.environment()],
                logger=[
                    callbacks.TensorBoard(folder, first_step),
                    callbacks.MetricsTable(folder / "metrics.csv", tags, first_step),
                ]
                if self.main
                else False,
                callbacks=[
                    callbacks.Curves(self.train.log_steps, self.data.batch_size),
                    callbacks.Mosaic(self.data.classes, shown),
                    *([callbacks.ProgressBar(self.epoch_steps), callbacks.ScoringBar()] if self.main else []),
                    keeper,
                ],
            )
        leave_to_us(trainer)
        return trainer
