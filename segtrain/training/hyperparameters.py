"""What loggers show beside a score: the settings that it may depend on, as numbers and words."""

from pathlib import Path
from typing import Any

from ..build import DEEPEST
from ..runs.resume import leaf
from ..text import parse_yaml
from .parts import Parts

Value = int | float | bool | str
MAIN = ("seed", "data.batch_size", "optimizer.lr", "train.ema", "train.correction")
BUILT = ("model", "loss", "optimizer", "schedule", "augment")
LEFT_OUT = {"run_dir", "resume", "init", "allow", "allow_changes", "trainer.devices", "data.workers", "data.cache"}


def hyperparameters(parts: Parts, folder: Path) -> dict[str, Value]:
    """The main settings of a training, what the data decided, and all that was typed for it, by dotted names."""
    settings, data = parts.settings, parts.data
    shown: dict[str, Any] = {"name": settings["name"], "precision": parts.precision, "steps": parts.steps}
    shown["epochs"] = round(parts.steps / parts.epoch_steps, 2)
    shown["images"], shown["classes"] = len(data.source("train")), len(data.classes)
    shown["data.crop"] = "x".join(map(str, data.crop))
    shown |= {part: settings[part]["_target_"].rpartition(".")[2] for part in BUILT}
    shown |= {name: leaf(settings, name.split(".")) for name in MAIN}
    overrides = folder / "overrides.txt"
    words = overrides.read_text(encoding="utf-8", errors="replace").splitlines() if overrides.is_file() else []
    return {name: as_value(value) for name, value in {**shown, **typed(words)}.items()}


def typed(words: list[str]) -> dict[str, Any]:
    """The settings among typed words, but for those that no score depends on."""
    pairs = [word.lstrip("+").partition("=") for word in words if "=" in word]
    return {name: parsed(value) for name, _, value in pairs if name not in LEFT_OUT and not name.startswith("logger")}


def parsed(text: str) -> Any:
    """A typed value as what it stands for; what is no YAML stays a text."""
    try:
        return parse_yaml(text, DEEPEST)
    except ValueError:
        return text


def as_value(value: Any) -> Value:
    """A value as loggers take it: lists and what is not set become texts."""
    if isinstance(value, bool | int | float | str):
        return value
    return "null" if value is None else str(value)
