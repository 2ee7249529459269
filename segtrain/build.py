"""The one place where a name becomes an object, and where it is decided which names are trusted."""

import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from importlib import import_module
from pathlib import Path
from reprlib import repr as short
from types import ModuleType
from typing import Any

from .errors import UserError

TARGET, PARTIAL = "_target_", "_partial_"
DEEPEST, LONGEST = 64, 200  # mappings and lists in one another; characters of a dotted name
OWN_CONF = Path("conf")  # where one works: choices beside the shipped ones
ROOMS = {  # part of the settings: the rooms whose public names belong there
    "data": ("segtrain.data",),
    "augment": ("segtrain.data",),
    "model": ("segtrain.models", "segtrain.networks"),
    "loss": ("segtrain.losses",),
    "schedule": ("segtrain.training.schedules",),
    "logger": ("segtrain.training.loggers",),
}
OTHERS = {  # the names of others in the shipped files; in a clone, conf/ may have more, which are the user's own
    "optimizer": {"torch.optim.AdamW", "torch.optim.SGD"},
    "trainer": {"lightning.pytorch.Trainer"},
}
Spec = dict[str, Any]  # with `_target_`: what `build` makes an object of


@dataclass(frozen=True)
class Trust:
    """What the settings that someone stored may build. Where it can be `None`, that means: typed by the user."""

    allow: Collection[str] = ()  # names that the user trusts in every part of the settings

    def names(self, part: str) -> set[str]:
        """The names that are trusted in one part of the settings, such as `loss`: the public ones of its rooms, those
        of others in its shipped files, and what the user allows. A network is no loss, and a loss no network."""
        names = {*OTHERS.get(part, ()), *self.allow}
        for room in ROOMS.get(part, ()):
            names.update(f"{room}.{name}" for name in import_module(room).__all__)
        return names


def build_part(part: str, spec: Mapping[str, Any], trust: Trust | None, **extra: Any) -> Any:
    """`build` for one part of the settings, such as `loss`, with the names that are trusted there."""
    allow = None if trust is None else trust.names(part)
    return build(spec, allow, **extra)


def build(spec: Mapping[str, Any], allow: Collection[str] | None = None, **extra: Any) -> Any:
    """Calls what `_target_` names with the other entries; specs among them, at any depth, are built first.

    With `_partial_: true` the result is a `functools.partial`, which may lack parameters.

    Args:
        allow: Dotted names that may be called. `None` trusts every name, which is right for what the user typed and
            wrong for what comes out of a file.
        extra: Parameters that fill in or replace those of `spec`, and are taken as they are.
    """
    refuse_deep(spec, f"_target_ {short(spec.get(TARGET))}")
    return call(spec, allow, extra)


def refuse_deep(settings: Any, name: str) -> None:
    """Raises UserError for settings that could not be walked through without running out of stack."""
    waiting = [(settings, 1)]
    while waiting:
        value, depth = waiting.pop()
        if depth > DEEPEST:
            raise UserError(f"{name}: its settings are nested deeper than {DEEPEST} levels")
        waiting.extend((item, depth + 1) for item in inside(value))


def inside(value: Any) -> Iterable[Any]:
    """The values of a mapping, or the items of a list, tuple or set; of all else, nothing."""
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list | tuple | set) else ()


def call(spec: Mapping[str, Any], allow: Collection[str] | None, extra: Mapping[str, Any]) -> Any:
    """`build` for one spec and those in it."""
    name, partly = spec[TARGET], spec.get(PARTIAL, False)
    dotted(name)
    if allow is not None and name not in allow:
        raise UserError(f"_target_ {name!r} is not a shipped one in this place: if you trust it, type allow=[{name}]")
    if not isinstance(partly, bool):
        raise UserError(f"{name}: {PARTIAL} is {short(partly)}: expected true or false")
    target = locate(name)
    given = {key: build_inside(spec[key], allow) for key in spec if key not in {TARGET, PARTIAL, *extra}}
    given.update(extra)
    refuse_unknown(name, target, given)
    if partly:
        return partial(target, **given)
    refuse_incomplete(name, target, given)
    with nullcontext() if allow is None else from_stored(name):
        return target(**given)


@contextmanager
def from_stored(place: str) -> Iterator[None]:
    """Inside, stored values are used, which may be of any type: what fails there becomes a UserError, and is no bug."""
    try:
        yield
    except (UserError, OSError):
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {short(str(error))}"
        raise UserError(f"{place}: what is stored for it cannot be used ({reason}): is it damaged?") from error


def build_inside(value: Any, allow: Collection[str] | None) -> Any:
    """`value` with every spec in it built."""
    if is_spec(value):
        return call(value, allow, {})
    if isinstance(value, Mapping):
        return {key: build_inside(item, allow) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [build_inside(item, allow) for item in value]
    return value


def is_spec(value: Any) -> bool:
    return isinstance(value, Mapping) and TARGET in value


def locate(name: str) -> Callable[..., Any]:
    """What a dotted name stands for: a module is imported, the rest are its public attributes.

    A module that is only reached as another one's attribute (`torch.os.path.join`) is refused, so that a name says
    where its object comes from.
    """
    parts = dotted(name)
    found, rest = import_longest(parts[:-1])
    for part in [*rest, parts[-1]]:
        if not hasattr(found, part):
            raise UserError(f"_target_ {name!r}: {part!r} is not in {title(found)}{did_you_mean(part, dir(found))}")
        found = getattr(found, part)
        if isinstance(found, ModuleType):
            raise UserError(f"_target_ {name!r}: {title(found)} is a module: name what is wanted from it directly")
    if not callable(found):
        raise UserError(f"_target_ {name!r} is a {type(found).__name__}, which cannot be called")
    return found


def dotted(name: Any) -> list[str]:
    """The parts of a dotted name. Raises UserError for what is none, or has a part that begins with `_`."""
    parts = name.split(".") if isinstance(name, str) and len(name) <= LONGEST else []
    if len(parts) < 2 or not all(part.isidentifier() and not part.startswith("_") for part in parts):
        raise UserError(f"_target_ {short(name)} is not the dotted name of something public, such as torch.optim.AdamW")
    return parts


def import_longest(parts: list[str]) -> tuple[Any, list[str]]:
    """The module under the longest importable prefix, and the parts after it."""
    for end in range(len(parts), 0, -1):
        prefixes = {".".join(parts[:i]) for i in range(1, end + 1)}
        try:
            return import_module(".".join(parts[:end])), parts[end:]
        except ModuleNotFoundError as error:
            if error.name not in prefixes:  # the module is there, but something that it imports is not
                raise UserError(f"{'.'.join(parts[:end])} cannot be imported: {error}") from error
    raise UserError(f"_target_ in {'.'.join(parts)}: there is no module {parts[0]!r}")


def title(found: Any) -> str:
    return getattr(found, "__name__", str(found))


def refuse_unknown(name: str, target: Callable[..., Any], given: Iterable[str]) -> None:
    """Raises UserError for the first of the parameters `given` that `target` does not take.

    Nothing takes one that begins with `_`: Hydra's `_args_`, `_recursive_` and `_convert_` mean nothing here.
    """
    known = parameter_names(target)
    for key in given:
        if not isinstance(key, str) or key.startswith("_") or (known is not None and key not in known):
            raise UserError(f"{name} takes no {short(key)}{did_you_mean(str(key), known or ())}")


def parameter_names(target: Callable[..., Any]) -> list[str] | None:
    """The keywords that `target` takes; `None` if it takes any, or does not say."""
    try:
        parameters = inspect.signature(target).parameters.values()
    except ValueError:
        return None
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return [p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]


def refuse_incomplete(name: str, target: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """Raises UserError if `target` cannot be called with no more than the parameters `given`."""
    try:
        inspect.signature(target).bind(**given)
    except TypeError as error:
        raise UserError(f"{name}: {error}") from None
    except ValueError:  # a builtin without a signature: the call will say
        return


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """The end of a sentence about a wrong name: ': did you mean ...?', or nothing if no known name is near."""
    near = get_close_matches(name, [other for other in names if not other.startswith("_")], n=2)
    return f": did you mean {' or '.join(near)}?" if near else ""


def conf_folder() -> Path:
    """The shipped configuration: in a clone the folder beside the package, else the copy inside an installed one."""
    package = Path(__file__).parent
    clone = package.parent
    # some ways of installing leave a copy of conf/ in the package that nobody edits: the clone's own comes first
    return clone / "conf" if (clone / "pyproject.toml").is_file() and (clone / "conf").is_dir() else package / "conf"
