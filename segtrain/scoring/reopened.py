"""Trained networks with the data of their runs, opened again."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from lightning.fabric import Fabric
from torch import nn

from ..build import Trust, build_part, from_stored
from ..data import DataModule
from ..data.files.images import MAX_PIXELS
from ..data.public import HINT
from ..errors import UserError
from ..inference.folding import folded
from ..inference.windows import Windows
from ..machine import device
from ..machine.device import Computing
from ..report.screen import progress, say, working
from ..runs.folder import beginnings, checkpoint_of
from ..runs.record import Settings, with_places
from ..runs.trained import Opened, opened
from ..text import counted
from .members import Member
from .views import Views

NUMBER = r"[\d.]+"
ALONE = re.compile(  # the name of a score of a single network on its run's images
    rf"(?P<split>train|val|test)(?P<uncorrected>-uncorrected)?(?P<uncalibrated>-uncalibrated)?"
    rf"(?P<flip>-flip)?(-scales-(?P<scales>{NUMBER}(-{NUMBER})*))?"
    rf"(-window-(?P<window>\d+))?(-overlap-(?P<overlap>{NUMBER}))?"
)


@dataclass
class OtherData:
    """Settings of data in place of a run's own, where not `None`: the same kind of data in another folder."""

    root: str | None
    max_pixels: int | None
    workers: int | None = None


class Again(NamedTuple):
    """A network that can answer once more as it did for a score."""

    member: Member
    split: str
    windows: Windows


def as_scored(run: Path, score: str, data: OtherData, trust: Trust) -> Again:
    """The network of a run with its data, and the views that it had for a score of this name.

    Raises UserError for a score of several networks, or on other images than the run's own.
    """
    match = ALONE.fullmatch(score)
    if match is None:
        raise UserError(f"{score} is a score of several networks, or on other images than those of the run")
    views, file = views_of(match), checkpoint_of(str(run), "best", "runs")
    fits = {"correction": match["uncorrected"] is None, "calibration": match["uncalibrated"] is None}
    trained = opened(file, trust, **fits)
    with from_stored(str(file)):
        windows = views.windows(trained.record)
    return Again(with_data(views.of(trained), file, data, trust), match["split"], windows)


def views_of(name: re.Match[str]) -> Views:
    """The views that the name of a score tells of, which `Views.words` has written there."""
    scales = [float(scale) for scale in (name["scales"] or "1").split("-")]
    window, overlap = name["window"], name["overlap"]
    return Views(
        flip=name["flip"] is not None,
        scales=scales,
        window=None if window is None else int(window),
        overlap=None if overlap is None else float(overlap),
    )


def with_data(trained: Opened, file: Path, data: OtherData, trust: Trust) -> Member:
    """A network with the data of its run, or with other ones."""
    with from_stored(str(file)):
        return Member(trained, stored_data(trained, data, trust))


def stored_data(trained: Opened, other: OtherData, trust: Trust) -> DataModule:
    """The data of the run, or others of the same kind. Raises UserError if they have other classes."""
    record = trained.record
    stored = with_places(record.settings, beginnings(trained.folder, record.cwd))
    settings = {**stored["data"], **{name: value for name, value in asdict(other).items() if value is not None}}
    if "cache" in settings:
        settings["cache"] = "none"  # each image is read once
    if "max_pixels" in settings:
        settings["max_pixels"] = record.max_pixels(other.max_pixels, MAX_PIXELS)
    if "channels" in settings:
        settings["channels"] = record.channels  # of grey images in another folder too
    with data_of_a_run(settings), working("opening the data"):
        module = build_part("data", settings, trust)
    if not isinstance(module, DataModule):
        raise UserError(f"the checkpoint's settings name {type(module).__name__} as its data")
    module.progress = progress
    own, found = trained.classes.names, module.classes.names
    if own != found:
        network, data = f"{counted(len(own), 'class')} ({', '.join(own)})", f"{len(found)} ({', '.join(found)})"
        raise UserError(f"the network was trained for {network}, but the data have {data}")
    return module


@contextmanager
def data_of_a_run(data: Settings) -> Iterator[None]:
    """Inside, these stored settings are built: where the folder is not there, it is said that another may be typed.

    Nothing that is stored is downloaded, so that is not proposed.
    """
    try:
        yield
    except FileNotFoundError as error:
        reason, root = str(error).removesuffix(HINT), Path(data.get("root") or ".")
        if not root.exists():
            reason += "; if the data of this run lie elsewhere now, type data.root=FOLDER"
        raise FileNotFoundError(reason) from None


def on_device(trained: Opened, trainer: Computing) -> nn.Module:
    """The network on the device that it computes on, in the precision that was typed, or that its training had.

    It takes over the tensors of `trained.network`, which is of no use afterwards.
    """
    kind = device.device_type(trainer.accelerator)
    precision, note = device.typed_or_stored(trainer.precision, kind, trained.record.precision)
    if note:
        say(note)
    fabric = Fabric(accelerator=kind, devices=trainer.devices, precision=precision)  # pyright: ignore[reportArgumentType]
    device.keep_depth(fabric._precision)
    network = trained.network.to(device.dtype_of_weights(precision))
    return fabric.setup_module(folded(network))
