"""Pictures of a training: what the network is shown, and what it makes of images. `pl_module` is the learner."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from lightning.pytorch import Callback, Trainer
from PIL import Image
from torch import Tensor

from ..data.classes import ClassTable
from ..data.files.large import ImageInParts
from ..metrics import class_iou
from ..report.class_curves import class_curves
from ..report.confusion import confusion_chart
from ..report.pictures import mosaic, samples, write_png
from ..report.screen import say
from ..runs.metrics_csv import Row, parse
from ..scoring.looking import thinned
from .learner import apply_color

MOSAIC_SIDE = 640
FIRST = 6  # images, at most, of the first batch
FIRST_SIDE = 160  # pixels, at most, of each


@runtime_checkable
class Gallery(Protocol):
    """A logger that shows pictures, arrays (H, W, 3) uint8."""

    def log_picture(self, tag: str, picture: np.ndarray, step: int) -> None: ...


def galleries(trainer: Trainer) -> list[Gallery]:
    """The loggers that show pictures."""
    return [logger for logger in trainer.loggers if isinstance(logger, Gallery)]


def show(trainer: Trainer, tag: str, draw: Callable[[], np.ndarray]) -> None:
    """Draw a picture, and have every logger that shows pictures show it."""
    shown_in = galleries(trainer)
    if not shown_in:
        return
    with harmless(tag):
        picture = draw()
        for gallery in shown_in:
            gallery.log_picture(tag, picture, trainer.global_step)


@contextmanager
def harmless(tag: str) -> Iterator[None]:
    """Inside, a picture is drawn. One that cannot be is said, and ends no training, whatever the reason."""
    try:
        yield
    except Exception as error:
        say(f"the picture {tag} could not be drawn ({type(error).__name__}: {error})")


class FirstBatch(Callback):
    """`samples/train_batch.png`, before the first step: its images as the network sees them, with their masks.

    A run that was killed in that step draws the same picture again: the file may be there without the one that loggers
    were told of.
    """

    def __init__(self, folder: Path, classes: ClassTable, names: Sequence[str]) -> None:
        self.file, self.classes, self.names = folder / "samples" / "train_batch.png", classes, names

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: dict[str, Tensor], *_: Any) -> None:
        if trainer.global_step:
            return
        tag = "images/train_batch"
        with harmless(tag):
            picture = self._drawn(batch)
            write_png(self.file, picture)
            show(trainer, tag, lambda: np.asarray(picture))

    def _drawn(self, batch: dict[str, Tensor]) -> Image.Image:
        keys: list[int] = batch["key"][:FIRST].tolist()
        names = [self.names[key % len(self.names)] for key in keys]
        masks = batch["mask"][:FIRST].cpu().numpy()
        rows = list(zip(names, seen(batch, FIRST), masks, strict=True))
        return samples(rows, self.classes, FIRST_SIDE)


def seen(batch: dict[str, Tensor], number: int) -> np.ndarray:
    """The first images of a batch in the colours in which a training step sees them; photographs as uint8."""
    is_photograph = "span" not in batch
    image = apply_color(batch["image"][:number], batch["color"][:number], clamp=is_photograph)
    if is_photograph:
        image = (255 * image).round().byte()
    return image.cpu().numpy()


class Mosaic(Callback):
    """The same validation images after every validation, for the loggers: image, truth, prediction, error.

    Larger images are thinned out to at most `MOSAIC_SIDE` pixels a side.
    """

    def __init__(self, classes: ClassTable, names: Mapping[int, str]) -> None:
        """`names` are those of the images by their indices."""
        self.classes, self.names, self._rows = classes, names, []

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: Any, outputs: Tensor, batch: dict[str, Any], *_: Any
    ) -> None:
        """Keep what is shown of the chosen images."""
        for place, key in enumerate(batch["key"].tolist()):
            if key in self.names:
                thin = math.ceil(max(outputs[place].shape) / MOSAIC_SIDE)
                image = batch["image"]
                shown = thinned(image if isinstance(image, ImageInParts) else image[place], thin)
                truth, prediction = (thinned(maps[place], thin) for maps in (batch["mask"], outputs))
                self._rows.append((self.names[key], shown, truth, prediction))

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        if self._rows:
            show(trainer, "images/val", lambda: np.asarray(mosaic(self._rows, self.classes)))
        self._rows = []


class ConfusionPicture(Callback):
    """After every validation, what was taken for what."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        show(trainer, "images/confusion", lambda: confusion_chart(self.names, pl_module.matrix))


class ClassCurves(Callback):
    """After every validation, the IoU of each class so far; a run that goes on finds the earlier ones in its table."""

    def __init__(self, table: Path, classes: ClassTable) -> None:
        self.table, self.classes = table, classes
        self.iou: dict[int, np.ndarray] = {}  # step -> (classes,), NaN where a class did not occur

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        self.iou = {}
        if self.table.exists():
            self.iou = logged_iou(parse(self.table.read_bytes()).rows, self.classes.names)

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        self.iou[trainer.global_step] = class_iou(pl_module.matrix).numpy()
        steps, iou = list(self.iou), np.array(list(self.iou.values()))
        show(trainer, "images/IoU_per_class", lambda: class_curves(steps, iou, self.classes))


def logged_iou(rows: Sequence[Row], names: Sequence[str]) -> dict[int, np.ndarray]:
    """The IoU of each class after those steps of `metrics.csv` that had a validation."""
    tags = [f"IoU_class/val/{name}" for name in names]
    validated = [row for row in rows if row.get("IoU/val")]
    return {int(row["step"]): np.array([float(row.get(tag) or "nan") for tag in tags]) for row in validated}
