"""Run folders: making a new one, finding one that is there, and the files that say what the run is."""

import errno
import json
import os
import platform
import re
import subprocess
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, TextIO
from uuid import uuid4

import yaml

from .. import __version__, disk
from ..build import DEEPEST
from ..errors import UserError
from ..text import UNPRINTABLE, parse_yaml
from .record import Record, refuse_strange, renamed

try:
    import fcntl
except ImportError:
    fcntl = None

ROOT = Path("runs")
LATEST = ROOT / "latest"  # a note: one line, the path of the newest run from here
MAX_SETTINGS = 250_000  # characters
MAX_NOTE = 10_000  # bytes
# What a resumed run writes to where it is.
WRITTEN = (
    ".lock",
    "log.txt",
    "metrics.csv",
    "checkpoints",
    "samples",
    "wandb.json",
    "mlflow.json",
    "evaluate",
    "evaluate/test",
    "evaluate/val",
)


def lock(folder: Path) -> TextIO:
    """Keep other trainings out of `folder` for as long as what is returned stays open, or this process lives."""
    file = open(folder / ".lock", "a+")  # noqa: SIM115 - it stays open as long as the training lasts
    if fcntl is None:  # Windows
        return file
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # unlike flock, not inherited by processes that we start
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EAGAIN):  # a file system without locks
            return file
        file.seek(0)
        owner = file.read().strip()
        file.close()
        raise UserError(f"{folder}: another training is at work there ({owner}); wait, or stop it") from None
    file.truncate(0)
    file.write(f"process {os.getpid()} on {platform.node()}\n")
    file.flush()
    return file


def write_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """`config.yaml`: for people, and for going on before the first checkpoint."""
    text = yaml.safe_dump(json.loads(json.dumps(settings)), sort_keys=False, allow_unicode=True)  # json: no aliases
    disk.write(folder / "config.yaml", text)


def read_settings(folder: Path) -> dict[str, Any]:
    """What `write_settings` wrote. The file may come from anyone: raises UserError if it is not of that form."""
    path = folder / "config.yaml"
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(MAX_SETTINGS + 1)
        if len(text) > MAX_SETTINGS:
            raise UserError("too long")
        settings = parse_yaml(text, DEEPEST)
    except ValueError as error:
        raise UserError(f"{path}: not the settings of a run ({error})") from None
    if not isinstance(settings, dict):
        raise UserError(f"{path}: not the settings of a run ({type(settings).__name__} in place of a mapping)")
    settings = renamed(settings)
    refuse_strange(settings, f"{path}: these settings")
    return settings


def create(name: str, run_dir: str | None) -> Path:
    """A new, empty run folder: `run_dir`, or runs/NAME/DATE_TIME, which no other run can have taken."""
    if LATEST.is_dir() and not LATEST.is_symlink():
        raise UserError(f"{LATEST} is a folder, but the newest run is noted in a file of that name: rename the folder")
    if run_dir is not None:
        folder = Path(run_dir)
        if folder.absolute() == LATEST.absolute():
            raise UserError(f"run_dir={run_dir}: the newest run is noted there; name another folder")
        if folder.exists() and (not folder.is_dir() or any(map(matters, folder.iterdir()))):
            raise UserError(f"run_dir={run_dir}: exists and is not empty; name a new folder, or resume={run_dir}")
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    if ".." in Path(name).parts or Path(name).is_absolute():
        raise UserError(f"name={name}: expected a name without .. and without a / in front")
    return _unique(ROOT / name / time.strftime("%Y-%m-%d_%H-%M-%S"))


def matters(path: Path) -> bool:
    """Whether a file in a run folder is more than what a run leaves that was killed before it was one."""
    return path.name not in (".lock", "overrides.txt") and path.suffix != disk.TEMPORARY


def _unique(folder: Path) -> Path:
    """Make `folder`, or `folder`_2, _3, ...: whichever this process is the first to make."""
    candidate, number = folder, 1
    while True:
        try:
            candidate.mkdir(parents=True)
            return candidate
        except FileExistsError:
            number += 1
            candidate = folder.with_name(f"{folder.name}_{number}")


def point_latest(folder: Path) -> None:
    """Note in runs/latest that `folder` is the newest run, in one go; older versions had a symbolic link there.

    It is a file, since a link would show TensorBoard the newest run twice, and Windows has none for everybody.
    """
    LATEST.parent.mkdir(exist_ok=True)
    unfinished = LATEST.with_name(f"latest.{uuid4().hex}{disk.TEMPORARY}")  # no other run's, which may begin now too
    disk.write_through(unfinished, f"{way(LATEST.parent.resolve(), folder.resolve())}\n".encode())
    unfinished.replace(LATEST)


def way(start: Path, end: Path) -> str:
    """The path from a folder to another one; on Windows, from one drive to another, there is only the absolute one."""
    try:
        return Path(os.path.relpath(end, start)).as_posix()
    except ValueError:
        return end.as_posix()


def followed(path: Path) -> Path:
    """`path`, on which a note such as runs/latest stands for the run folder that it names."""
    for place in (path, *path.parents):
        if place.name == LATEST.name and place.is_file():
            return noted(place) / path.relative_to(place)
    return path


def noted(note: Path) -> Path:
    """The run folder that a note names. Raises UserError if it is no note, or if that run is gone."""
    with open(note, "rb") as file:
        line = file.read(MAX_NOTE).decode(errors="replace").strip()
    if not line or UNPRINTABLE.search(line) or "\ufffd" in line:
        raise UserError(f"{note}: not the path of a run; name the run folder itself")
    folder = (note.parent / line).resolve()
    if not os.path.isdir(folder):  # a name that is too long is none either
        raise FileNotFoundError(f"{note}: the run that it names is not there ({folder}); name another run folder")
    return folder


def find(run: str, setting: str = "run") -> Path:
    """The run folder that `run` names: a path, or `latest`; `setting` is what the user typed it for."""
    if "://" in run:
        raise UserError(f"{setting}={run}: remote addresses are not read; download it, and name the copy")
    folder = followed(LATEST).resolve() if run == "latest" else followed(Path(run))
    if run == "latest" and not folder.is_dir():
        raise FileNotFoundError(f"{setting}=latest: there is no run below {ROOT.resolve()} yet; train one first")
    if not folder.is_dir():
        hint = f"; {setting}=latest is the newest" if LATEST.exists() else ""
        raise FileNotFoundError(f"{setting}={run}: there is no such run folder{hint}")
    return folder


def checkpoint_files(run: str | None, checkpoint: str | None) -> list[Path]:
    """The file that `run=` or `checkpoint=` names, of which exactly one is given, or several files with commas between
    their names; of a run, its best one."""
    if run is not None and checkpoint is None:
        return [checkpoint_of(name, "best", "run") for name in several(run)]
    if run is not None or checkpoint is None:
        raise UserError("name the trained network: either run=FOLDER (or run=latest) or checkpoint=FILE")
    files = [followed(Path(name)) for name in several(checkpoint)]
    for file in files:
        refuse_no_checkpoint(file)
    return files


def several(names: str) -> list[str]:
    """`A,B` or `[A,B]` -> A and B, unless there is something of that whole name."""
    if os.path.exists(names):
        return [names]
    inside = names[1:-1] if names.startswith("[") and names.endswith("]") else names
    return [os.path.expanduser(name.strip()) for name in inside.split(",") if name.strip()] or [names]


def refuse_no_checkpoint(path: Path) -> None:
    """Raises an error unless a file is there."""
    if re.match(r"\w+:/", str(path)) and not path.exists():  # as pathlib writes https://
        raise UserError(f"{path}: remote checkpoints are not read; download the file, and name it here")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such checkpoint")


def trained_file(path: str, setting: str) -> Path:
    """The checkpoint file that `path` names, or of a run its best one; `setting` is what the user typed it for."""
    named = followed(Path(path))
    return named if named.is_file() else checkpoint_of(path, "best", setting)


def checkpoint_of(run: str, name: str, setting: str) -> Path:
    """The checkpoint `name` of a run."""
    file = find(run, setting) / "checkpoints" / f"{name}.ckpt"
    if not file.is_file():
        raise FileNotFoundError(f"{setting}={run}: it has no {file.name} yet; the first comes after a validation")
    return file


def folder_of(file: Path) -> Path:
    """The run folder that a checkpoint belongs to, or its own folder if it lies elsewhere."""
    return file.parent.parent if file.parent.name == "checkpoints" else file.parent


def write_environment(folder: Path, record: Record, device: str, changed: Mapping[str, Any]) -> None:
    """`environment.json`: what the run was made with, and its own name, which its checkpoints carry too; `changed` is
    what is not as when it began."""
    libraries = ("torch", "torchvision", "lightning", "hydra-core", "torchmetrics", "tensorboard")
    facts = {
        "run": record.run,
        "folder": str(folder.resolve()),
        "segtrain": __version__,
        "commit": commit(),
        "python": platform.python_version(),
        **{name: version(name) for name in libraries},
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "device": device,
        "data": record.fingerprint,
        "teacher": record.teacher,
        "changed": changed,
    }
    disk.write(folder / "environment.json", json.dumps(facts, indent=2) + "\n")


def read_environment(folder: Path) -> dict[str, Any]:
    """What `environment.json` says, which may be anyone's; nothing where it cannot be read."""
    try:
        facts = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


def identity(folder: Path) -> Any:
    """The name of a run, as `environment.json` has it; `None` where that cannot be read."""
    return read_environment(folder).get("run")


def beginnings(folder: Path, cwd: Any) -> list[str]:
    """Where the folder `cwd`, in which a run began, may be now: moved or copied together with the run, or as it was."""
    if not isinstance(cwd, str) or not cwd:
        return []
    before = read_environment(folder).get("folder")
    if not isinstance(before, str) or not before:
        return [cwd]
    try:
        return [os.path.normpath(os.path.join(folder.resolve(), os.path.relpath(cwd, before))), cwd]
    except ValueError:  # a character that no path has; on Windows, another drive
        return [cwd]


def commit() -> str | None:
    """The commit of the clone that segtrain runs from; `None` where it is installed, or git is missing."""
    clone = Path(__file__).resolve().parents[2]
    if not (clone / "pyproject.toml").is_file():
        return None
    command = ["git", "-C", str(clone), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
