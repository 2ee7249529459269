"""A network is scored on whole images: the same code in a training, after it, and in `evaluate`."""

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn

from ..data import DataModule
from ..data.batches.source import Source
from ..data.workers import cores
from ..errors import UserError, from_user
from ..inference.folding import Folded
from ..inference.image import confidence_of
from ..inference.windows import Piece, Windows
from ..losses.contract import Loss
from ..machine import device as machine
from ..machine import processes
from ..machine.threads import Behind
from ..metrics import (
    ConfusionMatrix,
    Details,
    ImageMatrices,
    MeanLoss,
    accuracy,
    class_iou,
    mean_iou,
    most_likely,
    summary,
)
from ..report.details import details_text, with_details
from ..report.intervals import intervals
from ..report.page import Look
from ..report.per_image import PerImage
from ..report.scores import METRICS, finish_score, score, table, with_intervals, write_score
from ..report.screen import say
from ..runs.record import Record
from ..text import counted
from .looking import look_at
from .reporting import LABELS, REPORTS, Request, report_or_say
from .split_score import SplitScore
from .verdict import Verdict, advice, judge

Batch = dict[str, Any]  # tensors; an image that is scored may be `ImageInParts`, whose parts are taken as a tensor's
LOSS_AT_ONCE = 1 << 25  # logits, whose loss takes a multiple of their memory
MOST_WAITING = 1 << 24  # pixels whose sizes of objects are still to be counted


class Scorer(LightningModule):
    """Scores a network, images (N, C, H, W) -> logits (N, classes, H, W), on whole images.

    `class_names` stand in the order of their indices; `void` is the value in the masks that is left out; `windows` are
    how images are computed that do not fit.
    """

    doing = "scoring"  # as it is named while it lasts

    def __init__(
        self, network: nn.Module, *, class_names: tuple[str, ...], void: int, windows: Windows | None = None
    ) -> None:
        super().__init__()
        self.network, self.class_names = network, class_names
        self.windows = windows or Windows()
        self.folded = Folded()
        self.confusion = ImageMatrices(len(class_names), void)
        self.details = Details(len(class_names), void)

    @property
    def scored(self) -> nn.Module:
        """The network whose score counts."""
        return self.network

    def on_test_epoch_start(self) -> None:
        self.folded.forget()
        self.confusion.reset()
        self.details.reset()
        self.behind = Behind(max(1, cores() // self.trainer.num_devices))  # while the next images are computed
        self.waiting = 0  # pixels, at most, whose sizes of objects are not counted yet

    def answers(self, batch: Batch) -> Iterator[Piece]:
        """What the network answers to the images of a batch, a piece at a time."""
        return self.windows.pieces(self.folded.of(self.scored), batch["image"])

    def test_step(self, batch: Batch, _: int) -> None:
        """Count what is right, where, and how sure the network is of it."""
        prediction = torch.empty_like(batch["mask"])
        for piece in self.answers(batch):
            prediction[piece.place] = most_likely(piece.answer)
            confidence = torch.stack([confidence_of(self.scored, answer) for answer in piece.answer])
            self.details.confidence.update(confidence, prediction[piece.place], batch["mask"][piece.place])
            self.confusion.note_broken(piece.answer)
        self.confusion.update(prediction, batch["mask"], batch["key"])
        self.details.update(prediction, batch["mask"], self.behind.add)
        self.waiting += prediction.numel()
        if self.waiting > MOST_WAITING:
            self.behind.finish()
            self.waiting = 0

    def on_test_epoch_end(self) -> None:
        """The sum over all processes, which here still all take part."""
        self.folded.forget()
        self.behind.close()
        with from_user():
            self.totals, self.matrix = summary(self.confusion), self.confusion.compute().cpu()
        self.cells = self.confusion.all_cells().numpy()
        self.counts = self.details.compute()


class Validator(Scorer):
    """Scores a network in the middle of its training too, and publishes what comes out."""

    def __init__(
        self, network: nn.Module, *, loss: Loss, class_names: tuple[str, ...], void: int, windows: Windows | None = None
    ) -> None:
        super().__init__(network, class_names=class_names, void=void, windows=windows)
        self.loss, self.val_loss = loss, MeanLoss(loss.terms)
        self.shown: dict[str, float] = {}  # the last value of every tag
        self.verdict: Verdict | None = None  # on the last validation

    def on_validation_epoch_start(self) -> None:
        self.folded.forget()
        self.confusion.reset()
        self.val_loss.reset()

    def validation_step(self, batch: Batch, _: int) -> Tensor:
        """The prediction (N, H, W), for callbacks. An image in windows counts for the loss as several ones."""
        prediction = torch.empty_like(batch["mask"])
        for piece in self.answers(batch):
            prediction[piece.place] = most_likely(piece.answer)
            self.confusion.note_broken(piece.answer)
            for answer, mask in piece.with_maps(batch["mask"], LOSS_AT_ONCE):
                self.val_loss.update(self.loss(answer, mask), self.loss.count(mask))
        self.confusion.update(prediction, batch["mask"], batch["key"])
        return prediction

    def on_validation_epoch_end(self) -> None:
        self.folded.forget()
        self.matrix = matrix = confusion_of(self.confusion, "the validation images")
        self.verdict = judge(matrix, self.class_names)
        scores = {"IoU/val": mean_iou(matrix), "loss/val": self.val_loss.compute(), "accuracy/val": accuracy(matrix)}
        for name, iou in zip(self.class_names, class_iou(matrix), strict=True):
            scores[f"IoU_class/val/{name}"] = iou
        self.publish(scores)

    def publish(self, scores: Mapping[str, Any]) -> None:
        """Hand scalars to every logger at the number of steps done; what is undefined (NaN) is left out."""
        defined = {tag: float(value) for tag, value in scores.items() if not math.isnan(value)}
        self.shown.update(defined)
        for logger in self.loggers:
            logger.log_metrics(defined, step=self.trainer.global_step)


def confusion_of(metric: ConfusionMatrix, where: str) -> Tensor:
    """The matrix over all processes. Raises UserError if it is empty, or if a network's output was not finite."""
    with from_user():
        matrix = metric.compute()
    if not matrix.any():
        raise UserError(f"every pixel of {where} is void: the masks hold no class; look at `ignore` in the class table")
    return matrix


def silent_trainer(
    make: Callable[..., Trainer], count: int, plugins: Sequence[Any] = (), *, sharded: bool = False, **settings: Any
) -> Trainer:
    """Lightning's trainer for `count` processes, which may share out the weights (`sharded`), made by its class or by
    what calls it with more settings.

    It prints nothing, writes nothing of its own and leaves samplers and signals to us.
    """
    trainer = make(
        strategy=processes.strategy(count, sharded=sharded),
        plugins=[*plugins, *processes.environment()],
        default_root_dir=os.devnull,  # where Lightning looks for checkpoints of its own
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        inference_mode=not sharded,  # in which no weights can be gathered
        **settings,
    )
    machine.keep_depth(trainer.precision_plugin)
    # Lightning would handle SIGTERM: it ends with status 0, and on two ranks waits for ever
    trainer._signal_connector.register_signal_handlers = lambda: None
    # and in each step it would wait for the other ranks, and for the GPU, to be told whether the first one got it
    trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None
    return trainer


def score_split(trainer: Trainer, scorer: Scorer, data: DataModule, split: str) -> SplitScore:
    """The score of a network on a split, with all that its report needs; the same in all processes."""
    scorer.doing = f"scoring {split}"
    trainer.test(scorer, dataloaders=data.whole_images(split, trainer), verbose=False)
    names = data.classes.names
    images = PerImage(list(data.source(split).names), names, scorer.cells, data.groups(split))
    result = with_details(score(scorer.totals, scorer.matrix, split, names), scorer.counts)
    look = partial(look_as_scored, trainer, scorer, Folded(), data.source(split))
    look = lru_cache(1)(look)  # one may be shown twice
    return SplitScore(result, scorer.matrix, images, scorer.counts, look, str(trainer.precision))


def look_as_scored(trainer: Trainer, scorer: Scorer, folded: Folded, source: Source, index: int) -> Look:
    """An image, and what the network makes of it in the precision and on the device of its score.

    `folded` keeps the network's copy from one look to the next.
    """
    network = folded.of(scorer.scored.to(trainer.strategy.root_device).eval())
    with trainer.precision_plugin.forward_context():
        return look_at(network, scorer.windows, source, index)


def report_score(
    scored: SplitScore,
    data: DataModule,
    folder: Path,
    run: Path,
    record: Record,
    steps: int | None,
    request: Request,
) -> Verdict | None:
    """Print the table with what it hides, and write the scores and a report into `folder`; `None` if there is nothing
    to judge.

    `run` is the folder of the run; `steps` are those of the training, if they are known.
    """
    result, verdict = with_intervals(scored.result, intervals(scored.images)), None
    if result["miou"] is not None:
        verdict = judge(scored.matrix, data.classes.names)
        result = {**result, "constant_miou": verdict.constant_miou, "not_found": list(verdict.not_found)}
    if record.correction:
        result = {**result, "correction": asdict(record.correction)}
    result["calibration"] = {**result["calibration"], "temperature": temperature_of(result, record)}
    written = write_score(folder, result, scored.matrix, scored.images)
    say(f"{result['split']}: {counted(result['images'], 'image')}\n{table(result)}\n{details_text(result)}")
    remarks = remarks_on(result, verdict, data, record, request)
    for remark in remarks:
        say(remark)
    if verdict is not None and verdict.lines():
        say(advice(verdict, record, steps))
    report = report_or_say(scored._replace(result=result), data, folder, run, record, remarks, request)
    if (folder / LABELS).exists():
        written.append(LABELS)
    finish_score(folder, result)
    first, *others = [*REPORTS, METRICS, *written] if report else [METRICS, *written]
    say(f"written: {folder / first}; beside it {', '.join(others)}")
    return verdict


def temperature_of(result: Mapping[str, Any], record: Record) -> float | None:
    """What the logits were divided by; `None` where each of several networks has its own."""
    if "members" in result:
        return None
    return record.temperature.value if record.temperature else 1.0


def remarks_on(
    result: Mapping[str, Any], verdict: Verdict | None, data: DataModule, record: Record, request: Request
) -> list[str]:
    """What is to be known of a score, in sentences."""
    fits = {"the prior correction": record.correction, "the temperature": record.temperature}
    remarks = [fit.line() for fit in fits.values() if fit]
    if request.strange:
        differ = f"The data in {request.root} differ from those of the training (names, sizes or classes)"
        remarks.append(f"{differ}: as far as they hold images of its train or val, this score flatters it.")
    elif result["split"] == "val":
        *choices, last = ["the checkpoint", *(name for name, fit in fits.items() if fit)]
        chosen = f"{', '.join(choices)} and {last}" if choices else last
        reason = "These data have no test split: val" if data.final_split == "val" else "Val"
        remarks.append(f"{reason} also chose {chosen}, so this score flatters it.")
    elif result["split"] == "train":
        remarks.append("The network was trained on these images, so this score says nothing about other ones.")
    return remarks + (verdict.lines() if verdict is not None else [])
