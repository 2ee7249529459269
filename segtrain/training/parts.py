"""From settings to the parts of a training, which fit together, before anything is written."""

import math
from collections.abc import Collection
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from reprlib import repr as short
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np
import torch
from torch import nn

from ..build import Spec, Trust, build_part
from ..data import DataModule
from ..data.files.pictures import Pictures, Span
from ..errors import UserError, from_user
from ..inference.windows import Windows
from ..losses.contract import Loss, as_loss
from ..losses.distillation import Distillation
from ..losses.weights import class_weights
from ..machine import device as machine
from ..machine import processes
from ..report.screen import progress, say, working
from ..runs.record import Record, Settings, without_pretrained
from ..text import enumerated
from .defaults import AUTO
from .encoder import encoder_rate
from .learner import Learner
from .loggers.choice import Open
from .sharded import ShardedLearner
from .teacher import Teacher, open_teacher
from .transfer import take_over
from .trial import (
    GRAPHS,
    refuse_batch,
    refuse_compile,
    refuse_crop,
    refuse_freeze,
    refuse_sharing,
    try_network,
    try_optimizer,
    try_scoring,
)

NAMES = 6  # of classes, in a message
MOST = 1e15  # of anything that is counted, with which a machine can still reckon


@dataclass
class TrainSettings:
    """The `train.` settings: how long, how often."""

    epochs: float  # passes over the training images
    steps: int | None  # steps of the whole training, in place of `epochs`
    validate_epochs: float  # epochs between two validations; the last step is followed by one in any case
    log_steps: int  # steps between two points of the curves
    save_minutes: float  # minutes between two checkpoints; each validation is followed by one in any case
    ema: float | None  # decay of the moving average of the weights
    auxiliary_weight: float  # factor on the loss of the auxiliary head
    compile: bool | str  # whether torch.compile is used, or its mode
    min_steps: int | str | None = None  # steps that few `epochs` are made up to, or `auto`; older runs have none
    correction: bool = False  # whether a prior correction is fitted at the end; runs of older versions have none
    calibration: bool = False  # whether a temperature is fitted after that; runs of older versions have none
    patience: int | None = None  # validations without a better IoU after which the training ends
    freeze_encoder: float | None = None  # epochs in which the encoder stands still
    encoder_lr: float | None = 1.0  # factor on the encoder's rate, `None` by its weights; runs of older versions had 1
    teacher_weight: float = 1.0  # factor on the divergence from a teacher's answers
    teacher_temperature: float = 1.0  # that these answers are softened by
    window: int | None = None  # pixels a side of the windows of larger val images; `None`: whole ones where they fit
    overlap: float | None = None  # of these windows, where they are averaged
    max_minutes: float | None = None  # that the steps may take on the machine on which they begin
    most_steps: int | None = None  # steps of the whole training, at most: those that `max_minutes` leave

    def __post_init__(self) -> None:
        positive = ("epochs", "steps", "validate_epochs", "log_steps", "patience", "freeze_encoder", "encoder_lr")
        for name in (*positive, "teacher_temperature", "max_minutes", "most_steps"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= MOST:
                raise UserError(f"train.{name}={value}: expected a number above 0")
        for name in ("save_minutes", "auxiliary_weight", "min_steps", "teacher_weight"):
            value = getattr(self, name)
            if name == "min_steps" and value == AUTO:
                continue
            if isinstance(value, str):
                raise UserError(f"train.{name}={value}: expected a number, null or {AUTO}")
            if value is not None and not 0 <= value < math.inf:
                raise UserError(f"train.{name}={value}: expected 0 or more")
        if isinstance(self.compile, str) and self.compile != GRAPHS:
            raise UserError(f"train.compile={self.compile}: expected true, false or {GRAPHS}")
        if self.ema is not None and not 0 <= self.ema < 1:
            raise UserError(f"train.ema={self.ema}: expected null, or a decay from 0 to below 1, such as 0.999")

    @property
    def windows(self) -> Windows:
        """How images are scored that do not fit. Raises UserError for windows that are none."""
        return Windows(self.window, self.overlap)

    def total_steps(self, images: int, batch_size: int) -> int:
        """Steps of the whole training."""
        wanted = self.wanted_steps(images, batch_size)
        return min(wanted, self.most_steps or wanted)

    def wanted_steps(self, images: int, batch_size: int) -> int:
        """Steps that it would have with more time."""
        return self.steps or max(self.epoch_steps(images, batch_size), self.floor)

    @property
    def floor(self) -> int:
        """Steps that few epochs are made up to, once that is no longer `auto`."""
        return self.min_steps if isinstance(self.min_steps, int) else 0

    def epoch_steps(self, images: int, batch_size: int) -> int:
        """Steps of so many `epochs`."""
        return math.ceil(self.epochs * images / batch_size)

    def steps_between(self, images: int, batch_size: int) -> int:
        """Steps between two validations: as many validations where `min_steps` makes the epochs up as without, and
        where there is time for a part of the steps alone."""
        stretch = 1.0
        if self.steps is None:
            stretch = max(1.0, self.floor * batch_size / (self.epochs * images))
        between = max(1, round(stretch * self.validate_epochs * images / batch_size))
        wanted, total = self.wanted_steps(images, batch_size), self.total_steps(images, batch_size)
        return between if total == wanted else math.ceil(between * total / wanted)


def train_settings(stored: Settings) -> TrainSettings:
    """Settings of which some may be stored ones, which no signature was held against yet."""
    with from_user(TypeError, where="train: "):
        train = TrainSettings(**stored)
    for field in fields(TrainSettings):
        value = getattr(train, field.name)
        if not isinstance(value, field.type | int):
            raise UserError(f"train.{field.name}={short(value)}: expected {field.type}")
    return train


@dataclass(frozen=True)
class Parts:
    """What a training is made of."""

    settings: Settings
    train: TrainSettings
    trust: Trust | None
    device: str  # `cuda` or `cpu`
    processes: int  # processes on all machines together
    precision: str  # Lightning's name of the precision
    reason: str  # why this precision was chosen, in words
    data: DataModule
    record: Record
    learner: Learner
    steps: int  # steps of the whole training
    open_logger: Open  # what logs besides metrics.csv, once there is a run folder
    choices: str = ""  # what was chosen for a new training, in words

    @property
    def main(self) -> bool:
        """Whether this process is the one that speaks and writes."""
        return processes.is_main(self.processes)

    @property
    def sharded(self) -> bool:
        """Whether each process holds a part of the weights alone."""
        return is_sharded(self.settings)

    @property
    def frozen_steps(self) -> int:
        """Steps in which the encoder stands still: of a training that is cut, the same share."""
        cut = self.steps / self.train.wanted_steps(len(self.data.source("train")), self.data.batch_size)
        return math.ceil((self.train.freeze_encoder or 0) * self.epoch_steps * cut)

    @property
    def epoch_steps(self) -> float:
        """Steps in which as many images are seen as there are."""
        return len(self.data.source("train")) / self.data.batch_size


def build_data(settings: Settings, trust: Trust | None, before: Record | None = None) -> DataModule:
    """The data to train on, whose files are not looked at yet; on resume, augmented as was decided `before`. How many
    are read is shown as they are."""
    same = before is not None and before.settings["augment"] == settings["augment"]
    augment = build_part("augment", before.augment if before and same else settings["augment"], trust)
    with working("opening the data"):
        data = build_part("data", settings["data"], trust, augment=augment, seed=settings["seed"])
    if not isinstance(data, DataModule):
        raise UserError(f"data: {settings['data']['_target_']} makes a {type(data).__name__}, not a DataModule")
    data.progress = progress
    engine = settings["trainer"]
    data.copies = processes.count(engine)[1] // engine.get("num_nodes", 1)
    return data


def refuse_splits(data: DataModule) -> None:
    """Raises UserError if there is nothing to train or to validate on."""
    if not {"train", "val"} <= data.splits.keys():
        if sum(map(len, data.splits.values())) < 2:
            raise UserError(
                "there is a single image with a mask: training needs two or more, one of them to validate on"
            )
        needed = "train and val, as in images/val with masks/val (images without split folders are split by themselves)"
        raise UserError(f"the data have {', '.join(data.splits)} alone: training needs {needed}")


def with_filled_batch(settings: Settings, data: DataModule) -> Settings:
    """The settings with as many images in a batch as there are, and `data` with them, if there are fewer than that."""
    refuse_splits(data)
    images, wanted = len(data.source("train")), data.batch_size
    _, count = processes.count(settings["trainer"])
    shares = settings["trainer"]["accumulate_grad_batches"] * count
    filled = images // shares * shares if shares > 0 else 0
    if not 0 < filled < wanted:
        return settings
    say(
        f"data.batch_size={filled} in place of {wanted}, as there {'is' if images == 1 else 'are'} {images} to train on"
    )
    data.batch_size = filled
    return {**settings, "data": {**settings["data"], "batch_size": filled}}


def refuse_untrainable(train: TrainSettings, data: DataModule, engine: Spec, device: str, count: int) -> None:
    """Raises UserError for what no network could be trained with, before one is built."""
    if train.compile:
        refuse_compile(train.compile, device, engine["accumulate_grad_batches"], count)
    refuse_splits(data)
    refuse_batch(data, engine["accumulate_grad_batches"], count)
    refuse_crop(data)


def assemble(
    settings: Settings,
    data: DataModule,
    trust: Trust | None,
    before: Record | None = None,
    init: str | None = None,
    allow: Collection[str] = (),
) -> Parts:
    """All parts of a training, built and tried out.

    On resume, what the record `before` says of the data and the machine stays. `init` names the run or the checkpoint
    whose weights a new training begins with. `allow` has the names besides segtrain's own that a teacher's file may
    hold, even where the settings were typed.
    """
    train = train_settings(settings["train"])
    engine = settings["trainer"]
    device, count = processes.count(engine)
    precision, reason = precision_of(engine["precision"], device, before)
    refuse_untrainable(train, data, engine, device, count)
    torch.manual_seed(settings["seed"])
    pictures = Pictures.stored(before.pictures) if before else data.measured.pictures
    data.span = pictures and pictures.span()
    model = network_spec(settings["model"], data, trust, before)
    network = build_network(model, trust, data.span)
    try_network(network, data, engine["accumulate_grad_batches"] * count)
    try_scoring(network, data.source("val").sizes, data.channels)
    if is_sharded(settings):
        refuse_sharing(network, engine, precision, train.compile)
    teacher = teacher_of(settings, train, data, pictures, trust or Trust(allow))
    specs = Completed(
        model=model_record(model, network),
        loss=loss_spec(settings["loss"], data, before),
        augment=augment_spec(settings["augment"], data, before),
    )
    record = record_of(settings, specs, precision, data, pictures, teacher, before)
    steps = train.total_steps(len(data.source("train")), data.batch_size)
    learner = build_learner(network, record, train, data, steps, trust, teacher)
    try_optimizer(learner)
    if init is not None:
        take_over(init, network, record, data.classes.names, trust)
    open_logger = build_part("logger", settings["logger"], trust)
    parts = Parts(settings, train, trust, device, count, precision, reason, data, record, learner, steps, open_logger)
    if parts.frozen_steps:
        has_learned = init is not None or before is not None
        refuse_freeze(network, settings["model"], parts.frozen_steps, steps, has_learned=has_learned)
    return parts


class Completed(NamedTuple):
    """Settings of parts, with what they leave open and only the data know."""

    model: Spec
    loss: Spec
    augment: Spec


def record_of(
    settings: Settings,
    specs: Completed,
    precision: str,
    data: DataModule,
    pictures: Pictures | None,
    teacher: Teacher | None,
    before: Record | None,
) -> Record:
    """What the checkpoints of a run say of it."""
    return Record(
        run=before.run if before else uuid4().hex,
        settings=settings,
        model=specs.model,
        loss=specs.loss,
        augment=specs.augment,
        precision=precision,
        classes=data.classes.spec,
        channels=data.channels,
        fingerprint=data.fingerprint(),
        pictures=asdict(pictures) if pictures else None,
        cwd=str(Path.cwd()),
        teacher=teacher.fingerprint if teacher else None,
    )


def is_sharded(settings: Settings) -> bool:
    return settings["trainer"].get("strategy") == "fsdp"


def precision_of(typed: Any, device: str, before: Record | None) -> tuple[str, str]:
    """The precision, and why it is this one; on resume, `auto` is what it was `before`."""
    if before and typed == "auto":
        return before.precision, "as before"
    return machine.resolve(typed, device)


def network_spec(model: Spec, data: DataModule, trust: Trust | None, before: Record | None) -> Spec:
    """The model's settings, with what they leave open and only the data know; on resume, what was known `before`."""
    if before and before.settings["model"] == model:
        return without_pretrained(before.model)
    if before:  # its weights are in the checkpoint
        model = without_pretrained(model)
    elif trust is not None and model != without_pretrained(model):
        reason = "pretrained weights, which are fetched for typed ones alone, and nothing was saved yet"
        advice = "start the run anew with the words in its overrides.txt"
        raise UserError(f"model: the stored settings name {reason}: {advice}")
    known: dict[str, Any] = {}
    if "num_classes" in model and model["num_classes"] is None:
        known["num_classes"] = len(data.classes)
    encoder = model.get("encoder") or {}
    pretrained = encoder.get("weights") is not None
    if encoder.get("in_channels", 0) is None:
        if pretrained and data.channels != 3:
            reason = f"weights={encoder['weights']} are for RGB, but the images have {data.channels} channels"
            advice = "type data.channels=3 (grey is repeated; of more channels, the first are taken)"
            raise UserError(f"model.encoder.{reason}: {advice}")
        known["encoder"] = {**encoder, "in_channels": data.channels}
    if not pretrained:
        left_open = [name for name in ("mean", "std") if name in model and model[name] is None]
        if left_open:
            values = {"mean": data.measured.mean, "std": data.measured.std}
            known.update({name: values[name] for name in left_open})
    return {**model, **known}


def loss_spec(loss: Spec, data: DataModule, before: Record | None) -> Spec:
    """The loss's settings, with what they leave open and only the data know; on resume, what was known `before`."""
    if before and before.settings["loss"] == loss:
        return before.loss
    void = data.classes.void
    result = dict(loss)
    if "ignore_index" in loss:
        if loss["ignore_index"] not in (None, void):
            raise UserError(f"loss.ignore_index={loss['ignore_index']}: void is {void} in these masks: leave it null")
        result["ignore_index"] = void
    weights = loss.get("weights")
    if isinstance(weights, str):
        with from_user():
            pixels = data.some_class_pixels if weights == AUTO else data.class_pixels
            is_void = weights == AUTO and not pixels.any()  # of the masks that were looked at
            result["weights"] = None if is_void else class_weights(pixels, weights)
    elif weights is not None and len(weights) != len(data.classes):
        names = enumerated(data.classes.names, NAMES)
        reason = f"{len(weights)} numbers, but the data have {len(data.classes)} classes ({names})"
        raise UserError(f"loss.weights has {reason}: give one per class, or null")
    return result


def augment_spec(augment: Spec, data: DataModule, before: Record | None) -> Spec:
    """The augmentation's settings, with what they leave open and only the data know; those of `before` on resume."""
    if before and before.settings["augment"] == augment:
        return before.augment
    if augment.get("flip_pairs", ()) is not None:
        return augment
    names = data.classes.names
    return {**augment, "flip_pairs": [[names[one], names[two]] for one, two in data.flip_pairs]}


def build_network(model: Spec, trust: Trust | None, span: Span | None) -> nn.Module:
    """The network, in the order of memory in which convolutions are fastest, for images that fill `span`."""
    try:
        with from_user():
            network = build_part("model", model, trust)
    except (ArithmeticError, RuntimeError, TypeError) as error:
        raise UserError(f"model: it cannot be built from these settings ({error})") from error
    if not isinstance(network, nn.Module):
        raise UserError(f"model: {model['_target_']} makes a {type(network).__name__}, not a torch.nn.Module")
    if span is not None and model.get("mean", 0) is None:
        stretch(network, span)
    return network.to(memory_format=torch.channels_last)


@torch.no_grad()
def stretch(network: nn.Module, span: Span) -> None:
    """Have the mean and std that pretrained weights expect of 0..1 stand for the values that the images fill."""
    low, width = (torch.from_numpy(np.asarray(part, np.float32)).view(1, -1, 1, 1) for part in (span.low, span.width))
    mean, std = network.get_buffer("mean"), network.get_buffer("std")
    mean.copy_(low + width * mean)
    std.copy_(width * std)


def model_record(model: Spec, network: nn.Module) -> Spec:
    """The model's settings for building it again and filling it from a checkpoint: no pretrained weights needed."""
    model = without_pretrained(model)
    if model.get("mean", 0) is None:  # they came with the weights
        for name in ("mean", "std"):
            model[name] = network.get_buffer(name).flatten().tolist()
    return model


def teacher_of(
    settings: Settings, train: TrainSettings, data: DataModule, pictures: Pictures | None, trust: Trust
) -> Teacher | None:
    """The trained network that teaches this one, if the settings name one."""
    path = settings.get("teacher")
    if path is None:
        return None
    loss = Distillation(temperature=train.teacher_temperature, void=data.classes.void)
    return open_teacher(path, data, pictures, trust, loss=loss, weight=train.teacher_weight)


def build_loss(loss: Spec, trust: Trust | None, data: DataModule) -> Loss:
    """The loss, tried on masks with the classes of the data."""
    try:
        with from_user():
            built = build_part("loss", loss, trust)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"loss: it cannot be built from these settings ({error!r})") from error
    return as_loss(built, void=data.classes.void, num_classes=len(data.classes))


def build_learner(
    network: nn.Module,
    record: Record,
    train: TrainSettings,
    data: DataModule,
    steps: int,
    trust: Trust | None,
    teacher: Teacher | None = None,
) -> Learner:
    """The network with its loss, optimiser and schedule."""
    settings = record.settings
    return (ShardedLearner if is_sharded(settings) else Learner)(
        network,
        loss=build_loss(record.loss, trust, data),
        optimizer=build_part("optimizer", settings["optimizer"], trust),
        schedule=build_part("schedule", settings["schedule"], trust),
        steps=steps,
        seed=settings["seed"],
        class_names=data.classes.names,
        void=data.classes.void,
        windows=train.windows,
        auxiliary_weight=train.auxiliary_weight,
        ema=train.ema,
        pieces=settings["trainer"]["accumulate_grad_batches"],
        clip=settings["trainer"]["gradient_clip_val"],
        compile=train.compile,
        encoder_lr=encoder_rate(train.encoder_lr, network, settings["model"]),
        teacher=teacher,
    )
