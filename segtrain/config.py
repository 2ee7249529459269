"""Settings: composed by Hydra, made plain, and checked: every value fits the annotation of the parameter it goes to."""

import inspect
import re
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from hydra import compose, initialize_config_dir
from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from .build import PARTIAL, TARGET, conf_folder, did_you_mean, is_spec, locate, refuse_unknown
from .errors import UserError, from_user

PATHS = {  # settings that are paths, with what stands for their value in messages
    "data.root": "FOLDER",
    "data.group": "REGEX",  # no path, but just as full of special characters
    "data.layout": "NAME",  # which may hold the name of a folder
    "run": "FOLDER",
    "run_dir": "FOLDER",
    "checkpoint": "FILE",
    "images": "FOLDER",
    "out": "FOLDER",
    "resume": "FOLDER",
    "init": "FILE",
}
PHRASES = {  # the values of a type, in words for people who write YAML
    bool: ["true", "false"],
    int: ["a whole number (int)"],
    float: ["a number (float)"],
    str: ["a text"],
    Path: ["a path"],
    None: ["null"],
    types.NoneType: ["null"],
}
EXAMPLES = {int: ", such as 8", float: ", such as 0.002"}


def plain(config: DictConfig, command: str, choices: Mapping[str, str]) -> dict[str, Any]:
    """The settings as dicts, lists and scalars, with interpolations resolved.

    Args:
        choices: of each group, for the message about a setting that has no value.

    Raises:
        UserError: for a setting that has no value (`???`).
    """
    with from_user(OmegaConfBaseException):  # an interpolation that leads nowhere
        missing = sorted(OmegaConf.missing_keys(config))
    for key in missing:
        group = key.split(".")[0]
        owner = f"{group}={choices[group]}" if choices.get(group) else command
        raise UserError(f"{owner} needs {key}={PATHS.get(key, 'VALUE')}: it has no value yet")
    settings = OmegaConf.to_container(config, resolve=True)
    assert isinstance(settings, dict)
    return {str(key): value for key, value in settings.items()}


def check(function: Callable[..., Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments for `function`: `settings`, with dataclasses and paths made from the mappings and strings for them.

    Below a `_target_`, at any depth, values are checked against the signature of the target. A command that reads
    some of these values itself, and passes on something else, says so beside its parameter, and its word counts:
    `trainer: Annotated[dict, {"precision": str}]`.

    Raises:
        UserError: for unknown and missing names, and for values that do not fit, naming the setting.
    """
    return arguments(function, settings, "")


def arguments(call: Callable[..., Any], settings: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Checked arguments for a command, or for a dataclass that stands at `where`."""
    expected = annotations(call)
    for key in settings:
        if key not in expected:
            raise UserError(f"unknown setting {join(where, key)}{did_you_mean(key, expected)}")
    for key, parameter in inspect.signature(call).parameters.items():
        if parameter.default is parameter.empty and key not in settings:
            raise UserError(f"the setting {join(where, key)} is missing")
    return {key: argument(value, expected[key], join(where, key)) for key, value in settings.items()}


def argument(value: Any, annotation: Any, where: str) -> Any:
    """One checked argument."""
    overrides = {}
    if get_origin(annotation) is Annotated:
        annotation, *notes = get_args(annotation)
        overrides = next((note for note in notes if isinstance(note, Mapping)), {})
    for option in alternatives(annotation):
        if isinstance(option, type) and is_dataclass(option) and isinstance(value, Mapping):
            return option(**arguments(option, value, where))
    check_value(value, annotation, where, overrides)
    paths_only = Path in alternatives(annotation) and str not in alternatives(annotation)
    return Path(value) if isinstance(value, str) and paths_only else value


def check_value(value: Any, annotation: Any, where: str, overrides: Mapping[str, Any] | None = None) -> None:
    """Raises UserError if `value` does not fit; what a spec will build is unknown here, its inside is not."""
    if is_spec(value):
        check_spec(value, where, overrides or {})
        return
    if not fits(value, annotation):
        raise UserError(f"{where}: {show(value)} is not {describe(annotation)}")
    inside = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inside:
        check_value(item, Any, join(where, key))


def check_spec(spec: Mapping[str, Any], where: str, overrides: Mapping[str, Any]) -> None:
    """Raises UserError if a parameter in `spec` does not fit the signature of its target."""
    try:
        target = locate(spec[TARGET])
        given = {key: value for key, value in spec.items() if key not in (TARGET, PARTIAL)}
        refuse_unknown(spec[TARGET], target, given)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    if not isinstance(spec.get(PARTIAL, False), bool):
        raise UserError(f"{where}.{PARTIAL}: {show(spec[PARTIAL])} is not {describe(bool)}")
    expected = {**annotations(target), **overrides}
    for key, value in given.items():
        check_value(value, expected.get(key, Any), join(where, key))


def annotations(call: Callable[..., Any]) -> dict[str, Any]:
    """The annotation of each parameter that has a keyword; `Any` where there is none."""
    try:
        signature = inspect.signature(call, eval_str=True)
    except (NameError, AttributeError, TypeError):  # annotations that only a type checker can read: taken as Any
        signature = inspect.signature(call)
    except ValueError:  # a builtin that does not say
        return {}
    return {
        name: Any if parameter.annotation is parameter.empty else parameter.annotation
        for name, parameter in signature.parameters.items()
        if parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    }


def fits(value: Any, annotation: Any) -> bool:
    """Whether a value, as YAML gives it, is of a type. What a spec builds and types that say nothing are accepted."""
    if is_spec(value) or annotation in (Any, object) or isinstance(annotation, str | TypeVar):
        return True
    options = alternatives(annotation)
    if options != [annotation]:
        return any(fits(value, option) for option in options)
    origin, parts = get_origin(annotation) or annotation, get_args(annotation)
    if origin is Literal:
        return any(type(value) is type(part) and value == part for part in parts)
    if origin in (None, types.NoneType):
        return value is None
    return fits_class(value, origin, parts) if isinstance(origin, type) else True


def fits_class(value: Any, origin: type, parts: tuple[Any, ...]) -> bool:
    """`fits` for a class and its type arguments. A bool is no int, an int is a float, a string is no sequence."""
    if isinstance(value, bool) or origin is bool:
        return isinstance(value, bool) and origin is bool
    if isinstance(value, str):
        return origin is Path or (accepts(origin, str) and not accepts(origin, list))
    if isinstance(value, int):
        return origin is float or accepts(origin, int)
    if isinstance(value, list) and origin is tuple:
        return fits_tuple(value, parts)
    if isinstance(value, list):
        return accepts(origin, list) and all(fits(item, part) for item in value for part in parts)
    if isinstance(value, Mapping) and accepts(origin, dict) and len(parts) == 2:
        return all(fits(key, parts[0]) and fits(item, parts[1]) for key, item in value.items())
    return accepts(origin, type(value))


def fits_tuple(value: list[Any], parts: tuple[Any, ...]) -> bool:
    if parts and parts[-1] is ...:
        return all(fits(item, parts[0]) for item in value)
    return not parts or (len(value) == len(parts) and all(map(fits, value, parts)))


def accepts(origin: type, kind: type) -> bool:
    """`issubclass`, where protocols and typed dicts, which do not answer it, are no type of plain values."""
    try:
        return issubclass(kind, origin)
    except TypeError:
        return False


def alternatives(annotation: Any) -> list[Any]:
    """The members of a union, or the annotation itself; without the notes of `Annotated`."""
    if get_origin(annotation) is Annotated:
        return alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [option for part in get_args(annotation) for option in alternatives(part)]
    return [annotation]


def describe(annotation: Any) -> str:
    """A type in words for people who write YAML; of a union, only what YAML can hold."""
    options = alternatives(annotation)
    options = [option for option in options if is_plain(option)] or options
    *words, last = dict.fromkeys(word for option in options for word in phrases(option))
    example = next((EXAMPLES[option] for option in options if option in EXAMPLES), "")
    return (f"{', '.join(words)} or {last}" if words else last) + example


def phrases(option: Any) -> list[str]:
    """`describe` for one member of a union."""
    origin, parts = get_origin(option) or option, get_args(option)
    if origin in PHRASES:
        return PHRASES[origin]
    if origin is Literal:
        return [show(part) for part in parts]
    if origin is tuple and parts and parts[-1] is not ...:
        return [f"a list of {len(parts)}, [{', '.join(map(short, parts))}]"]
    if is_dataclass(origin) or (isinstance(origin, type) and accepts(origin, dict)):
        return ["a mapping"]
    if is_plain(option):
        return [f"a list of {short(parts[0])}" if parts else "a list"]
    return [f"a {short(option)}"]


def short(annotation: Any) -> str:
    """`describe` in a word or two: the names of the types."""
    options = alternatives(annotation)
    names = [getattr(get_origin(option) or option, "__name__", str(option)) for option in options if is_plain(option)]
    return " | ".join(names) or str(getattr(annotation, "__name__", annotation))


def is_plain(option: Any) -> bool:
    """Whether YAML can hold a value of this type."""
    origin = get_origin(option) or option
    collection = isinstance(origin, type) and (accepts(origin, list) or accepts(origin, dict) or origin is tuple)
    return origin in PHRASES or origin is Literal or collection or is_dataclass(origin)


def show(value: Any) -> str:
    """A value as YAML writes it."""
    words = {None: "null", True: "true", False: "false"}
    return words[value] if value is None or isinstance(value, bool) else repr(value)


def join(where: str, key: Any) -> str:
    return f"{where}.{key}" if where else str(key)


def explain(error: Exception, command: str | None, words: Sequence[str], folder: str | None) -> str:
    """What Hydra or OmegaConf says about the words on the command line, for people who have not read their manuals.

    Args:
        words: the settings that were typed.
        folder: of the user's own configuration, if any.
    """
    text = str(error)
    if isinstance(error, MissingConfigException) and error.options and error.missing_cfg_file:
        return unknown_choice(error.missing_cfg_file, error.options, words)
    if "Config group override must be" in text:  # null, or a number
        plain_values = [
            word for word in words if is_group(word) and re.fullmatch(r"[^=]*=(null|true|false|[-+\d.e]*)", word)
        ]
        return next(map(needs_choice, plain_values), text)
    if isinstance(error, OverrideParseException):
        name = error.override.partition("=")[0]
        return f"{error.override}: cannot be read; a value with special characters needs quotes: \"{name}='...'\""
    if match := re.match(r"Ambiguous value for argument '(.*?)=(.*)'", text):
        name, value = match.groups()
        one = "type one of them" if is_group(name) else f"type {name}=[{value}] for a list"
        return f"{name}={value}: {one}, or add -m for one run with each value"
    if (match := re.match(r"Could not override '([^']+)'", text)) and command:
        return unknown_setting(match[1], command, words, folder)
    text = re.split(r"\nSee https|\nConfig search path", text)[0]
    return f"{text}: {error.__cause__}" if error.__cause__ else text


def unknown_choice(path: str, options: Sequence[str], words: Sequence[str]) -> str:
    """The message about a choice `path` (GROUP/CHOICE) that is not there: a name, or a folder typed in its place."""
    pairs = [word.lstrip("+").partition("=")[::2] for word in words]
    group, choice = next((pair for pair in pairs if "/".join(pair) == path), path.rpartition("/")[::2])
    near = did_you_mean(choice, options)
    if group == "data" and not near and ("/" in choice or Path(choice).is_dir()):
        near = f": type data.root={choice} for a folder of your own"
    known = [file.stem for file in sorted((conf_folder() / group).glob("*.yaml"))] if "/" in choice else options
    return f"{group}={choice}: there is no such choice{near} ({group} is one of {', '.join(known)})"


def is_group(word: str) -> bool:
    """Whether a word on the command line chooses from a shipped group."""
    name = word.lstrip("+").partition("=")[0]
    return bool(re.fullmatch(r"\w+", name)) and (conf_folder() / name).is_dir()


def needs_choice(word: str) -> str:
    name = word.lstrip("+").partition("=")[0]
    known = ", ".join(file.stem for file in sorted((conf_folder() / name).glob("*.yaml")))
    return f"{word}: choose one, or leave it out ({name} is one of {known})"


def unknown_setting(name: str, command: str, words: Sequence[str], folder: str | None) -> str:
    """The message about a setting that `command` does not have, with those whose names are near."""
    places = [conf_folder(), *([Path(folder)] if folder else [])]
    choices = [word for word in words if re.fullmatch(r"[\w/]+=[\w.-]+", word)]
    choices = [word for word in choices if any((place / word.partition("=")[0]).is_dir() for place in places)]
    search = [f"hydra.searchpath=['file://{Path(folder).absolute()}']"] if folder else []
    with initialize_config_dir(str(places[0].absolute()), version_base="1.3"):
        config = compose(command, [word for word in choices if not word.startswith(f"{name}=")] + search)
    known = dict(tree(OmegaConf.to_container(config)))
    if name in known:
        return f"{command} has no choice of {name}: its settings are typed as {name}.NAME=value"
    if name == "data.root":
        return "unknown setting data.root: choose data=folder too, or another kind of data that is read from files"
    near = nearest(name, known)
    hint = f": did you mean {' or '.join(near)}?" if near else ""
    parent = known.get(name.rpartition(".")[0])
    if isinstance(parent, dict) and is_spec(parent) and not parent[TARGET].startswith("segtrain."):  # ours list all
        word = next((word for word in words if word.startswith(f"{name}=")), f"{name}=...")
        hint += f" (+{word} passes it to {parent[TARGET]} all the same)"
    return f"unknown setting {name}{hint or f' (python -m segtrain {command} --cfg job lists all)'}"


def tree(node: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Each setting under its dotted name, mappings as well as what is in them."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield join(where, key), value
            yield from tree(value, join(where, key))


def nearest(name: str, names: Iterable[str]) -> list[str]:
    """The names most like `name` as a whole or in their last part, if any is like it at all."""

    def likeness(other: str) -> float:
        pairs = (name, other), (name.split(".")[-1], other.split(".")[-1])
        return max(SequenceMatcher(None, *pair).ratio() for pair in pairs)

    scores = {other: likeness(other) for other in names if not other.split(".")[-1].startswith("_")}
    enough = max(0.65, max(scores.values(), default=0) - 0.05)
    return sorted((other for other in scores if scores[other] >= enough), key=lambda other: -scores[other])[:3]
