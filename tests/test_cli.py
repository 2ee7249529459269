"""The front door: words on the command line, Hydra, one line for every error."""

import argparse
import copy
import functools
import importlib
import importlib.util
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

import segtrain
from segtrain import cli, config, places
from segtrain.build import conf_folder
from segtrain.cli import COMMANDS
from segtrain.config import annotations
from segtrain.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
USAGE = f"segtrain {segtrain.__version__}: trains networks"

# A small house behind the real door: commands and settings that no other test depends on.
MACHINE = ("machine/__init__", "machine/signals")
FILES = {
    "conf/train.yaml": """
        defaults:
          - hydra/settings
          - _self_
          - data: shapes
          - model: small
          - experiment: null
        seed: 0
        train: {epochs: 2, ema: null}
        run_dir: null
        resume: null
        do: null
        """,
    "conf/evaluate.yaml": "{defaults: [hydra/settings, _self_], run: null, images: '???'}",
    "conf/data/shapes.yaml": "{_target_: stand_in.Shapes, size: 8, batch_size: 4}",
    "conf/data/folder.yaml": "{_target_: stand_in.Folder, root: '???', batch_size: 4}",
    "conf/data/photos.yaml": "{_target_: stand_in.Folder, root: '???', batch_size: 8}",
    "conf/model/small.yaml": "{_target_: stand_in.Network, width: 8, rates: [0.1, 0.2]}",
    "conf/model/large.yaml": "{defaults: [small], width: 64}",
    "conf/experiment/photos.yaml": "# @package _global_\n{defaults: [override /data: photos], seed: 7}",
    "conf/experiment/long.yaml": "# @package _global_\n{train: {epochs: 99}}",
    "stand_in.py": """
        from collections.abc import Sequence

        class Shapes:
            def __init__(self, *, size: int, batch_size: int, **rest) -> None: ...

        class Folder:
            def __init__(self, *, root: str, batch_size: int) -> None: ...

        class Network:
            def __init__(self, *, width: int, rates: Sequence[float], bias: bool = True) -> None: ...
        """,
    "segtrain/commands/__init__.py": "",
    "segtrain/commands/train.py": """
        import json
        import os
        import signal
        import sys
        from dataclasses import asdict, dataclass
        from typing import Any

        from ..errors import UserError

        @dataclass
        class Settings:
            epochs: int
            ema: float | None

        def train(*, seed: int, train: Settings, data: dict[str, Any], model: dict[str, Any],
                  run_dir: str | None, resume: str | None, do: str | int | None) -> int | None:
            if do is not None:
                return act(do)
            print(json.dumps({"seed": seed, "train": asdict(train), "data": data, "model": model,
                              "run_dir": run_dir, "resume": resume}))

        def act(do: str | int) -> int | None:
            if do == "bug":
                raise TypeError("first\\n  second")
            if do == "disk":
                open("not/there")
            if do == "full":
                raise OSError(28, "No space left on device")
            if do == "closed":
                raise PermissionError(13, "Permission denied", "a/b")
            if do == "value":
                raise UserError("one\\n\\n   two")
            if do == "zip":
                list(zip("ab", "abc", strict=True))
            if do == "interrupt":
                os.kill(os.getpid(), signal.SIGINT)
            if do == "exit":
                sys.exit(143)
            return int(do)
        """,
    "segtrain/commands/evaluate.py": """
        def evaluate(*, run: str | None, images: str) -> None:
            print(run, images)
        """,
}


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small house in a folder: segtrain's own door, and the files above."""
    folder = tmp_path_factory.mktemp("house")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(textwrap.dedent(text), encoding="utf-8")
    (folder / "conf" / "hydra").mkdir()
    shutil.copy(ROOT / "conf" / "hydra" / "settings.yaml", folder / "conf" / "hydra")
    (folder / "segtrain" / "machine").mkdir()
    (folder / "segtrain" / "places.py").write_text("def refuse_absent(settings): ...\n")
    for name in ("__init__", "__main__", "cli", "config", "hints", "build", "disk", "errors", "sweep", *MACHINE):
        shutil.copy(ROOT / "segtrain" / f"{name}.py", folder / "segtrain" / f"{name}.py")
    (folder / "pyproject.toml").touch()
    return folder


@pytest.fixture
def call(
    house: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Calls the door in this process, with the commands and settings of the small house."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.delenv("SEGTRAIN_DEBUG", raising=False)
    monkeypatch.setattr(config, "conf_folder", lambda: house / "conf")
    monkeypatch.setattr(places, "refuse_absent", lambda settings: None)
    monkeypatch.syspath_prepend(house)
    for name in ("train", "evaluate"):
        spec = importlib.util.spec_from_file_location(
            f"segtrain.commands.{name}", house / "segtrain" / "commands" / f"{name}.py"
        )
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, f"segtrain.commands.{name}", module)
        spec.loader.exec_module(module)

    def door(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["segtrain", *words])
        try:
            status = cli.main()
        except SystemExit as stop:
            status = int(stop.code or 0)
        out, err = capsys.readouterr()
        return status, out, err

    return door


@pytest.fixture
def settings(call: Callable[..., tuple[int, str, str]]) -> Callable[..., dict[str, Any]]:
    """What `train` is given for some words."""

    def received(*words: str) -> dict[str, Any]:
        status, out, err = call("train", *words)
        assert (status, err) == (0, "")
        return json.loads(out.splitlines()[-1])

    return received


def python(*words: str, cwd: Path, warnings: str = "error") -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "SEGTRAIN_DEBUG"}
    command = [sys.executable, "-W", warnings, *words]
    return subprocess.run(command, check=False, cwd=cwd, env=environment, capture_output=True, text=True)


# --- without a command ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
def test_without_a_command_it_shows_the_commands_with_an_example_each(
    words: Sequence[str], call: Callable[..., tuple[int, str, str]]
) -> None:
    status, out, err = call(*words)
    assert (status, err) == (0, "")
    assert out.startswith(USAGE)
    for name in COMMANDS:
        assert re.search(rf"^  {name} +\w.*\n +python -m segtrain {name} \S", out, re.MULTILINE)


@pytest.mark.parametrize("words", [("--version",), ("train", "--version")])
def test_version(words: Sequence[str], call: Callable[..., tuple[int, str, str]]) -> None:
    assert call(*words) == (0, f"segtrain {segtrain.__version__}\n", "")


@pytest.mark.parametrize(
    ("words", "absent"),
    [
        (["--help"], {"torch", "hydra", "omegaconf", "yaml"}),
        (["trian"], {"torch"}),
        (["train", "--help"], {"torch", "lightning"}),
        (["train", "train.epoch=3"], {"torch", "lightning"}),
        (["train", "--epochs", "3"], {"torch", "lightning"}),
        (["train", "data.root=absent"], {"torch", "lightning"}),
        (["train", "resume=absent"], {"torch", "lightning"}),
        (["train", "init=absent"], {"torch", "lightning"}),
        (["check", "data.root=absent"], {"torch", "lightning"}),
        (["evaluate", "run=absent"], {"torch", "lightning"}),
        (["evaluate", "checkpoint=absent.ckpt"], {"torch", "lightning"}),
        (["predict", "run=absent", "images=conf"], {"torch", "lightning"}),
        (["predict", "checkpoint=README.md", "images=absent"], {"torch", "lightning"}),
        (["predict", "checkpoint=README.md", "images=conf/*.jpg"], {"torch", "lightning"}),
    ],
)
def test_what_takes_long_to_import_stays_out(words: list[str], absent: set[str]) -> None:
    code = f"""
import sys
from segtrain import cli
sys.argv = ["segtrain", *{words!r}]
try:
    cli.main()
except SystemExit:
    pass
print(sorted({absent!r} & set(sys.modules)))
"""
    done = python("-c", code, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_the_public_names_come_with_their_first_use() -> None:
    assert segtrain.__all__ == ["UserError", "__version__", "evaluate", "load", "predict", "train"]
    assert dir(segtrain) == segtrain.__all__
    code = "import segtrain, sys; print({'torch', 'numpy', 'hydra'} & set(sys.modules) or 'none', segtrain.__version__)"
    assert python("-c", code, cwd=ROOT).stdout == f"none {segtrain.__version__}\n"
    assert segtrain.load is importlib.import_module("segtrain.runs.trained").load
    assert segtrain.predict is importlib.import_module("segtrain.inference.image").predict
    with pytest.raises(AttributeError, match="'segtrain' has no attribute 'lode'"):
        segtrain.lode  # noqa: B018


# --- words that work --------------------------------------------------------------------------------------------------


def test_settings_reach_the_command_resolved_and_typed(settings: Callable[..., dict[str, Any]]) -> None:
    found = settings("seed=3", "train.epochs=5", "model=large", "train.ema=1e-3")
    assert found["seed"] == 3
    assert found["train"] == {"epochs": 5, "ema": 0.001}
    assert found["model"] == {"_target_": "stand_in.Network", "width": 64, "rates": [0.1, 0.2]}
    assert found["data"]["_target_"] == "stand_in.Shapes"


@pytest.mark.parametrize("first", [["train"], ["--config-name=train"], ["--config-name", "train"], ["-cn", "train"]])
def test_the_command_stays_in_argv_for_the_processes_that_lightning_starts(
    first: list[str], call: Callable[..., tuple[int, str, str]]
) -> None:
    status, out, _ = call(*first, "seed=3")
    assert (status, json.loads(out)["seed"]) == (0, 3)
    assert sys.argv[1:3] == ["--config-name=train", "seed=3"]
    status, again, _ = call(*sys.argv[1:], 'hydra.run.dir="."', "hydra.job.name=x", "hydra.output_subdir=null")
    assert (status, again) == (0, out)


def test_options_may_stand_anywhere(call: Callable[..., tuple[int, str, str]]) -> None:
    status, out, _ = call("train", "data.root=a b", "--cfg", "job", "seed=4", "-p", "data")
    assert status == 0
    assert yaml.safe_load(out) == {"_target_": "stand_in.Folder", "root": "a b", "batch_size": 4}


@pytest.mark.parametrize(
    "path",
    [
        "plain/path",
        "a=b",
        "a(1)/b",
        "[x]/y",
        "a b",
        "a, b",
        "it's",
        'say "x"',
        "a#b",
        "2024",
        "1e5",
        "true",
        "{a}",
        "a:b",
    ],
)
def test_paths_are_taken_as_they_are_typed(path: str, settings: Callable[..., dict[str, Any]]) -> None:
    found = settings(f"data.root={path}", f"run_dir={path}")
    assert found["data"]["root"] == found["run_dir"] == path


@pytest.mark.parametrize(
    ("typed", "path"),
    [("~/a", f"{Path.home()}/a"), ("'x y'", "x y"), ('"~"', "~"), ("null", None), ("${seed}/x", "0/x")],
)
def test_paths_with_a_meaning_of_their_own(
    typed: str, path: str | None, settings: Callable[..., dict[str, Any]]
) -> None:
    assert settings(f"run_dir={typed}")["run_dir"] == path


@pytest.mark.parametrize(
    ("words", "target", "batch_size"),
    [
        (["data.root=x"], "stand_in.Folder", 4),
        (["data.root=x", "data=photos"], "stand_in.Folder", 8),
        (["data.root=x", "experiment=photos"], "stand_in.Folder", 8),
        (["data.root=x", "resume=latest"], None, 4),  # those of the run, whatever they are
        (["data.root=x", "data.batch_size=6", "data=photos", "resume=latest"], "stand_in.Folder", 6),
        ([], "stand_in.Shapes", 4),
    ],
)
def test_a_data_root_means_a_folder_unless_something_else_chooses_the_data(
    words: list[str], target: str | None, batch_size: int, settings: Callable[..., dict[str, Any]]
) -> None:
    found = settings(*words)["data"]
    assert (found.get("_target_"), found["batch_size"]) == (target, batch_size)
    assert found.get("root") == ("x" if words else None)


def test_a_folder_of_ones_own_adds_groups(tmp_path: Path, settings: Callable[..., dict[str, Any]]) -> None:
    (tmp_path / "mine" / "model").mkdir(parents=True)
    (tmp_path / "mine" / "model" / "odd.yaml").write_text("{_target_: fractions.Fraction, numerator: 3}\n")
    found = settings("--config-dir", str(tmp_path / "mine"), "model=odd")
    assert found["model"] == {"_target_": "fractions.Fraction", "numerator": 3}


@pytest.mark.slow
def test_a_folder_conf_where_one_works_adds_choices_and_hides_none(
    tmp_path: Path, settings: Callable[..., dict[str, Any]], call: Callable[..., tuple[int, str, str]]
) -> None:
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "train.yaml").write_text("{seed: 9}\n")  # of another program
    (tmp_path / "conf" / "model" / "odd.yaml").write_text("{defaults: [small], width: 5}\n")
    (tmp_path / "conf" / "model" / "large.yaml").write_text("{defaults: [small], width: 7}\n")
    found = settings("model=odd")
    assert (found["seed"], found["model"]["width"]) == (0, 5)
    status, out, err = call("train", "-m", "model=odd", "seed=1,2")
    assert (status, err, out.count('"width": 5')) == (0, "", 2)
    assert out.count("model=odd is conf/model/odd.yaml\n") == 2
    status, out, err = call("train", "model=large")
    assert (status, err, 'width": 7' in out) == (0, "", False)
    assert "model=large is the shipped one: conf/model/large.yaml, which has its name, is passed over\n" in out
    status, _, err = call("train", "model=odd", "model.widht=3")
    assert (status, "did you mean model.width?" in err) == (2, True)


@pytest.mark.slow
def test_a_run_leaves_no_file_and_a_sweep_runs_every_value(
    tmp_path: Path, call: Callable[..., tuple[int, str, str]]
) -> None:
    assert call("train")[0] == 0
    assert list(tmp_path.rglob("*")) == []
    status, out, err = call("train", "-m", "seed=1,2", "run_dir=a,b")
    runs = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    assert (status, err) == (0, "")
    assert [(run["seed"], run["run_dir"]) for run in runs] == [(1, "a"), (1, "b"), (2, "a"), (2, "b")]
    files = sorted(file.name for file in tmp_path.rglob("*") if file.is_file())
    assert files == ["0.json", "1.json", "2.json", "3.json", "multirun.yaml", "sweep.csv"]
    assert [folder.name for folder in tmp_path.iterdir()] == ["runs"]


@pytest.mark.parametrize(("result", "expected"), [(None, 0), (2, 2), (SimpleNamespace(status=3), 3), (Path("a"), 0)])
def test_the_exit_status_is_what_a_command_returns(
    monkeypatch: pytest.MonkeyPatch, result: object, expected: int
) -> None:
    monkeypatch.setattr(cli, "resolved", lambda config: (lambda: result, {}))
    assert cli.carried_out(None)[0] == expected


def test_a_job_of_a_sweep_that_fails_does_not_end_the_others(call: Callable[..., tuple[int, str, str]]) -> None:
    status, out, err = call("train", "-m", "do=value,0")
    assert (status, err) == (1, "segtrain: error: one two\n")
    assert "2 jobs, 1 of them failed\n  do=value  failed: one two\n" in out


# --- words that do not ------------------------------------------------------------------------------------------------

MISTAKES = [
    ("trian", "unknown command 'trian': did you mean train? (python -m segtrain lists the commands)"),
    ("xyz", "unknown command 'xyz' (python -m segtrain lists the commands)"),
    ("--config-name=trian", "unknown command 'trian': did you mean train?"),
    ("seed=3", "the command comes first, as in: python -m segtrain train seed=3"),
    ("-m seed=3", "the command comes first, as in: python -m segtrain train"),
    ("train train.epoch=3", "unknown setting train.epoch: did you mean train.epochs?"),
    ("train optimiser=sgd", "unknown setting optimiser (python -m segtrain train --cfg job lists all)"),
    ("train modle=large", "unknown setting modle: did you mean model?"),
    ("train batchsize=3", "unknown setting batchsize: did you mean data.batch_size?"),
    ("train model=larg", "model=larg: there is no such choice: did you mean large? (model is one of large, small)"),
    ("train model=larg train.epoch=3", "model=larg: there is no such choice: did you mean large?"),
    (
        "train model=large model.widht=3",
        "unknown setting model.widht: did you mean model.width? (+model.widht=3 passes",
    ),
    ("train model.bias=false", "(+model.bias=false passes it to stand_in.Network all the same)"),
    ("train +model.bais=false", "model: stand_in.Network takes no 'bais': did you mean bias?"),
    ("train model.width=abc", "model.width: 'abc' is not a whole number (int), such as 8"),
    ("train model.rates=0.1", "model.rates: 0.1 is not a list of float"),
    ("train model.rates=1,2", "model.rates=1,2: type model.rates=[1,2] for a list, or add -m for one run with each"),
    ("train model.rates=[1,2", "model.rates=[1,2: cannot be read; a value with special characters needs quotes"),
    ("train train.epochs=2.5", "train.epochs: 2.5 is not a whole number (int), such as 8"),
    ("train train=3", "train: 3 is not a mapping"),
    ("train +foo=1", "unknown setting foo"),
    ("train ~foo", "'foo' does not exist"),
    ("train data=folder", "data=folder needs data.root=FOLDER: it has no value yet"),
    ("train model=null", "model=null: choose one, or leave it out (model is one of large, small)"),
    ("train model=small,large", "model=small,large: type one of them, or add -m for one run with each value"),
    ("train data=./x", "data=./x: there is no such choice: type data.root=./x for a folder of your own"),
    ("train run_dir=", "run_dir= has no value: type run_dir=FOLDER, or leave it out"),
    ("train experiment=long data.root=x", "unknown setting data.root: choose data=folder too"),
    ("train experiment=photos", "data=photos needs data.root=FOLDER: it has no value yet"),
    ("train seed", "'seed' is not a setting: type name=value, such as train.epochs=30"),
    ("train =3", "'=3' is not a setting: type name=value, such as train.epochs=30"),
    ("train --seed 3", "unrecognized arguments: --seed: settings are typed without dashes, as name=value"),
    ("train --cfg jobs", "argument --cfg/-c: invalid choice: 'jobs'"),
    ("train --config-dir absent", "'absent' not found"),
    ("train seed=${nowhere}", "Interpolation key 'nowhere' not found full_key: seed"),
    ("train --run --multirun seed=1", "Only one of --run, --multirun, --cfg, --info and --shell_completion"),
    ("evaluate", "evaluate needs images=FOLDER: it has no value yet"),
    ("evaluate data=folder", "unknown setting data: type images=folder"),
    ("evaluate run.x=3", "unknown setting run.x: did you mean run?"),
]


@pytest.mark.parametrize(("line", "message"), MISTAKES, ids=[line for line, _ in MISTAKES])
def test_a_mistake_is_answered_in_one_line(line: str, message: str, call: Callable[..., tuple[int, str, str]]) -> None:
    status, out, err = call(*line.split())
    assert (status, out) == (2, "")
    assert err.startswith("segtrain: error: ")
    assert err.count("\n") == 1
    absolute = err.replace(f"{Path.cwd()}/", "")
    assert message in absolute


def test_a_group_that_a_command_only_has_settings_of(
    tmp_path: Path, house: Path, call: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(house / "conf", tmp_path / "conf")
    (tmp_path / "conf" / "evaluate.yaml").write_text("{defaults: [hydra/settings, _self_], data: {root: null}}\n")
    monkeypatch.setattr(config, "conf_folder", lambda: tmp_path / "conf")
    _, _, err = call("evaluate", "data=folder")
    assert err == "segtrain: error: evaluate has no choice of data: its settings are typed as data.NAME=value\n"


def test_a_mistake_in_a_folder_of_ones_own(tmp_path: Path, call: Callable[..., tuple[int, str, str]]) -> None:
    (tmp_path / "mine" / "model").mkdir(parents=True)
    (tmp_path / "mine" / "model" / "odd.yaml").write_text("{_target_: stand_in.Network, width: 3, knobs: 4}\n")
    (tmp_path / "mine" / "model" / "torn.yaml").write_text("a: [1\nb: {")
    status, _, err = call("train", "--config-dir", "mine", "model=odd", "model.knosb=3")
    assert (status, "did you mean model.knobs?" in err) == (2, True)
    status, _, err = call("train", "--config-dir", "mine", "model=odd")
    assert err == "segtrain: error: model: stand_in.Network takes no 'knobs'\n"
    status, _, err = call("train", "--config-dir", "mine", "model=torn")
    assert (status, err.count("\n"), "torn.yaml" in err) == (2, 1, True)


@pytest.mark.parametrize(
    ("do", "status", "line"),
    [
        ("value", 2, "segtrain: error: one two\n"),
        ("disk", 2, "segtrain: error: not/there: No such file or directory\n"),
        ("full", 2, "segtrain: error: No space left on device; free some space on that disk\n"),
        ("closed", 2, "segtrain: error: a/b: Permission denied; change its permissions, or name another place\n"),
        ("bug", 1, "segtrain: internal error: TypeError: first second (SEGTRAIN_DEBUG=1 shows where)\n"),
        (
            "zip",
            1,
            "segtrain: internal error: ValueError: zip() argument 2 is longer than argument 1 "
            "(SEGTRAIN_DEBUG=1 shows where)\n",
        ),
        ("exit", 143, ""),
        ("3", 3, ""),
        ("0", 0, ""),
    ],
)
def test_how_a_command_ends(do: str, status: int, line: str, call: Callable[..., tuple[int, str, str]]) -> None:
    assert call("train", f"do={do}") == (status, "", line)


def test_the_traceback_is_there_for_who_asks(
    call: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGTRAIN_DEBUG", "1")
    status, _, err = call("train", "do=bug")
    assert status == 1
    assert "Traceback (most recent call last):" in err
    assert ", in act\n" in err
    assert err.splitlines()[-1].startswith("segtrain: internal error: TypeError: first second")


def failing_worker(error: Exception) -> Exception:
    """What torch raises for an error in a worker."""
    from torch._utils import ExceptionWrapper

    try:
        raise error
    except Exception:
        wrapped = ExceptionWrapper(where="in DataLoader worker process 0")
    try:
        wrapped.reraise()
    except Exception as raised:
        return raised
    raise AssertionError


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UserError("a.png: the value 9\n is in no class"), "a.png: the value 9 is in no class"),
        (FileNotFoundError("b.png: no mask: x"), "b.png: no mask: x"),
        (json.JSONDecodeError("Expecting value", "", 0), "Expecting value: line 1 column 1 (char 0)"),
        (ValueError("Caught it: a.png"), "Caught it: a.png"),
    ],
)
def test_an_error_of_a_worker_is_its_last_words(error: Exception, line: str) -> None:
    raised = failing_worker(error)
    assert "Original Traceback" in str(raised)
    assert cli.one_line(raised) == line


def test_an_error_without_words_is_its_name() -> None:
    assert cli.one_line(ValueError()) == "ValueError"


# --- Hydra ------------------------------------------------------------------------------------------------------------


def test_listing_groups_copies_no_built_in_configuration() -> None:
    cli.adapt_hydra()
    store = ConfigStore.instance()
    assert copy.deepcopy({"store": store})["store"] is store


def test_hydras_lazy_help_text_passes_where_argparse_reads_it_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.14 formats each help text in `add_argument`; before, only the adaptation's own branch can be shown."""
    if sys.version_info < (3, 14):
        add_argument = argparse._ActionsContainer.add_argument

        def check_help(self: ArgumentParser, action: argparse.Action) -> None:
            try:
                assert action.help is None or "%" not in action.help
            except TypeError as error:
                raise ValueError("badly formed help string") from error

        def checking(self: ArgumentParser, *words: Any, **options: Any) -> argparse.Action:
            action = add_argument(self, *words, **options)
            self._check_help(action)  # pyright: ignore[reportAttributeAccessIssue]
            return action

        monkeypatch.setattr(ArgumentParser, "_check_help", check_help, raising=False)
        monkeypatch.setattr(ArgumentParser, "add_argument", checking)
    else:
        monkeypatch.setattr(ArgumentParser, "_check_help", ArgumentParser._check_help)
    with pytest.raises(ValueError, match="badly formed help string"):
        cli.parse([])
    monkeypatch.setattr(cli, "sys", SimpleNamespace(version_info=(3, 14)))
    cli.adapt_hydra()
    assert cli.parse(["a=1"]).overrides == ["a=1"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("segtrain ", [*COMMANDS]),
        ("segtrain tr", ["train"]),
        ("segtrain xyz ", []),
        ("segtrain train mod", ["model=", "model."]),
        ("segtrain train model=l", ["model=large"]),
        ("bin/segtrain train seed=1 train.e", ["train.ema=", "train.epochs="]),
        ("segtrain evaluate ru", ["run="]),
    ],
)
def test_the_shell_completes_commands_groups_and_settings(
    line: str, words: list[str], call: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setenv("COMP_POINT", str(len(line)))
    status, out, err = call("-sc", "query=bash")
    assert (status, err) == (0, "")
    assert sorted(out.split()) == sorted(words)


def test_completion_is_installed_by_hydra(call: Callable[..., tuple[int, str, str]]) -> None:
    status, out, _ = call("-sc", "install=bash")
    assert status == 0
    assert "hydra_bash_completion segtrain" in out


# --- the shipped settings ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_takes_exactly_the_settings_in_its_file(name: str) -> None:
    function = getattr(importlib.import_module(f"segtrain.commands.{name}"), name)
    parameters = inspect.signature(function).parameters.values()
    assert all(p.kind in (p.KEYWORD_ONLY, p.VAR_KEYWORD) and p.annotation is not p.empty for p in parameters)
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        assert annotations(function).keys() == set(compose(name))


CHOICES = sorted(f"{file.parent.name}={file.stem}" for file in conf_folder().glob("[!hs]*/*.yaml"))
CHOICES += [f"schedule={file.stem}" for file in (conf_folder() / "schedule").glob("*.yaml")]  # and none of hydra, space


@pytest.mark.slow
@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_fits_what_it_is_passed_to(
    choice: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = importlib.import_module("segtrain.commands.train")
    received = {}
    monkeypatch.setattr(module, "train", functools.wraps(module.train)(lambda **settings: received.update(settings)))
    monkeypatch.setattr(places, "refuse_absent", lambda settings: None)
    root = [] if choice == "data=shapes" else ["data.root=x"]
    monkeypatch.setattr(sys, "argv", ["segtrain", "train", choice, *root, "resume=latest"])
    assert (cli.main(), capsys.readouterr().err) == (0, "")
    assert received["resume"] == "latest"


@pytest.mark.parametrize("name", COMMANDS)
def test_help_names_settings_and_examples_that_exist(name: str) -> None:
    text = yaml.safe_load((conf_folder() / "hydra" / "help" / f"{name}.yaml").read_text(encoding="utf-8"))["template"]
    table = text.partition("Examples")[0]
    names = {word for word in re.findall(r"(?<![\w.$:])([a-z_][\w.]*)=", table) if word not in ("setting", "group")}
    assert {
        "benchmark": "seconds",
        "search": "trials",
        "check": "write",
        "copy": "to",
        "train": "train.epochs",
        "evaluate": "run",
        "compare": "runs",
        "export": "run",
        "models": "find",
        "predict": "images",
    }[name] in names
    data = ["data=folder", "model=fcn_r50"] if name in ("train", "benchmark", "search") else []
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        known = dict(config.tree(OmegaConf.to_container(compose(name, data))))
        assert [word for word in names if word not in known] == []
        examples = re.findall(rf"python -m segtrain {name}(.*)", text.partition("Examples")[2])
        assert len(examples) >= 2
        for example in examples:
            words = [word.strip('"') for word in example.split() if word != "-m" and "," not in word]
            options = cli.parse([f"--config-name={name}", *words])
            compose(name, cli.rewrite(options))


@pytest.mark.parametrize("name", ["evaluate", "predict", "compare", "export", "models"])
def test_help_leaves_out_no_setting(name: str) -> None:
    """Of `train`, and of what takes its settings, help has those that people type most."""
    text = (conf_folder() / "hydra" / "help" / f"{name}.yaml").read_text(encoding="utf-8")
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        settings = OmegaConf.to_container(compose(name))
    leaves = [key for key, value in config.tree(settings) if not isinstance(value, dict) and key != "typed"]
    assert leaves
    assert [key for key in leaves if not re.search(rf"(?<![\w.]){re.escape(key)}=", text)] == []


# --- the real thing ---------------------------------------------------------------------------------------------------


def test_usage_as_a_program() -> None:
    done = python("-m", "segtrain", cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(USAGE)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_as_a_program(name: str) -> None:
    done = python("-m", "segtrain", name, "--help", cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"python -m segtrain {name} ")
    assert ("model: fcn16s, " in done.stdout) == (name == "train")


@pytest.mark.parametrize(
    ("words", "status", "error"),
    [
        (["train", "data.root=a=(b)"], 0, ""),
        (["train", "train.epoch=3"], 2, "segtrain: error: unknown setting train.epoch: did you mean train.epochs?\n"),
        (["train", "do=bug"], 1, "segtrain: internal error: TypeError: first second (SEGTRAIN_DEBUG=1 shows where)\n"),
        (["train", "do=interrupt"], 130, ""),
        (["train", "do=3"], 3, ""),
        (["evaluate", "run=latest", "images=x"], 0, ""),
    ],
)
def test_exit_status_and_error_as_a_program(house: Path, words: list[str], status: int, error: str) -> None:
    done = python("-m", "segtrain", *words, cwd=house)
    assert (done.returncode, done.stderr) == (status, error)


@pytest.mark.slow
def test_lightnings_command_for_another_device_gives_the_same_settings(house: Path) -> None:
    code = """
import functools, runpy, subprocess, sys
from segtrain.commands import train as command
real = command.train
@functools.wraps(real)
def train(**settings):
    from lightning.fabric.strategies.launchers.subprocess_script import _hydra_subprocess_cmd
    words, folder = _hydra_subprocess_cmd(local_rank=1)
    real(**settings)
    sys.stdout.flush()
    sys.exit(subprocess.run(words, cwd=folder).returncode)
command.train = train
sys.argv = ["segtrain", "train", "data.root=~/a=(b)", "seed=5", "--config-dir", "conf"]
runpy.run_module("segtrain", run_name="__main__", alter_sys=True)
"""
    done = python("-c", code, cwd=house, warnings="default")
    first, second = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert first == second
    assert json.loads(first)["data"]["root"] == f"{Path.home()}/a=(b)"
