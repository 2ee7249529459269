"""The files and folders that settings name, looked for before torch is imported, which takes seconds."""

import glob
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from .disk import names_weights, near_name, no_folder
from .runs.folder import checkpoint_files, find, several, trained_file
from .runs.resume import resumable
from .text import kinds_of_files

SHOWN, LOOKED_AT = 4, 10_000  # kinds of files in a message, and the paths that are looked at for it


def refuse_absent(settings: Mapping[str, Any]) -> None:
    """Raises an error for a path among the settings of any command at which there is nothing."""
    named = {name: value for name, value in settings.items() if isinstance(value, str)}
    if {"run", "checkpoint"} <= settings.keys():
        checkpoint_files(named.get("run"), named.get("checkpoint"))
    for run in several(named["runs"]) if "runs" in named else ():
        find(run, "runs")
    if "resume" in named:
        resumable(named["resume"])
    for name in ("init", "teacher"):
        if name in named:
            trained_file(named[name], name)
    refuse_no_weights(settings.get("model"))
    refuse_no_root(settings.get("data"))
    if "images" in named:
        refuse_no_images(named["images"])


def refuse_no_weights(model: Any) -> None:
    """Raises FileNotFoundError for a file of pretrained weights that is not there."""
    encoder = model.get("encoder") if isinstance(model, Mapping) else None
    weights = encoder.get("weights") if isinstance(encoder, Mapping) else None
    if not isinstance(weights, str) or not names_weights(weights) or Path(weights).is_file():
        return
    folder = Path(weights).parent
    near = near_name(Path(weights), folder.iterdir()) if folder.is_dir() else ""
    raise FileNotFoundError(f"model.encoder.weights={weights}: there is no such file (seen from {Path.cwd()}){near}")


def refuse_no_root(data: Any) -> None:
    """Raises FileNotFoundError for a data folder that is not there; of public data, the data set says what to do."""
    if not isinstance(data, Mapping) or data.get("origin") is not None:
        return
    root = data.get("root")
    if isinstance(root, str) and not Path(root).is_dir():
        raise FileNotFoundError(f"data.root={root}: {no_folder(Path(root))}")


def refuse_no_images(images: str) -> None:
    """Raises FileNotFoundError for a path or a glob that finds nothing, or one of several."""
    for name in images_named(images):
        if not Path(name).exists() and not matches(name)[1]:
            raise FileNotFoundError(no_image(name))


def images_named(images: str) -> list[str]:
    """`[A,B]` -> A and B, and `A,B` too if there is nothing of that name."""
    is_list = images.startswith("[") and images.endswith("]") and "," in images
    if not is_list and (Path(images).exists() or matches(images)[1]):
        return [images]
    return several(images)


def matches(pattern: str) -> tuple[Path, list[Path]]:
    """(folder, paths in it and below) that a glob finds, hidden ones only where it names them.

    The part of the pattern that is there as it stands is no pattern, as in `my set [new]/*.png`; and brackets that
    find nothing as wildcards are brackets.
    """
    folder, rest = fixed_part(Path(pattern))
    for wanted in (rest, rest.replace("[", "[[]")):
        names = glob.glob(wanted, root_dir=folder, recursive=True)
        if names:
            break
    return folder, [folder / name for name in sorted(names)]


def fixed_part(pattern: Path) -> tuple[Path, str]:
    """The folders in front that are there as they stand, and the rest of the pattern, of one part or more."""
    folder, parts = Path(pattern.anchor), list(pattern.relative_to(pattern.anchor).parts)
    while len(parts) > 1 and (folder / parts[0]).is_dir():
        folder /= parts.pop(0)
    return folder, str(Path(*parts))


def no_image(images: str) -> str:
    """What is said where no image is found: the part of the path that is missing, or what lies there instead."""
    folder, rest = fixed_part(Path(images))
    first = folder / Path(rest).parts[0]
    if first.is_dir():
        reason = f"it holds {held(first)}"
    elif glob.has_magic(first.name):
        reason = f"{folder} holds {held(folder)}"
    elif first != Path(images):
        reason = f"{first}: {no_folder(first)}"
    else:
        reason = f"there is nothing of that name (seen from {Path.cwd()}){near_name(first, folder.iterdir())}"
    return f"images={images}: no image found: {reason}; expected an image, a folder or a glob like 'a/*.jpg'"


def held(folder: Path) -> str:
    """The kinds of files in a folder and below, in words; hidden ones are none."""
    files = (path for path in islice(folder.rglob("*"), LOOKED_AT) if path.is_file())
    shown = (path for path in files if not any(part.startswith(".") for part in path.relative_to(folder).parts))
    if kinds := kinds_of_files(shown, SHOWN):
        return kinds
    return "no files but hidden ones" if any(folder.iterdir()) else "nothing"
