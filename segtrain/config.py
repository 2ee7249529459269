"""Settings: composed by Hydra, made plain, and checked: every value fits the annotation of the parameter it goes to."""

import inspect
import os
import re
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, Unpack, get_args, get_origin, get_type_hints, is_typeddict

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from .build import OWN_CONF, PARTIAL, TARGET, conf_folder, did_you_mean, is_spec, locate, refuse_unknown
from .disk import file_name
from .errors import UserError, from_user
from .hints import other_network, other_word

PATHS = {  # settings that are paths, with what stands for their value in messages
    "data.root": "FOLDER",
    "data.group": "REGEX",  # no path, but just as full of special characters
    "data.layout": "NAME",  # which may hold the name of a folder
    "run": "FOLDER",
    "run_dir": "FOLDER",
    "checkpoint": "FILE",
    "runs": "FOLDERS",
    "images": "FOLDER",
    "out": "FOLDER",
    "resume": "FOLDER",
    "init": "FILE",
    "model.encoder.weights": "FILE",  # or the name of weights
    "teacher": "FILE",
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
LISTS = {
    "data.crop": "[512,512] (height, width)",
    "data.size": "[128,128] (height, width)",
    "save": "[mask,overlay]",
}
EXAMPLES = {int: ", such as 8", float: ", such as 0.002"}
ALIKE = 0.72  # from here on, of 1, a name may be what was meant by another
ANYTHING = (Any, object, inspect.Parameter.empty)  # annotations that say nothing


def data_name(choice: str, root: str | None) -> str:
    """What data are called in the name of a run: the choice of `data`, but of a folder of one's own that folder's name.

    conf/train.yaml calls it as ${data_name:CHOICE,ROOT}.
    """
    if choice != "folder" or root is None:
        return choice
    return file_name(os.path.basename(os.path.abspath(root))) or choice


OmegaConf.register_new_resolver("data_name", data_name, replace=True)


def plain(config: DictConfig, command: str, choices: Mapping[str, str]) -> dict[str, Any]:
    """The settings as dicts, lists and scalars, interpolations resolved; `choices` has the choice of each group."""
    with from_user(OmegaConfBaseException):  # an interpolation that leads nowhere
        missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        key = missing[0]
        group = key.split(".")[0]
        owner = f"{group}={choices[group]}" if choices.get(group) else command
        raise UserError(f"{owner} needs {key}={PATHS.get(key, 'VALUE')}: it has no value yet")
    settings = OmegaConf.to_container(config, resolve=True)
    assert isinstance(settings, dict)
    return {str(key): value for key, value in settings.items()}


def check(call: Callable[..., Any], settings: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """The arguments for `call`: `settings`, with dataclasses and paths made from the mappings and strings for them.

    Below a `_target_`, at any depth, values are checked against the signature of the target. A command that reads
    some of these values itself, and passes on something else, writes their types beside its parameter, and these
    count instead: `trainer: Annotated[dict, {"precision": str}]`.
    """
    expected = annotations(call)
    for key in settings:
        if key not in expected:
            raise UserError(f"unknown setting {join(where, key)}{did_you_mean(key, expected)}")
    optional = {key for key, value in inspect.signature(call).parameters.items() if value.default is not value.empty}
    for key in expected:
        if key not in settings and key not in optional:
            raise UserError(f"the setting {join(where, key)} is missing")
    return {key: argument(value, expected[key], join(where, key)) for key, value in settings.items()}


def argument(value: Any, annotation: Any, where: str) -> Any:
    """One argument of `check`; `where` is its dotted name."""
    overrides = annotation.__metadata__[0] if get_origin(annotation) is Annotated else None
    options = alternatives(annotation)
    for option in options:
        if isinstance(option, type) and is_dataclass(option) and isinstance(value, Mapping):
            return option(**check(option, value, where))
    check_value(value, annotation, where, overrides)
    if isinstance(value, str) and Path in options and str not in options:
        return Path(value)
    return value


def check_value(value: Any, annotation: Any, where: str, overrides: Mapping[str, Any] | None = None) -> None:
    """Raises UserError if `value` or a spec in it does not fit; `overrides` replace annotations of a spec's target."""
    if is_spec(value):
        check_spec(value, where, overrides or {})
        return
    if not fits(value, annotation):
        raise UserError(f"{where}: {show(value)} is not {describe(annotation)}{list_example(value, annotation, where)}")
    if isinstance(value, Mapping):
        for key, item in value.items():
            check_value(item, Any, join(where, key))
    if isinstance(value, list):
        for index, item in enumerate(value):
            check_value(item, Any, join(where, index))


def check_spec(spec: Mapping[str, Any], where: str, overrides: Mapping[str, Any]) -> None:
    """Raises UserError if a parameter in `spec` does not fit the signature of its target."""
    given = {key: value for key, value in spec.items() if key not in (TARGET, PARTIAL)}
    try:
        target = locate(spec[TARGET])
        refuse_unknown(spec[TARGET], target, given)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    if not isinstance(spec.get(PARTIAL, False), bool):
        raise UserError(f"{where}.{PARTIAL}: {show(spec[PARTIAL])} is not {describe(bool)}")
    expected = {**annotations(target), **overrides}
    for key, value in given.items():
        check_value(value, expected.get(key, Any), join(where, key))


def annotations(call: Callable[..., Any]) -> dict[str, Any]:
    """The annotation of each parameter that can be passed by its name, those of `**names: Unpack[TypedDict]` among
    them; `inspect.Parameter.empty` if it has none."""
    try:
        signature = inspect.signature(call, eval_str=True)
    except (NameError, AttributeError, TypeError):  # annotations that only a type checker can read stay strings
        signature = inspect.signature(call)
    except ValueError:  # a builtin that does not say
        return {}
    named: dict[str, Any] = {}
    for name, parameter in signature.parameters.items():
        if parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            named[name] = parameter.annotation
        elif get_origin(parameter.annotation) is Unpack and is_typeddict(get_args(parameter.annotation)[0]):
            named |= get_type_hints(get_args(parameter.annotation)[0], include_extras=True)
    return named


def fits(value: Any, annotation: Any) -> bool:
    """Whether a value, as YAML gives it, is of a type. A spec fits any type, any value a type that says nothing."""
    if is_spec(value) or annotation in ANYTHING or isinstance(annotation, str | TypeVar):
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
    """Whether a value is of the class `origin[parts]`. A bool is no int, an int is a float, a string is no sequence."""
    if isinstance(value, bool):
        return origin is bool
    if isinstance(value, int):
        return origin is float or accepts(origin, int)
    if isinstance(value, str):
        return origin is Path or (accepts(origin, str) and not accepts(origin, list))
    if isinstance(value, list):
        return fits_list(value, origin, parts)
    if isinstance(value, Mapping) and len(parts) == 2:
        key_type, item_type = parts
        keys, items = list(value.keys()), list(value.values())
        return accepts(origin, dict) and fits(keys, list[key_type]) and fits(items, list[item_type])
    return accepts(origin, type(value))


def fits_list(value: list[Any], origin: type, parts: tuple[Any, ...]) -> bool:
    """Whether a list is of the class `origin[parts]`; YAML has lists where Python has tuples."""
    if origin is tuple and parts and parts[-1] is not ...:
        return len(value) == len(parts) and all(map(fits, value, parts))
    is_sequence = origin is tuple or accepts(origin, list)
    return is_sequence and (not parts or all(fits(item, parts[0]) for item in value))


def accepts(origin: type, kind: type) -> bool:
    """Whether `kind` is a subclass of `origin`; never of a protocol or typed dict, where Python refuses to say."""
    try:
        return issubclass(kind, origin)
    except TypeError:
        return False


def alternatives(annotation: Any) -> list[Any]:
    """The members of a union, or the annotation itself; without the notes of `Annotated`."""
    if get_origin(annotation) is Annotated:
        return alternatives(get_args(annotation)[0])
    if get_origin(annotation) not in (Union, types.UnionType):
        return [annotation]
    members = []
    for part in get_args(annotation):
        members += alternatives(part)
    return members


def describe(annotation: Any) -> str:
    """A type in words for people who write YAML; of a union, only the members that YAML can hold."""
    options = alternatives(annotation)
    words, example = [], ""
    for option in list(filter(is_plain, options)) or options:
        words += phrases(option)
        example = example or EXAMPLES.get(option, "")
    *others, last = dict.fromkeys(words)
    if others:
        last = f"{', '.join(others)} or {last}"
    return last + example


def list_example(value: Any, annotation: Any, where: str) -> str:
    """How a list is typed, as the end of a sentence, where something else was typed in its place."""
    wanted = any(accepts(get_origin(option) or option, list) for option in filter(is_plain, alternatives(annotation)))
    if not wanted or isinstance(value, list | Mapping):
        return ""
    if where in LISTS:
        return f", such as {where}={LISTS[where]}"
    return f", such as {where}=[{value}]" if isinstance(value, int | float) else ""


def phrases(option: Any) -> list[str]:
    """The words of `describe` for one member of a union."""
    origin, parts = get_origin(option) or option, get_args(option)
    if origin in PHRASES:
        return PHRASES[origin]
    if origin is Literal:
        return list(map(show, parts))
    if origin is tuple and parts and parts[-1] is not ...:
        return [f"a list of {len(parts)}, [{', '.join(map(short, parts))}]"]
    if is_dataclass(origin) or (isinstance(origin, type) and accepts(origin, dict)):
        return ["a mapping"]
    if not is_plain(option):
        return [f"a {short(option)}"]
    return [f"a list of {short(parts[0])}" if parts else "a list"]


def short(annotation: Any) -> str:
    """A type in a word or two, such as `int | str`; of a union, only the members that YAML can hold."""
    names = []
    for option in alternatives(annotation):
        if is_plain(option):
            origin = get_origin(option) or option
            names.append(getattr(origin, "__name__", str(origin)))
    return " | ".join(names) or getattr(annotation, "__name__", str(annotation))


def is_plain(option: Any) -> bool:
    """Whether YAML can hold a value of this type."""
    origin = get_origin(option) or option
    if origin in PHRASES or origin in (Literal, tuple) or is_dataclass(origin):
        return True
    return isinstance(origin, type) and (accepts(origin, list) or accepts(origin, dict))


def show(value: Any) -> str:
    """A value as YAML writes it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value)


def join(where: str, key: Any) -> str:
    return f"{where}.{key}" if where else str(key)


def explain(error: Exception, command: str | None, words: Sequence[str], config_dir: str | None) -> str:
    """What Hydra or OmegaConf says about the words on the command line, for people who have not read their manuals."""
    text = str(error)
    if isinstance(error, MissingConfigException) and error.options and error.missing_cfg_file:
        return unknown_choice(error.missing_cfg_file, error.options, words)
    if "Config group override must be" in text:
        for word in words:
            name, value = name_and_value(word)
            if is_group(name) and re.fullmatch(r"null|true|false|[-+\d.e]*", value):
                return f"{word}: choose one, or leave it out ({name} is one of {', '.join(shipped_choices(name))})"
        return text
    if isinstance(error, OverrideParseException):
        name, value = name_and_value(error.override)
        if numbers := re.fullmatch(r"\((.*)\)", value):
            return f"{error.override}: type '{name}=[{numbers[1]}]' for a list"
        return f"{error.override}: cannot be read; a value with special characters needs quotes: \"{name}='...'\""
    if match := re.match(r"Ambiguous value for argument '(.*?)=(.*)'", text):
        name, value = match.groups()
        one = "type one of them" if is_group(name) else f"type {name}=[{value}] for a list"
        return f"{name}={value}: {one}, or add -m for one run with each value"
    match = re.match(r"Could not override '([^']+)'", text)
    if match and command:
        return unknown_setting(match[1], command, words, config_dir)
    text = re.split(r"\nSee https|\nConfig search path", text)[0]
    if error.__cause__:
        text = f"{text}: {error.__cause__}"
    return text


def unknown_choice(path: str, options: Sequence[str], words: Sequence[str]) -> str:
    """The message about a choice `path` (GROUP/CHOICE) that is not there: a name, or a folder typed in its place."""
    group, _, choice = path.rpartition("/")
    for word in words:  # which tells where the group ends if the choice is a folder
        name, value = name_and_value(word)
        if f"{name}/{value}" == path:
            group, choice = name, value
    near = did_you_mean(choice, options)
    if group == "model" and not near:
        near = other_network(choice)
    if group == "data" and not near and ("/" in choice or Path(choice).exists()):
        folder = choice if not Path(choice).is_file() else Path(choice).parent
        near = f": type data.root={folder} for a folder of your own"
    if "/" in choice:  # then Hydra's options are those of another place
        options = shipped_choices(group)
    return f"{group}={choice}: there is no such choice{near} ({group} is one of {', '.join(options)})"


def is_group(name: str) -> bool:
    """Whether a name is that of a shipped group."""
    return bool(re.fullmatch(r"\w+", name)) and (conf_folder() / name).is_dir()


def name_and_value(word: str) -> tuple[str, str]:
    """The two parts of a word on the command line, such as `+data=folder`, without the plus signs."""
    name, _, value = word.lstrip("+").partition("=")
    return name, value


def shipped_choices(group: str) -> list[str]:
    return sorted(file.stem for file in (conf_folder() / group).glob("*.yaml"))


def unknown_setting(name: str, command: str, words: Sequence[str], config_dir: str | None) -> str:
    """The message about a setting that `command` does not have, with those whose names are near."""
    known = known_settings(command, words, config_dir, name)
    typed = dict(map(name_and_value, words))
    if isinstance(known.get(name), Mapping):
        root = f"; {name}.root={typed[name]}" if Path(typed.get(name, "")).is_dir() else ""
        return f"{command} has no choice of {name}: its settings are typed as {name}.NAME=value{root}"
    if name == "data.root" and "data" in known:
        return "unknown setting data.root: choose data=folder too, or another kind of data that is read from files"
    hint = hint_for(name, typed, known)
    if hint and "did you mean" not in hint:
        return f"unknown setting {name}{hint}"
    parent = known.get(name.rpartition(".")[0], {})
    if is_spec(parent) and not parent[TARGET].startswith("segtrain."):  # shipped files list all parameters of ours
        hint += f" (+{name}={typed.get(name, '...')} passes it to {parent[TARGET]} all the same)"
    hint = hint or f" (python -m segtrain {command} --cfg job lists all)"
    return f"unknown setting {name}{hint}"


def hint_for(name: str, typed: Mapping[str, str], known: Mapping[str, Any]) -> str:
    """How an unknown setting is typed here, as the end of a sentence; nothing where that is not certain."""
    if hint := other_word(name, typed.get(name, ""), known, typed.get("model", "this network")):
        return hint
    near = nearest(name, known)
    return f": did you mean {' or '.join(near)}?" if near else ""


def option_hint(option: str, words: Sequence[str]) -> str:
    """How a word with dashes such as `--epochs`, the first of which is the command's name, is typed here, as the end of
    a sentence: its value is behind an equals sign, or the next word."""
    name, _, value = option.lstrip("-").partition("=")
    if not value:
        following = words[words.index(option) + 1 :]
        value = following[0] if following and not following[0].startswith("-") else ""
    command = words[0].rpartition("=")[2]
    if not (conf_folder() / f"{command}.yaml").is_file():
        return ""
    known = known_settings(command, [word for word in words if "=" in word and not word.startswith("-")], None, name)
    if name == "data" in known and value not in shipped_choices("data"):
        name = "data.root"
    if name.partition(".")[0] in known:
        return f": type {name}={value or '...'}"
    return hint_for(name, {name: value}, known)


def known_settings(command: str, words: Sequence[str], config_dir: str | None, without: str) -> dict[str, Any]:
    """The settings of `command` with the choices among `words`, but not that of `without`, by their dotted names."""
    own = own_folders(config_dir)
    places, overrides = [conf_folder(), *own], [search_in(own)]
    for word in words:
        group, _ = name_and_value(word)
        is_choice = re.fullmatch(r"[\w/]+=[\w.-]+", word) and any((place / group).is_dir() for place in places)
        if is_choice and group != without:
            overrides.append(word)
    with initialize_config_dir(str(conf_folder().absolute()), version_base="1.3"):
        config = compose(command, overrides)
    return dict(tree(OmegaConf.to_container(config)))


def own_folders(config_dir: str | None) -> list[Path]:
    """The folders with choices of one's own: that of `--config-dir`, and `conf/` where one works. Hydra looks into the
    shipped one first, which in a clone may be one of these, and is left out."""
    folders = [Path(config_dir), OWN_CONF] if config_dir else [OWN_CONF]
    return [folder for folder in folders if folder.is_dir() and not folder.samefile(conf_folder())]


def search_in(folders: Sequence[Path]) -> str:
    """The setting by which Hydra looks into these folders too."""
    quoted = [QuotedString(f"file://{folder.absolute()}", Quote.single).with_quotes() for folder in folders]
    return f"hydra.searchpath=[{','.join(quoted)}]"


def own_choices(choices: Mapping[str, str | None], folders: Sequence[str]) -> list[str]:
    """What is to be said of choices out of folders of one's own, in lines: which are taken, and which are passed over
    since a shipped one has the same name. Hydra looks into `folders`, the shipped one among them."""
    lines = []
    for group, choice in choices.items():
        for folder in map(Path, folders):
            file = folder / group / f"{choice}.yaml"
            if folder == conf_folder() or not file.is_file():
                continue
            place = os.path.relpath(file)
            if (conf_folder() / group / file.name).is_file():
                lines.append(f"{group}={choice} is the shipped one: {place}, which has its name, is passed over")
            else:
                lines.append(f"{group}={choice} is {place}")
            break
    return lines


def tree(node: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Each setting under its dotted name, mappings as well as what is in them."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield join(where, key), value
            yield from tree(value, join(where, key))


def nearest(name: str, names: Iterable[str]) -> list[str]:
    """The names most like `name`, below the part that they have in common or in their last part; none if none is."""
    likeness = {}
    for other in names:
        last = other.split(".")[-1]
        if not last.startswith("_"):
            parts = [ratio(*without_common(name, other)), ratio(name.split(".")[-1], last)]
            likeness[other] = max(parts)
    enough = max(ALIKE, max(likeness.values(), default=0) - 0.05)
    near = [other for other, alike in likeness.items() if alike >= enough]
    return sorted(near, key=lambda other: -likeness[other])[:3]


def without_common(name: str, other: str) -> tuple[str, str]:
    """Two dotted names without the parts in front that are the same; a name that is one of these parts stays."""
    names, others = name.split("."), other.split(".")
    while len(names) > 1 and len(others) > 1 and names[0] == others[0]:
        del names[0], others[0]
    return ".".join(names), ".".join(others)


def ratio(word: str, other: str) -> float:
    return SequenceMatcher(None, word, other).ratio()
