# pyright: strict
"""The commands, called from Python: the same words, and what they write as values."""

import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict

from . import cli
from .config import conf_folder
from .errors import UserError
from .machine import processes
from .report.scores import METRICS, final_scores


class Training(NamedTuple):
    """What a training came to.

    Attributes:
        folder: The run folder, which `segtrain.load` and `segtrain.evaluate` take.
        scores: What its metrics.json says of the held-out split; `None` if that holds nothing to score.
    """

    folder: Path
    scores: dict[str, Any] | None


def train(overrides: Sequence[str] = ()) -> Training:
    """Train a network as `python -m segtrain train` does with the same words.

        segtrain.train(["data.root=photos", "train.epochs=5"]).scores["miou"]

    Lines are printed, and files written, as by the command. Ctrl-C lets the step finish and save, and ends in
    SystemExit; `train(["resume=latest"])` goes on.

    Args:
        overrides: Settings, each as it is typed behind the command.

    Raises:
        UserError: What the command would say in one line.
        OSError: What the system says of a file or a disk.
    """
    if any(word.startswith("resume=") for word in overrides):  # whose stored settings may name several devices
        overrides = ["trainer.devices=1", *overrides]
    with called("train", overrides) as (function, arguments):
        refuse_several(arguments)
        status, folder = function(**arguments)
    if status:
        raise OSError(f"{folder}: its last checkpoint could not be written")
    return Training(folder, final_scores(folder))


def evaluate(overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Score a trained network as `python -m segtrain evaluate` does with the same words, and return metrics.json.

        segtrain.evaluate(["run=latest", "split=val"])["classes"]["car"]["iou"]

    Scores are fractions, `None` for a class that never occurs.

    Args:
        overrides: Settings, each as it is typed behind the command.

    Raises:
        UserError: What the command would say in one line.
        OSError: What the system says of a file or a disk.
    """
    with called("evaluate", overrides) as (function, arguments):
        refuse_several(arguments)
        folder, _ = function(**arguments)
    return json.loads((folder / METRICS).read_text(encoding="utf-8"))


@contextmanager
def called(command: str, overrides: Sequence[str]) -> Generator[tuple[Any, dict[str, Any]]]:
    """The function of a command, and its arguments by the words that were given."""
    if isinstance(overrides, str):
        raise UserError(f"overrides: a list of texts, such as [{overrides!r}]")
    for word in overrides:
        if word.startswith("-"):
            raise UserError(f"{word}: from Python, settings alone, as name=value; type the command for its options")
    cli.adapt_hydra()
    before = HydraConfig.instance().cfg
    options = cli.parse([f"--config-name={command}", *overrides])
    options.overrides = cli.rewrite(options)
    with cli.explained(options), initialize_config_dir(str(conf_folder()), version_base="1.3"):
        config = compose(command, options.overrides, return_hydra_config=True)
    try:
        HydraConfig.instance().set_config(config)
        yield cli.resolved(without_hydra(config))
    finally:
        HydraConfig.instance().cfg = before


def without_hydra(config: DictConfig) -> DictConfig:
    """The settings of a command alone."""
    with open_dict(config):
        del config["hydra"]
    return config


def refuse_several(arguments: dict[str, Any]) -> None:
    """Raises UserError for several processes: each would run the program again that called this."""
    trainer = arguments["trainer"]
    engine = cast(dict[str, Any], trainer if isinstance(trainer, dict) else vars(trainer))
    _, count = processes.count(engine)
    if count > 1:
        raise UserError(f"trainer.devices={engine['devices']}: from Python, one device; type the command for several")
