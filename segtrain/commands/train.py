"""`train`: from settings to a scored network in a run folder."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import yaml
from lightning.pytorch import Trainer
from torch import nn

from .. import callbacks, checkpoint, precision, runs
from ..build import build
from ..data import DataModule
from ..learner import Learner
from ..losses import class_weights
from ..precision import Precision
from ..report import log_to, say
from .evaluate import report_score

Spec = dict[str, Any]
MOSAIC_IMAGES = 4
OWN = {  # what the program decides, by the group whose target would take it
    "data": {"augment", "seed"},
    "trainer": {
        *("max_steps", "max_epochs", "max_time", "val_check_interval", "check_val_every_n_epoch"),
        *("num_sanity_val_steps", "use_distributed_sampler", "gradient_clip_algorithm", "default_root_dir"),
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
            if value is not None and value < least:
                raise ValueError(f"train.{name}={value}: expected {'a number above 0' if least else '0 or more'}")
        if self.ema is not None and not 0 <= self.ema < 1:
            raise ValueError(f"train.ema={self.ema}: expected null, or a decay from 0 to below 1, such as 0.999")


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
    trainer: Annotated[Spec, {"precision": Precision}],
) -> None:
    """Train a network, score its best checkpoint on the held-out split, and say how to go on.

    Args:
        name: of the data and the model, for the run folder.
        typed: the words on the command line.
    """
    parts = {"data": data, "model": model, "loss": loss, "optimizer": optimizer, "schedule": schedule}
    settings = {"name": name, "seed": seed, "train": asdict(train), **parts, "augment": augment, "trainer": trainer}
    if resume is None:
        Training(settings, trust=None).start(run_dir, init, typed)
        return
    folder, file = runs.resumable(resume)
    content = checkpoint.read(file)
    record = checkpoint.record_of(content)
    settings = runs.settled(record["settings"], settings, typed, allow_changes=allow_changes)
    if content[checkpoint.RECORD]["finished"] and runs.same_result(settings, record["settings"]):
        say(f"{folder} is finished: nothing is changed; {runs.COMMAND} evaluate run={folder} scores it")
        return
    training = Training(settings, trust=checkpoint.trusted(allow), before=record)
    training.go_on(folder, file, content, allow_changes=allow_changes)


class Training:
    """One training with all its parts; all is built before anything is written.

    Args:
        settings: as composed.
        trust: the `_target_` names that `settings` may hold, or `None` for any.
        before: the record of the run that is resumed; what it found out about data and machine stays.
    """

    def __init__(self, settings: Spec, trust: frozenset[str] | None, before: Spec | None = None) -> None:
        precision.quiet()
        for group, names in OWN.items():
            for name in names & settings[group].keys():
                raise ValueError(f"{group}.{name} is decided by segtrain: leave it out (train.* says how long)")
        self.settings, self.trust, self.before = settings, trust, before
        self.train = Settings(**settings["train"])
        torch.manual_seed(settings["seed"])
        self.data = open_data(settings, trust)
        self.device = precision.device_type(settings["trainer"]["accelerator"], settings["trainer"]["devices"])
        self.precision, self.reason = precision.resolve(settings["trainer"]["precision"], self.device)
        if before and settings["trainer"]["precision"] == "auto":
            self.precision, self.reason = before["precision"], "as before"
        spec = network_spec(settings["model"], self.data, before)
        self.network: nn.Module = build(spec, trust).to(memory_format=torch.channels_last)
        self.pieces = settings["trainer"]["accumulate_grad_batches"]
        self.epoch_steps = len(self.data.source("train")) / self.data.batch_size
        self.steps = self.train.steps or math.ceil(self.train.epochs * self.epoch_steps)
        self.record = {
            "settings": settings,
            "model": without_download(spec, self.network),
            "loss": loss_spec(settings["loss"], self.data, before),
            "precision": self.precision,
            "classes": self.data.classes.spec,
            "fingerprint": self.data.fingerprint(),
        }
        self.learner = self._learner()

    def start(self, run_dir: str | None, init: str | None, typed: list[str]) -> None:
        """Train from the beginning, in a new run folder."""
        if init is not None:
            file = runs.named_file(init, "best", "init")
            initialise(self.network, checkpoint.weights_of(checkpoint.read(file)))
        folder = runs.create(self.settings["name"], run_dir)
        (folder / "config.yaml").write_text(yaml.safe_dump(self.settings, sort_keys=False, allow_unicode=True))
        (folder / "overrides.txt").write_text("".join(f"{word}\n" for word in typed))
        runs.write_environment(folder, precision.device_name(self.device), self.record["fingerprint"])
        self.fit(folder, None)

    def go_on(self, folder: Path, file: Path, content: Spec, *, allow_changes: bool) -> None:
        """Continue an interrupted run where its checkpoint was written."""
        assert self.before is not None
        if self.before["fingerprint"] != self.record["fingerprint"] and not allow_changes:
            raise ValueError(
                f"resume={folder}: the data are not those of the run (names, sizes or classes differ); "
                "restore them, or add allow_changes=true"
            )
        self.data.batches_done = checkpoint.batches_done(content)
        self.fit(folder, file, first_step=content["global_step"] + 1)

    def fit(self, folder: Path, resume_from: Path | None, first_step: int | None = None) -> None:
        """Train to the end from the fresh network or a checkpoint, whose next step is `first_step`; then score."""
        with log_to(folder / "log.txt"):
            say(self.headline(folder, resume_from))
            say(f"watch it: {runs.tensorboard()} --logdir {folder}")
            trainer = self._trainer(folder, first_step)
            self._fit(trainer, folder, resume_from)
            self._score(trainer, folder)
            say(f"next: {runs.COMMAND} predict run={folder} images=YOUR_IMAGES")

    def _fit(self, trainer: Trainer, folder: Path, resume_from: Path | None) -> None:
        try:
            trainer.fit(self.learner, datamodule=self.data, ckpt_path=resume_from, weights_only=True)
        except SystemExit:  # Lightning's answer to Ctrl-C
            saved = (folder / "checkpoints" / "last.ckpt").exists()
            say("stopped; " + (f"go on: {runs.COMMAND} train resume={folder}" if saved else "nothing was saved yet"))
            raise KeyboardInterrupt from None

    def _score(self, trainer: Trainer, folder: Path) -> None:
        """The final score: of the best checkpoint, on the held-out split."""
        best = checkpoint.read(folder / "checkpoints" / "best.ckpt")
        self.learner.scored.load_state_dict(checkpoint.weights_of(best))
        split = self.data.final_split
        score = report_score(trainer, self.learner, self.data, split, folder / "evaluate" / split)
        if split == "test" and score["miou"] is not None:
            self.learner.publish({"IoU/test": score["miou"]})
            for logger in trainer.loggers:
                logger.save()

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
        return Learner(
            self.network,
            loss=build(self.record["loss"], self.trust),
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

    def _trainer(self, folder: Path, first_step: int | None) -> Trainer:
        """Lightning's trainer, counting steps, with our loggers, callbacks and checkpoints."""
        val = len(self.data.source("val"))
        shown = [round((i + 0.5) * val / MOSAIC_IMAGES - 0.5) for i in range(MOSAIC_IMAGES)]
        return build(
            {**self.settings["trainer"], "accelerator": self.device, "precision": self.precision},
            self.trust,
            max_steps=self.steps,
            max_epochs=-1,
            val_check_interval=self.pieces * max(1, round(self.train.validate_epochs * self.epoch_steps)),
            check_val_every_n_epoch=None,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=folder,
            plugins=[checkpoint.SyncedIO()],
            logger=[
                callbacks.TensorBoard(folder, first_step),
                callbacks.MetricsTable(folder / "metrics.csv", callbacks.tags(self.data.classes.names), first_step),
            ],
            callbacks=[
                callbacks.Curves(self.train.log_steps, self.data.batch_size),
                callbacks.Mosaic(self.data.classes, shown),
                callbacks.ProgressBar(self.epoch_steps),
                callbacks.ScoringBar(),
                checkpoint.Checkpoint(folder / "checkpoints", record=self.record, save_minutes=self.train.save_minutes),
            ],
        )


def open_data(settings: Spec, trust: frozenset[str] | None) -> DataModule:
    """The data to train on.

    Raises:
        ValueError: if there is nothing to train or to validate on, or if the batch has no such pieces.
    """
    augment = build(settings["augment"], trust)
    data: DataModule = build(settings["data"], trust, augment=augment, seed=settings["seed"])
    if not {"train", "val"} <= data.splits.keys():
        raise ValueError(
            f"the data have {', '.join(data.splits)} alone: training needs train and val, as in images/val with "
            "masks/val (images without split folders are split by themselves)"
        )
    pieces = settings["trainer"]["accumulate_grad_batches"]
    if pieces < 1 or data.batch_size % pieces:
        raise ValueError(
            f"trainer.accumulate_grad_batches={pieces}: data.batch_size={data.batch_size} cannot be computed in so "
            "many equal pieces"
        )
    return data


def network_spec(model: Spec, data: DataModule, before: Spec | None) -> Spec:
    """The model's settings, with what they leave open and only the data know; on resume, what was known `before`."""
    if before and before["settings"]["model"] == model:
        return before["model"]
    known: Spec = {}
    if "num_classes" in model and model["num_classes"] is None:
        known["num_classes"] = len(data.classes)
    pretrained = (model.get("encoder") or {}).get("weights") is not None
    if "mean" in model and model["mean"] is None and not pretrained:
        known["mean"], known["std"] = data.statistics()
    return {**model, **known}


def loss_spec(loss: Spec, data: DataModule, before: Spec | None) -> Spec:
    """Likewise for the loss."""
    if before and before["settings"]["loss"] == loss:
        return before["loss"]
    known: Spec = {}
    if "ignore_index" in loss and loss["ignore_index"] is None:
        known["ignore_index"] = data.classes.void
    if isinstance(loss.get("weights"), str):
        known["weights"] = class_weights(data.class_pixels(), loss["weights"])
    return {**loss, **known}


def without_download(spec: Spec, network: nn.Module) -> Spec:
    """The model's settings for building it again and filling it from a checkpoint: no pretrained weights needed."""
    spec = dict(spec)
    if spec.get("mean", 0) is None:
        spec["mean"], spec["std"] = (network.get_buffer(name).flatten().tolist() for name in ("mean", "std"))
    if (spec.get("encoder") or {}).get("weights") is not None:
        spec["encoder"] = {**spec["encoder"], "weights": None}
    return spec


def initialise(network: nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Load what fits; tensors that are missing or have another shape keep their fresh values, and are named."""
    own = network.state_dict()
    fitting = {name: w for name, w in weights.items() if name in own and own[name].shape == w.shape}
    if not fitting:
        raise ValueError("init: no tensor of that checkpoint fits this network; is it another architecture?")
    network.load_state_dict(fitting, strict=False)
    fresh = [name for name in own if name not in fitting]
    say(f"init: {len(fitting)} of {len(own)} tensors loaded" + (f"; fresh: {', '.join(fresh)}" if fresh else ""))
