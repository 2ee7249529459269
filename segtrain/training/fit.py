"""The training itself, from its first step to its final score."""

import shlex
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import Logger
from torch import Tensor

from .. import disk
from ..build import Spec, build_part
from ..data import DataModule
from ..data.files.pictures import Pictures
from ..errors import UserError, from_user
from ..machine import device
from ..machine.signals import Stopped
from ..report.screen import COMMAND, log_to, say
from ..runs.corrected import correct
from ..runs.folder import write_environment
from ..runs.metrics_csv import FINAL
from ..runs.recipe import changes
from ..runs.record import Record
from ..runs.restore import read_checkpoint, weights_of
from ..runs.temperature import soften
from ..scoring.reporting import Request
from ..scoring.scorer import report_score, score_split, silent_trainer
from ..scoring.verdict import Verdict, next_command, remedies
from ..text import counted, enumerated
from .calibration import fit_temperature
from .callbacks import Curves, Doubts, ProgressBar, ScoringBar, Waiting
from .checkpoint import Checkpoint, store_fitted
from .correction import fit_correction
from .defaults import AUTO
from .divergence import Diverged
from .encoder import Freeze, encoder_of
from .hyperparameters import hyperparameters
from .kernels import TriedKernels
from .loggers.choice import LoggedRun, typed_word
from .loggers.table import MetricsTable, tags
from .memory import KeptMemory, sizes_of
from .parts import Parts
from .pictures import ClassCurves, ConfusionPicture, FirstBatch, Mosaic

MOSAIC_IMAGES = 4
PAIRS, NAMES = 6, 8  # of classes, and of images in a batch, that are said
MUCH = 1 << 27  # bytes of decoded images, which are said
LABEL_PROBLEMS = 3  # images that are listed at the end, for which four times as many are computed again, at most


def fit(parts: Parts, folder: Path | None, checkpoint: Path | None = None, first_step: int | None = None) -> int:
    """Train to the end, score, and return the exit status: 3 if the end could not be saved.

    Args:
        folder: Run folder; `None` in processes that do not write.
        checkpoint: File to go on from; `None` for the fresh network.
        first_step: Next step after that checkpoint.
    """
    checkpoints = None
    with log_to(folder / "log.txt") if folder else nullcontext():
        if folder:
            disk.clear(folder)
            checkpoints = folder / "checkpoints"
            checkpoints.mkdir(exist_ok=True)
            name, changed = device.device_name(parts.device), changes(folder, parts.record)
            write_environment(folder, parts.record, name, changed)
            for line in opening(parts, folder, resumed=checkpoint is not None):
                say(line)
        save_minutes, patience = parts.train.save_minutes, parts.train.patience
        keeper = Checkpoint(checkpoints, record=parts.record, save_minutes=save_minutes, patience=patience)
        trainer = build_trainer(parts, folder, first_step, keeper)
        run_steps(parts, trainer, folder, checkpoint)
        verdict = final_score(parts, trainer, folder)
        if folder is None:
            return 0
        for line in next_steps(parts, folder, verdict):
            say(line)
        if not keeper.failed:
            return 0
        say(f"the last checkpoint could not be written: {folder} holds an earlier state")
        return 3


def run_steps(parts: Parts, trainer: Trainer, folder: Path | None, checkpoint: Path | None) -> None:
    """Lightning's loop. Where it ends too early, it is said how to go on."""
    try:
        trainer.fit(parts.learner, datamodule=parts.data, ckpt_path=checkpoint, weights_only=True)
    except Diverged as error:
        raise UserError(f"{error}: {circumstances(parts, error.step)}") from None
    except (Exception, Stopped) as error:
        if folder and (folder / "checkpoints" / "last.ckpt").exists():
            condition = "" if isinstance(error, Stopped) else " once it is mended"
            words = " ".join([shlex.quote(f"resume={folder}"), typed_word(parts.settings["logger"])]).rstrip()
            say(f"stopped; go on{condition}: {COMMAND} train {words}")
        if isinstance(error, Stopped) and not folder:
            raise SystemExit(0) from None  # the first process has the status; another one's would kill it
        raise


def final_score(parts: Parts, trainer: Trainer, folder: Path | None) -> Verdict | None:
    """What the best checkpoint's score on the held-out split says; all processes take part, the first one writes."""
    best = None
    if folder and (folder / "checkpoints" / "best.ckpt").exists():
        best = weights_of(read_checkpoint(folder / "checkpoints" / "best.ckpt"))
    best = trainer.strategy.broadcast(best)
    if best is None:
        say("no checkpoint could be written, so there is none to score")
        return None
    learner, split = parts.learner, parts.data.final_split
    learner.scored.load_state_dict(best)
    record = fitted(parts, trainer)
    score = score_split(trainer, learner, parts.data, split)
    if score.result["miou"] is not None:
        learner.publish({FINAL[split]: score.result["miou"]})
        for logger in trainer.loggers:
            logger.save()
    if folder is None:
        return None
    store_fitted(folder / "checkpoints" / "best.ckpt", record.correction, record.temperature)
    request = Request(LABEL_PROBLEMS, [f"run={folder}"])
    return report_score(score, parts.data, folder / "evaluate" / split, folder, record, parts.steps, request)


def fitted(parts: Parts, trainer: Trainer) -> Record:
    """What is noted of the run, with what was fitted on val; the network that is scored answers by it from now on."""
    network, windows = parts.learner.scored, parts.learner.windows
    correction, temperature = None, None
    if parts.train.correction:
        correction = fit_correction(trainer, network, parts.data, parts.record.loss, windows)
    if correction:
        correct(network, correction)
    if parts.train.calibration:
        temperature = fit_temperature(trainer, network, parts.data, windows)
    soften(network, temperature)
    return replace(parts.record, correction=correction, temperature=temperature)


def next_steps(parts: Parts, folder: Path, verdict: Verdict | None) -> list[str]:
    """How to go on: to the prediction, but of a network that is not worth it yet, first to another training."""
    run = shlex.quote(f"run={folder}")
    predict = f"{COMMAND} predict {run} images=YOUR_IMAGES"
    tries = remedies(verdict, parts.record, parts.steps) if verdict and verdict.serious else []
    overrides = folder / "overrides.txt"
    if not tries or not overrides.is_file():
        return [f"next: {predict}"] if "root" in parts.settings["data"] else after_generated(run)
    typed = overrides.read_text(encoding="utf-8").splitlines()
    words, _ = tries[0]
    return [f"next: {COMMAND} {next_command(typed, words)}", f"to see what it does so far: {predict}"]


def after_generated(run: str) -> list[str]:
    """What can be typed as it stands after a training on generated images, and what with a folder of one's own."""
    rows = [
        (f"evaluate {run} split=val", "scores and a report on other images"),
        (f"export {run} format=safetensors", "the network in one file, for Python and other programs"),
        ("models", "other networks, with what they cost"),
    ]
    width = max(len(words) for words, _ in rows)
    lines = [f"next: {COMMAND} {words:{width}}  # {what}" for words, what in rows]
    return [*lines, f"with your own images: {COMMAND} check data.root=FOLDER"]


def build_trainer(parts: Parts, folder: Path | None, first_step: int | None, keeper: Checkpoint) -> Trainer:
    """Lightning's trainer, counting steps, with our loggers, callbacks and checkpoints."""
    steps_between = parts.train.steps_between(len(parts.data.source("train")), parts.data.batch_size)
    loggers = open_loggers(parts, folder, first_step) if folder else []
    waiting = Waiting()
    with from_user(MisconfigurationException, ValueError):
        return silent_trainer(
            partial(build_part, "trainer", without_step(parts.settings["trainer"]), parts.trust),
            parts.processes,
            plugins=[keeper.io],
            sharded=parts.sharded,
            accelerator=parts.device,
            precision=parts.precision,
            max_steps=parts.steps,
            max_epochs=-1,
            val_check_interval=steps_between,
            check_val_every_n_epoch=None,
            num_sanity_val_steps=0,
            logger=loggers,
            profiler=waiting,
            callbacks=[*callbacks(parts, folder, waiting), keeper],
        )


def open_loggers(parts: Parts, folder: Path, first_step: int | None) -> list[Logger]:
    """The logger that the settings choose, which is told the hyper-parameters, and `metrics.csv`."""
    table = MetricsTable(folder / "metrics.csv", tags(parts.data.classes.names), first_step)
    chosen = parts.open_logger(LoggedRun(folder, parts.record.run, parts.settings["name"], first_step))
    chosen.log_hyperparams(hyperparameters(parts, folder))
    return [chosen, table]


def without_step(settings: Spec) -> Spec:
    """Settings for Lightning's trainer, without those of a step, which the learner takes."""
    return {**settings, "accumulate_grad_batches": 1, "gradient_clip_val": None}


def callbacks(parts: Parts, folder: Path | None, waiting: Waiting) -> list[Callback]:
    """Curves and pictures; in the process that speaks, progress bars too."""
    val = parts.data.source("val")
    shown = [round((i + 0.5) * len(val) / MOSAIC_IMAGES - 0.5) for i in range(MOSAIC_IMAGES)]
    classes = parts.data.classes
    pictures = Mosaic(classes, {index: val.names[index] for index in shown})
    curves = Curves(parts.train.log_steps, parts.data.batch_size, waiting)
    memory = KeptMemory(parts.device, sizes_of(parts.data))
    result: list[Callback] = [curves, pictures, TriedKernels(), memory]
    if folder:
        names = parts.data.source("train").names
        result += [FirstBatch(folder, classes, names), ClassCurves(folder / "metrics.csv", classes)]
        result.append(ConfusionPicture(classes.names))
    if parts.frozen_steps:
        encoder = encoder_of(parts.learner.network, "train.freeze_encoder")
        result.append(Freeze(encoder, parts.frozen_steps))
    if parts.main:
        result += [ProgressBar(parts.epoch_steps), Doubts(), ScoringBar()]
    return result


def opening(parts: Parts, folder: Path, *, resumed: bool) -> list[str]:
    """What is said before the first step: what is trained on what."""
    data, skipped = parts.data, getattr(parts.data, "skipped", [])
    lines = [headline(parts, folder, resumed=resumed), *about_encoder(parts)]
    if parts.learner.objective.teacher is not None:
        lines.append(f"a teacher's answers count too: {parts.settings['teacher']}")
    pictures = Pictures.stored(parts.record.pictures)
    if pictures and data.span:
        lines.append(f"images: {pictures.stores}, filled from {pictures.fills}; colours are jittered in that range")
    lines += cached(parts)
    if skipped:
        lines.append(
            f"data.on_bad=skip: {counted(len(skipped), 'error')} in the data; without what skipped.csv lists there"
        )
    if data.flip_pairs and parts.settings["augment"].get("flip_pairs", ()) is None:
        lines.append(f"a flip exchanges {paired(data)} (augment.flip_pairs=[] turns that off)")
    if parts.choices:
        lines.append(parts.choices)
    return lines


def cached(parts: Parts) -> list[str]:
    """What the decoded images take up, and where, if that was asked for or is much."""
    taken, wish = parts.data.cache_bytes, parts.settings["data"].get("cache")
    if not taken or (wish in (AUTO, None) and taken < MUCH):
        return []
    size = f"{taken / 2**30:.1f} GiB"
    if wish == "disk":
        return [f"data.cache=disk: {size} of a disk until the training ends, which workers share"]
    return [f"data.cache=ram: up to {size} of memory, which workers share"]


def about_encoder(parts: Parts) -> list[str]:
    """How the encoder learns otherwise than the rest, if it does."""
    told = []
    if parts.frozen_steps:
        told.append(f"stands still in the first {counted(parts.frozen_steps, 'step')} (train.freeze_encoder)")
    if parts.learner.encoder_lr != 1:
        told.append(f"learns at {parts.learner.encoder_lr:g} of optimizer.lr (train.encoder_lr)")
    return [f"the encoder {' and '.join(told)}"] if told else []


def paired(data: DataModule) -> str:
    """The classes that are one another's other side, in words."""
    names = data.classes.names
    return enumerated([f"{names[one]} and {names[two]}" for one, two in data.flip_pairs], PAIRS)


def headline(parts: Parts, folder: Path, *, resumed: bool) -> str:
    """What is trained on what, in one line."""
    data = parts.data
    verb = "going on with" if resumed else "training"
    images = ", ".join(f"{len(source)} {split}" for split, source in data.splits.items())
    if fold := getattr(data, "fold", None):
        images = f"{fold}: {images}"
    millions = sum(map(Tensor.numel, parts.learner.network.parameters())) / 1e6
    height, width = data.crop
    place = f"{parts.processes} processes on {parts.device}" if parts.processes > 1 else parts.device
    return (
        f"{verb} {parts.settings['name']}: {images} images, {counted(len(data.classes), 'class')}; "
        f"{millions:.2f} M parameters; {place}, {parts.precision} ({parts.reason}); "
        f"batch {data.batch_size} of {height} x {width}; {counted(parts.steps, 'step')} = "
        f"{parts.steps / parts.epoch_steps:.1f} epochs{made_up(parts)}; {folder}"
    )


def made_up(parts: Parts) -> str:
    """Why there are more steps than the epochs have, or fewer than were wanted, if there are."""
    train, images, batch = parts.train, len(parts.data.source("train")), parts.data.batch_size
    wanted, planned = train.wanted_steps(images, batch), train.epoch_steps(images, batch)
    if parts.steps < wanted:
        limit = "most_steps" if train.max_minutes is None else "max_minutes"
        return f" ({wanted} steps are cut by train.{limit})"
    if train.steps is not None or parts.steps == planned:
        return ""
    return f" ({train.epochs:g} epochs are {planned} steps: train.min_steps makes them up to {parts.steps})"


def circumstances(parts: Parts, step: int) -> str:
    """What was computed in a step whose loss is not finite, and what to try."""
    names = enumerated(parts.data.names_in_batch(step), NAMES)
    rate = parts.settings["optimizer"].get("lr")
    return (
        f"images {names}; optimizer.lr={rate}, {parts.precision}; no checkpoint from after it was written; "
        "try a lower optimizer.lr, trainer.gradient_clip_val=1 or trainer.precision=32-true"
    )
