"""`copy`: a file of the configuration, under a name of its own, where it can be edited."""

import re
from collections.abc import Iterable
from pathlib import Path

import yaml

from .. import __version__, disk
from ..build import OWN_CONF, conf_folder, did_you_mean
from ..errors import UserError
from ..report.screen import COMMAND, say

PACKAGE = "# @package"  # Hydra's, which must be the first line
NAME = re.compile(r"\w[\w-]*")


def copy(*, choice: str | None, to: str | None) -> Path:
    """Copy a file of conf/ to `conf/` in the current folder, where all commands find it.

    Args:
        choice: GROUP/NAME of the file.
        to: The name of the copy; `None` for my_NAME.
    """
    if choice is None:
        raise UserError(f"copy what? For example: {COMMAND} copy experiment=camvid_cpu")
    source = found(*choice.split("/", 1))
    group, name = source.parent.name, source.stem
    to = to or f"my_{name}"
    target = OWN_CONF / group / f"{to}.yaml"
    refuse_taken(group, to, target)
    text = source.read_text(encoding="utf-8")
    target.parent.mkdir(parents=True, exist_ok=True)
    disk.write(target, with_origin(text, f"{group}={name}"))
    train = f"{COMMAND} train {group}={to}"
    say(f"{target}: a copy of {group}={name}, to be edited")
    say(f"next: {train}{' data.root=FOLDER' if wants_folder(group, text) else ''}")
    say(f"all settings, as they would be used: {train} --cfg job")
    return target


def found(group: str, name: str) -> Path:
    """The file of a choice, which may be a copy itself."""
    groups = sorted({file.parent.name for file in conf_folder().glob("*/*.yaml")} - {"hydra"})
    if group not in groups:
        raise UserError(f"{group}={name}: there is no such group{meant(group, groups)}")
    files = {file.stem: file for file in (OWN_CONF / group).glob("*.yaml")}
    files |= {file.stem: file for file in (conf_folder() / group).glob("*.yaml")}
    if not name:
        raise UserError(f"copy {group}=NAME: NAME is one of {', '.join(sorted(files))}")
    if name not in files:
        raise UserError(f"{group}={name}: there is no such choice{meant(name, sorted(files))}")
    return files[name]


def meant(word: str, names: Iterable[str]) -> str:
    """What may have been meant, and what there is, as the end of a sentence."""
    return f"{did_you_mean(word, names)} (there are {', '.join(names)})"


def refuse_taken(group: str, name: str, target: Path) -> None:
    """Raises UserError for a name that cannot be typed, or is another file's: nothing is overwritten."""
    if not NAME.fullmatch(name):
        raise UserError(f"to={name}: expected a name, such as to=mine, of letters, digits, _ and -")
    if target.exists():
        raise UserError(f"{target} is there already: type to=NAME for another name")
    if (conf_folder() / group / target.name).exists():
        raise UserError(f"to={name}: a shipped {group} has this name: type another one")


def with_origin(text: str, origin: str) -> str:
    """The text of a file, with a line that says what it was copied from."""
    first, line_end, rest = text.partition("\n") if text.startswith(PACKAGE) else ("", "", text)
    return f"{first}{line_end}# A copy of {origin} of segtrain {__version__}, where it began as follows.\n{rest}"


def wants_folder(group: str, text: str) -> bool:
    """Whether what is chosen with this file needs `data.root`."""
    content = yaml.safe_load(text) or {}
    if group == "data":
        return "root" in content
    return any("override /data" in default for default in content.get("defaults", ()) if isinstance(default, dict))
