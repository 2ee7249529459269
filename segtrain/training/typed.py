"""What `train` is given, and the commands that do what it does: the settings of conf/train.yaml."""

from dataclasses import asdict
from typing import Annotated, TypedDict

from ..build import Spec
from ..machine.device import Devices, Precision, Sharing
from ..runs.record import Settings
from .parts import TrainSettings


class Typed(TypedDict):
    """The settings by their names."""

    name: str
    typed: list[str]  # the words on the command line
    seed: int
    train: TrainSettings
    run_dir: str | None
    resume: str | None
    init: str | None
    teacher: str | None
    allow_changes: bool
    allow: list[str]
    data: Spec
    model: Annotated[Spec, {"num_classes": int | None}]
    loss: Spec
    optimizer: Spec
    schedule: Spec
    augment: Spec
    trainer: Annotated[Spec, {"precision": Precision, "devices": Devices, "strategy": Sharing}]
    logger: Spec


def stored(given: Typed) -> Settings:
    """The settings that define a training, as its run keeps them; all others say what is to be done with it."""
    return {
        "name": given["name"],
        "seed": given["seed"],
        "train": asdict(given["train"]),
        "data": given["data"],
        "model": given["model"],
        "loss": given["loss"],
        "optimizer": given["optimizer"],
        "schedule": given["schedule"],
        "augment": given["augment"],
        "trainer": given["trainer"],
        "logger": given["logger"],
    }
