"""argv → Hydra → command, and one line for every error. Neither Hydra nor torch is imported before it is needed."""

import errno
import os
import re
import sys
from argparse import Action, ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

from . import __version__
from .errors import UserError
from .machine.signals import ctrl_c_ends

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from .sweep import Sweep

RUN = "python -m segtrain"
COMMANDS = {  # name: what it does, an example
    "check": ("explain a folder of images and masks, and say what is wrong with it", "data.root=photos"),
    "train": ("train a network on images and masks; without data, on generated shapes", "data.root=photos"),
    "evaluate": ("score a trained network: mIoU, and the IoU of each class", "run=latest"),
    "export": ("write a trained network as a file for other programs, and check that", "run=latest format=onnx"),
    "compare": ("say which of several runs is better, and whether that can be told", "runs=[A,B]"),
    "benchmark": ("say where the time of a training goes on this machine", "data.root=photos"),
    "search": ("try settings of a training, and say which are best", "data.root=photos trials=30"),
    "models": ("list the networks: parameters, GFLOPs, pretrained weights", "find=convnext"),
    "copy": ("put a recipe, or another file of conf/, where it can be edited", "experiment=camvid_cpu"),
    "predict": ("write masks and overlays for new images", "run=latest images=photos/new"),
}
SMALLER = (
    "in training lower data.batch_size or data.crop, or set trainer.accumulate_grad_batches=2; for whole images "
    "(validation, evaluate, predict)"
)
KNOWN = (  # errors of libraries: how they look, what to say, the exit status; the first that fits
    (
        r"unable to .*file </torch_|shared memory object|allocate shared memory|signal: Bus error|"
        r"(insufficient|out of) shared memory",
        "shared memory (/dev/shm) is full: lower data.workers (0 needs none), or give a container more of it (docker "
        "run --shm-size=8g, or --ipc=host)",
        2,
    ),
    (
        r"OutOfMemoryError|CUDA error: out of memory",
        f"out of memory: {SMALLER} take trainer.accelerator=cpu or smaller images",
        2,
    ),
    (
        r"^\w*MemoryError|[Cc]an(no|')t allocate memory|Unable to allocate",
        f"out of memory: {SMALLER} take smaller images, or a machine with more memory",
        2,
    ),
    (
        r"received \d+ items of ancdata",
        "the processes that read the data have no open files left: lower data.workers, or raise the limit (ulimit -n)",
        2,
    ),
    (
        r"DataLoader worker .*(killed|exited)",
        "a process that reads the data was killed (for lack of memory?): lower data.workers",
        2,
    ),
    (r"Connection (closed|reset) by peer", "another process of this run has ended: its own line says why", 1),
)
ADVICE = {  # after the system's own words
    errno.ENOSPC: "; free some space on that disk",
    errno.EDQUOT: "; free some of your space on that disk",
    errno.EACCES: "; change its permissions, or name another place",
    errno.EPERM: "; change its permissions, or name another place",
    errno.EROFS: "; name another place (run_dir= or out=)",
    errno.EMFILE: "; lower data.workers, or raise the limit (ulimit -n)",
}
DATA_CHOICE = re.compile(r"\+*(data|data\._target_|experiment)=")
NAMES = re.compile(r"(?!null\b)\w[\w.,-]*")  # one, or several of a sweep
SETTING = re.compile(r"(\+{0,2})([\w./@]+)=(.*)", re.DOTALL)


def run() -> NoReturn:
    """The program."""
    ctrl_c_ends()
    sys.exit(main())


def main() -> int:
    """Does what `sys.argv` says and returns the exit status."""
    try:
        return start(sys.argv[1:])
    except Exception as error:
        return report(error)


def start(words: list[str]) -> int:
    """Answers at once what needs no Hydra, and gives it the rest with the command as --config-name."""
    if not words or words[0] in ("-h", "--help"):
        print(usage())
    elif "--version" in words:
        print(f"segtrain {__version__}")
    else:
        first = words[0] if words[0].startswith("-") else f"--config-name={command_name(words[0])}"
        return run_hydra([first, *words[1:]])
    return 0


def usage() -> str:
    """What is printed without a command: each of them with an example."""
    commands = "\n".join(f"  {name:10}{what}\n{'':12}{RUN} {name} {how}" for name, (what, how) in COMMANDS.items())
    return f"""segtrain {__version__}: trains networks that segment images

  {RUN} COMMAND [setting=value ...]

{commands}

Begin with {RUN} train, which needs no data, or with check on a folder of your own. What a command makes lies in
a new folder below runs/, and run=latest is the newest of these. A GPU is used where there is one.

{RUN} COMMAND --help lists the settings of a command."""


def command_name(word: str | None) -> str:
    """`word`, if it is the name of a command."""
    if word in COMMANDS:
        return word
    if word is None or "=" in word:
        raise UserError(f"the command comes first, as in: {RUN} train {word or ''}".rstrip())
    from .config import did_you_mean

    raise UserError(f"unknown command {word!r}{did_you_mean(word, COMMANDS)} ({RUN} lists the commands)")


def run_hydra(words: list[str]) -> int:
    """Writes `words` into `sys.argv` as Hydra reads them, leaves everything else to Hydra, and returns the exit status:
    1 if jobs of a sweep have failed.

    The command stays among them as --config-name, since Lightning starts the processes of other devices with the
    same words. Errors of the command itself end in `run_command`; those that come out here are about the words.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises its errors instead of printing them
    adapt_hydra()
    import hydra

    from .config import conf_folder

    options = parse(words)
    if options.shell_completion:
        if not (words := completion(words, options.overrides)):
            return 0
    elif not options.hydra_help:
        first = f"--config-name={command_name(options.config_name)}"
        others = [word for word in words if word != first and word not in options.overrides]
        options.overrides = rewrite(options)
        words = [first, *options.overrides, *others]
    sys.argv[1:] = words
    with explained(options):
        hydra.main(version_base="1.3", config_path=str(conf_folder()))(run_command)()
    if not options.multirun:
        return 0
    from .sweep import Table

    return 1 if Table.failed else 0


@contextmanager
def explained(options: Namespace) -> Iterator[None]:
    """Inside, what Hydra says of the settings that were typed becomes one line."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    from .config import explain

    try:
        yield
    except (HydraException, OmegaConfBaseException, YAMLError, ValueError) as error:
        raise UserError(explain(error, options.config_name, options.overrides, options.config_dir)) from error


def run_command(config: "DictConfig") -> None:
    """What Hydra calls with the composed settings. Errors end here, because Hydra would print lines of its own."""
    from .sweep import Sweep

    sweep = Sweep.current()
    if sweep is None:
        status, _, _ = carried_out(config)
        if status:
            raise SystemExit(status)
    else:
        take_part(sweep, config)


def carried_out(config: "DictConfig") -> tuple[int, Any, str | None]:
    """The exit status of a command, what it returned, and its error in a line."""
    try:
        function, arguments = resolved(config)
        result = function(**arguments)
    except Exception as error:
        return report(error), None, one_line(error)
    status = result if isinstance(result, int) else getattr(result, "status", 0)
    return status, result, None


def take_part(sweep: "Sweep", config: "DictConfig") -> None:
    """Carry out a job of a sweep, unless it was done before."""
    from .sweep import Job

    before = sweep.before()
    if before is not None:
        print(f"done before: {' '.join(sweep.words)}: {before.folder}")
        sweep.note(before)
        return
    status, result, error = carried_out(config)
    folder = getattr(result, "folder", None)
    miou = getattr(result, "miou", None)
    sweep.note(Job(sweep.words, status, miou, None if folder is None else str(folder), error))


def resolved(config: "DictConfig") -> tuple[Callable[..., Any], dict[str, Any]]:
    """The function of the command that Hydra has composed settings for, and its arguments."""
    from hydra.core.hydra_config import HydraConfig

    from .config import check, own_choices, plain
    from .places import refuse_absent

    hydra_settings = HydraConfig.get()
    name, runtime = str(hydra_settings.job.config_name), hydra_settings.runtime
    if os.environ.get("LOCAL_RANK", "0") == "0":  # of several processes, the first one of a machine
        folders = [source.path for source in runtime.config_sources if source.schema == "file"]
        for line in own_choices(runtime.choices, folders):
            print(line)
    settings = plain(config, name, runtime.choices)
    if settings.get("resume") and not any(map(DATA_CHOICE.match, hydra_settings.overrides.task)):
        settings["data"].pop("_target_", None)  # the run's data may be of another kind, with other parameters
    refuse_absent(settings)
    function = getattr(import_module(f".commands.{name}", __package__), name)
    return function, check(function, settings)


def adapt_hydra() -> None:
    """Two changes to Hydra up to 1.3.8, before it is used."""
    from hydra.core.config_store import ConfigStore

    # Listing the choices of a group copies all of Hydra's built-in configuration, dozens of times for --help and for
    # completion: without this, `train --help` takes twice as long. Nothing writes to the copies.
    ConfigStore.__deepcopy__ = lambda self, memo: self  # type: ignore[attr-defined]
    if sys.version_info >= (3, 14) and not hasattr(ArgumentParser._check_help, "passes_objects"):
        # There argparse reads help texts as they are added, and fails on Hydra's, which is an object until printed.
        check_texts = ArgumentParser._check_help  # type: ignore[attr-defined]

        def check_help(self: ArgumentParser, action: Action) -> None:
            if isinstance(action.help, str):
                check_texts(self, action)

        check_help.passes_objects = True  # type: ignore[attr-defined]
        ArgumentParser._check_help = check_help  # type: ignore[attr-defined]


def parse(words: list[str]) -> Namespace:
    """Hydra's options and overrides among `words`, in any order."""
    from hydra._internal.utils import get_args_parser

    from .config import option_hint

    def fail(message: str) -> NoReturn:
        if "unrecognized" in message:
            hints = [option_hint(word, words) for word in words if word in message.split()]
            message += f": settings are typed without dashes, as name=value{''.join(hints[:1])}"
        raise UserError(message)

    parser = get_args_parser()
    parser.error = fail
    return parser.parse_intermixed_args(words)


def rewrite(options: Namespace) -> list[str]:
    """The settings that were typed, as Hydra must be given them, and the choice of data that they imply."""
    from .config import own_folders, search_in

    if options.config_name == "copy":
        return named_choice(options.overrides)
    for word in options.overrides:
        if not re.match(r"~|[^=]+=", word):
            example = f"run={word}" if options.run else "train.epochs=30"
            raise UserError(f"{word!r} is not a setting: type name=value, such as {example}")
    typed = {match[2]: match[3] for match in map(SETTING.fullmatch, options.overrides) if match}
    resumes = typed.get("resume", "null") != "null"
    if options.multirun and typed.get("data.batch_size") == "auto":
        raise UserError("data.batch_size=auto: each job would find one of its own; type the number that `train` finds")
    own = own_folders(options.config_dir)
    words = [readable(word, resumes, options.multirun) for word in options.overrides]
    chosen = typed.keys() & {"data", "experiment"}
    if options.config_name in ("train", "benchmark", "search") and "data.root" in typed and not chosen and not resumes:
        words.append("data=folder")
    if own and "hydra.searchpath" not in typed:  # which the processes of other devices are given
        words.append(search_in(own))
    return words


def named_choice(words: list[str]) -> list[str]:
    """The words of `copy`, in which model=fcn_small names a file and composes nothing."""
    others = [word for word in words if word.startswith("to=")]
    choices = [word.partition("=") for word in words if word not in others]
    if len(choices) > 1:
        raise UserError(f"copy takes one choice, and there are {' and '.join(map(''.join, choices))}")
    return [*others, *(f"choice={quote(f'{group}/{name}', multirun=False)}" for group, _, name in choices)]


def readable(word: str, resumes: bool, multirun: bool) -> str:
    """`word` as Hydra must read it: a path in quotes where its grammar needs them.

    On resume the data are those of the run, whatever is composed here: ++ lets any of their settings through.
    """
    from .config import PATHS

    match = SETTING.fullmatch(word)
    if match is None:
        return word
    prefix, name, value = match.groups()
    if name == "model.encoder" and NAMES.fullmatch(value):  # the name of an encoder stands for the encoder
        name = "model.encoder.name"
    if name in PATHS and not value:  # which would be the folder that we are in
        raise UserError(f"{name}= has no value: type {name}={PATHS[name]}, or leave it out")
    if name in PATHS:
        value = quote(os.path.expanduser(value), multirun)  # the shell expands ~ only where a word begins
    if resumes and name.startswith("data."):
        prefix = "++"
    return f"{prefix}{name}={value}"


def quote(path: str, multirun: bool) -> str:
    """`path` in quotes, if Hydra would read something else without. In a sweep, what is a list of values stays one."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import Quote, QuotedString
    from hydra.errors import HydraException

    if path in ("", "null") or "${" in path or (path[0] in "'\"" and path[0] == path[-1]):
        return path
    try:
        override = OverridesParser.create().parse_override(f"path={path}")
        if override.value() == path or (multirun and override.is_sweep_override()):
            return path
    except HydraException:
        pass
    return QuotedString(path, Quote.single).with_quotes()


def completion(words: list[str], overrides: list[str]) -> list[str]:
    """For a shell that completes a line: `words` and the command from that line, or none where the command itself is
    being typed, whose completions are printed."""
    line = os.environ.get("COMP_LINE", "")
    match = re.fullmatch(r"(\s*\S+\s+)(\S*)(\s.*)?", line, re.DOTALL)
    if match is None or not any(override.startswith("query=") for override in overrides):
        return words
    program, command, rest = match.groups()
    if rest is None:
        print("\n".join(name for name in COMMANDS if name.startswith(command)))
    if rest is None or command not in COMMANDS:
        return []
    os.environ["COMP_LINE"] = program + rest.lstrip()
    return [f"--config-name={command}", *words]


def report(error: Exception) -> int:
    """Prints one line about `error` on stderr and returns the exit status: 2 for what the user can fix, else 1."""
    if os.environ.get("SEGTRAIN_DEBUG") == "1":
        import traceback

        traceback.print_exception(error)
    known = next((entry[1:] for entry in KNOWN if re.search(entry[0], repr(error))), None)
    if known:
        message, status = f"error: {known[0]}", known[1]
    elif isinstance(error, UserError | OSError):
        message, status = f"error: {one_line(error)}", 2
    else:
        name = type(error).__name__
        message, status = f"internal error: {name}: {one_line(error)} (SEGTRAIN_DEBUG=1 shows where)", 1
    print(f"segtrain: {message}", file=sys.stderr)
    return status


def one_line(error: Exception) -> str:
    """The message of an error; of one from a worker of torch's DataLoader, whose message is a traceback, its end."""
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror}{ADVICE.get(error.errno or 0, '')}"
    text = re.sub(r"\n\s*(object|reference)_type=.*", "", str(error))  # OmegaConf's
    if worker := re.match(r"Caught (\w+) in \w+", text):
        text = re.split(rf"^(?:\w+\.)*{worker[1]}: ", text, flags=re.MULTILINE)[-1]
    return " ".join(line.strip() for line in text.splitlines() if line.strip()) or type(error).__name__
