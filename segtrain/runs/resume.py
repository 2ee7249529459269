"""Going on with a run: from which checkpoint, and with which settings."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import UserError
from .folder import find, folder_of, followed

FREE = {  # settings that never change the result, so that they may always be typed anew
    "data.workers",
    "data.root",
    "data.max_pixels",
    "data.cache",
    "train.save_minutes",
    "train.log_steps",
    "trainer.devices",
    "trainer.num_nodes",
    "trainer.strategy",
    "trainer.accelerator",
    "teacher",  # which is known by its weights
}

LEFT_OPEN = {  # what leaves a setting to the program, which chose when the run began
    "data.crop": None,
    "data.batch_size": "auto",
    "train.min_steps": "auto",
    "train.most_steps": None,
}

LOGGER = "logger"  # changes no result, and is always that of now: nothing that is stored opens a connection
ADDED = {  # settings that runs of older versions have not, and go on without
    "teacher",
    "train.min_steps",
    "train.max_minutes",
    "train.most_steps",
    "train.correction",
    "train.calibration",
    "data.folds",
    "data.fold",
    "train.patience",
    "train.freeze_encoder",
    "train.encoder_lr",
    "train.teacher_weight",
    "train.teacher_temperature",
    "augment.inside",
    "augment.flip_vertical",
    "augment.turns",
    "augment.temperature",
    "augment.blur",
    "augment.noise",
    "augment.paste",
    "augment.cutmix",
    "augment.flip_pairs",
    "model.context",
    "model.join",
    "model.auxiliary_stride",
    "model.grouped",
    "model.dropout",
    "model.encoder.output_stride",
}


def resumable(resume: str) -> tuple[Path, list[Path]]:
    """(run folder, checkpoints to try in turn) for a run, a checkpoint file, or `latest`."""
    named = followed(Path(resume))
    if named.is_file():
        folder, files = folder_of(named), [named]
    else:
        folder = find(resume, "resume")
        files = [folder / "checkpoints" / "last.ckpt", folder / "checkpoints" / "previous.ckpt"]
    if not (folder / "config.yaml").is_file():
        advice = "a run folder, or a checkpoint inside one (init= starts a new run from any checkpoint's weights)"
        raise UserError(f"resume={resume}: nothing was begun there that could go on; name {advice}")
    return folder, [file for file in files if file.exists()]


def settled(
    stored: Mapping[str, Any], composed: Mapping[str, Any], typed: Sequence[str], *, allow_changes: bool
) -> dict[str, Any]:
    """The settings to go on with: the stored ones, and of the composed ones the logger, and those that were typed and
    may differ.

    Raises UserError for the first typed setting that would change the result, unless `allow_changes`.
    """
    keys = typed_keys(typed)
    result = json.loads(json.dumps(stored))
    for path, value in leaves(composed):
        name, old = ".".join(path), leaf(stored, path)
        unknown_then = name in ADDED and not has_leaf(stored, path)
        if path[0] == LOGGER or not was_typed(name, keys) or (unknown_then and name not in keys):
            continue
        if is_left_open(name, value) and not (allow_changes and name in keys):
            continue
        if name not in FREE and value != old and not allow_changes:
            reason = f"{name}={value} would change the result of a run that began with {name}={old}"
            raise UserError(f"{reason}: leave it out, or add allow_changes=true")
        set_leaf(result, path, value)
    for key in keys:  # of a whole group that was typed, nothing stored remains but what was chosen when the run began
        group, before = leaf(composed, key.split(".")), leaf(stored, key.split("."))
        if isinstance(group, Mapping):
            chosen = with_chosen(group, before, key)
            if not contains(chosen, before, key):
                set_leaf(result, key.split("."), chosen)
    if LOGGER in composed:
        result[LOGGER] = composed[LOGGER]
    return result


def is_left_open(name: str, value: Any) -> bool:
    """Whether this value of a setting means what the program chose when the run began."""
    return name in LEFT_OPEN and value == LEFT_OPEN[name]


def typed_keys(typed: Sequence[str]) -> list[str]:
    """The names of the settings among typed words."""
    return [word.lstrip("+~").partition("=")[0] for word in typed]


def with_chosen(group: Mapping[str, Any], before: Any, name: str) -> dict[str, Any]:
    """The group `name` with what the program chose `before`, where that is left to it."""
    result = json.loads(json.dumps(group))
    for path, value in leaves(group):
        if is_left_open(f"{name}.{dotted(path)}", value) and has_leaf(before, path):
            set_leaf(result, path, leaf(before, path))
    return result


def contains(group: Mapping[str, Any], before: Any, name: str) -> bool:
    """Whether the group `name` is as it was `before`, but for settings that the run's version did not have."""
    own, stored = dict(leaves(group)), dict(leaves(before)) if isinstance(before, Mapping) else {}
    added = {path for path in own.keys() - stored.keys() if f"{name}.{dotted(path)}" in ADDED}
    return {path: value for path, value in own.items() if path not in added} == stored


def was_typed(name: str, keys: Sequence[str]) -> bool:
    """Whether one of the typed keys sets `name`: itself, a group that it is in, or an experiment, which sets all."""
    if "experiment" in keys:
        return True
    return any(name == key or name.startswith(f"{key}.") for key in keys)


def deciding(settings: Mapping[str, Any]) -> dict[tuple[str, ...], Any]:
    """The settings that the result depends on, by their paths."""
    return {path: value for path, value in leaves(settings) if path[0] != LOGGER and dotted(path) not in FREE}


def dotted(path: Sequence[Any]) -> str:
    """The name of a setting, in which a strange file may have more than words."""
    return ".".join(map(str, path))


def leaves(tree: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """(path, value) of everything in nested mappings that is no mapping itself."""
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), value


def leaf(tree: Any, path: Sequence[str]) -> Any:
    for key in path:
        tree = tree.get(key) if isinstance(tree, Mapping) else None
    return tree


def has_leaf(tree: Any, path: Sequence[str]) -> bool:
    *groups, name = path
    group = leaf(tree, groups)
    return isinstance(group, Mapping) and name in group


def set_leaf(tree: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for key in path[:-1]:
        if not isinstance(tree.get(key), dict):
            tree[key] = {}
        tree = tree[key]
    tree[path[-1]] = value
