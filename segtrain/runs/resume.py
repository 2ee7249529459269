"""Going on with a run: from which checkpoint, and with which settings."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import UserError
from .folder import find, folder_of

# On resume these never change the result, so they may always be typed anew.
FREE = ("data.workers", "data.root", "train.save_minutes", "train.log_steps", "trainer.devices")
FREE += (
    "data.max_pixels",
    "data.cache",
    "trainer.num_nodes",
    "trainer.strategy",
    "trainer.accelerator",
    "resume",
    "allow_changes",
    "allow",
    "run_dir",
)


def resumable(resume: str) -> tuple[Path, list[Path]]:
    """(run folder, checkpoints to try in turn) for a run, a checkpoint file, or `latest`."""
    named = Path(resume)
    folder = folder_of(named) if named.is_file() else find(resume, "resume")
    if not (folder / "config.yaml").is_file():
        raise UserError(
            f"resume={resume}: nothing was begun there that could go on; name a run folder, or a checkpoint inside "
            "one (init= starts a new run from any checkpoint's weights)"
        )
    files = [named] if named.is_file() else [folder / "checkpoints" / f"{name}.ckpt" for name in ("last", "previous")]
    return folder, [file for file in files if file.exists()]


def settled(
    stored: Mapping[str, Any], composed: Mapping[str, Any], typed: Sequence[str], *, allow_changes: bool
) -> dict[str, Any]:
    """The settings to go on with: the stored ones, and of the composed ones those that were typed and may differ.

    Raises:
        UserError: naming the first typed setting that would change the result, unless `allow_changes`.
    """
    keys = [word.lstrip("+~").partition("=")[0] for word in typed]
    everything = "experiment" in keys
    result = json.loads(json.dumps(stored))
    for path, value in leaves(composed):
        name = ".".join(path)
        if not everything and not any(name == key or name.startswith(key + ".") for key in keys):
            continue
        old = leaf(stored, path)
        if name not in FREE and value != old and not allow_changes:
            raise UserError(
                f"{name}={value} would change the result of a run that began with {name}={old}: "
                "leave it out, or add allow_changes=true"
            )
        set_leaf(result, path, value)
    for key in keys:  # of a whole group that was typed, nothing stored remains
        group = leaf(composed, key.split("."))
        if isinstance(group, Mapping):
            set_leaf(result, key.split("."), group)
    return result


def same_result(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two settings differ in nothing, or in what never changes the result."""
    flat = [{".".join(p): v for p, v in leaves(tree) if ".".join(p) not in FREE} for tree in (one, other)]
    return flat[0] == flat[1]


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


def set_leaf(tree: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for key in path[:-1]:
        if not isinstance(tree.get(key), dict):
            tree[key] = {}
        tree = tree[key]
    tree[path[-1]] = value
