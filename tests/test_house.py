"""The house as a whole: doors between rooms, sizes, names, docstrings, configuration files, the README's file tree."""

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Collection, Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, NamedTuple

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
SOURCES = sorted((ROOT / "segtrain").rglob("*.py"))
CONF = ROOT / "conf"


def parametrize_files(name: str, files: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(name, files, ids=[str(file.relative_to(ROOT)) for file in files])


# --- doors ------------------------------------------------------------------------------------------------------------


class Door(NamedTuple):
    """What a room may import: rooms of segtrain besides itself, Hydra, Lightning."""

    rooms: Collection[str] = ()
    hydra: bool | str = False  # "objects": of omegaconf alone
    lightning: bool = False


COMMAND = Door(
    {
        "benchmark",
        "build",
        "data",
        "inference",
        "inspection",
        "losses",
        "machine",
        "metrics",
        "models",
        "networks",
        "places",
        "prediction",
        "report",
        "runs",
        "scoring",
        "search",
        "training",
    },
    hydra="objects",
    lightning=True,
)
PARTS_OF_DATA = ("batches", "classes", "color", "files", "findings", "layouts", "public", "survey", "workers")
DATA_SET = Door({f"data.{part}" for part in PARTS_OF_DATA})  # proposals are for `check` alone
DOORS = {
    "data.color": Door(),
    "data.workers": Door(),
    "data.classes": Door({"data.color"}),
    "data.files": Door({"data.color"}),
    "data.survey": Door({"data.files", "data.workers", "data.classes", "data.color"}),
    "data.layouts": Door({"data.files"}),
    "data.layouts.contents": Door({"data.layouts", "data.files", "data.color"}),
    "data.layouts.ranking": Door({"data.layouts", "data.files", "data.survey"}),
    "data.proposal": Door({"data.survey", "data.classes", "data.color"}),
    "data.batches": Door({"data.files", "data.classes", "data.workers"}),
    "data.batches.module": Door({"data.batches", "data.files", "data.classes", "data.workers"}, lightning=True),
    "data.findings": Door({"data.survey", "data.layouts", "data.files", "data.classes", "data.color"}),
    "data.folder": DATA_SET,
    "data.shapes": DATA_SET,
    "data.public": DATA_SET,
    "data": Door({"data"}),
    "weights": Door({"build"}),
    "models": Door({"weights"}),
    "networks": Door({"models", "weights"}),
    "losses": Door(),
    "metrics": Door(),
    "machine.processes": Door({"machine", "data.workers"}, lightning=True),
    "machine": Door(),
    "errors": Door(),
    "text": Door(),
    "disk": Door(),
    "build": Door(),
    "inference": Door({"data.files", "metrics", "models.ensemble"}),  # which reads an image that is given by its path
    "report": Door({"data.classes", "metrics"}),
    "runs": Door({"build", "data.classes", "weights"}),
    "runs.portable": Door({"runs", "build", "data.classes", "inference"}),  # a network may be another's program
    "scoring": Door(
        {"data", "losses", "metrics", "models.ensemble", "inference", "runs", "report", "machine", "build"},
        lightning=True,
    ),
    "training": Door(
        {"data", "losses", "metrics", "models.ensemble", "inference", "runs", "report", "machine", "build", "scoring"},
        lightning=True,
    ),
    "inspection": Door({"data", "report"}),
    "benchmark": Door({"build", "data", "losses", "machine", "training"}, lightning=True),
    "search": Door({"build", "machine", "report", "runs"}),
    "commands": Door(),
    "commands.benchmark": COMMAND,
    "commands.check": COMMAND,
    "commands.copy": COMMAND,
    "commands.compare": COMMAND,
    "commands.evaluate": COMMAND,
    "commands.export": COMMAND,
    "commands.models": COMMAND,
    "commands.predict": COMMAND,
    "commands.search": COMMAND,
    "commands.train": COMMAND,
    "hints": Door(),
    "prediction": Door(
        {
            "places",
            *("data.classes", "data.files", "data.layouts", "data.batches.sampler"),
            *("inference.image", "inference.windows", "report"),
        }
    ),
    "places": Door({"runs.folder", "runs.resume"}),  # neither imports torch
    "config": Door(
        {"build", "hints"}, hydra=True
    ),  # a setting is checked against what `build` will find, by the same look-up
    "cli": Door({"config", "places", "commands", "machine.signals", "sweep"}, hydra=True),
    "__main__": Door({"cli"}),
    "sweep": Door(hydra=True),
    "api": Door({"cli", "config", "machine.processes", "report.scores"}, hydra=True),
    "": Door({"api", "runs.trained", "inference.image"}),  # segtrain/__init__: what it makes public
}
OPEN = {"errors", "disk", "text"}  # to all
NAMES_TO_OBJECTS = {"build", "cli", ""}  # may import a module whose name is not written there
HYDRA, LIGHTNING = {"hydra", "omegaconf"}, {"lightning", "pytorch_lightning", "lightning_fabric", "lightning_utilities"}


def module_name(file: Path) -> str:
    """`segtrain/data/folder.py` -> `data.folder`; `segtrain/__init__.py` -> the empty name."""
    parts = file.relative_to(ROOT / "segtrain").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(file) for file in SOURCES}


def room(module: str) -> str:
    """The row of `DOORS` for a module: its own, or that of the folder it lies in."""
    while module and module not in DOORS:
        module = module.rpartition(".")[0]
    return module


def imports(text: str, module: str, *, package: bool = False) -> Iterator[str]:
    """Absolute names of all imports in `text`, lazy ones and those for type checks too; `?` for a computed name."""
    here = ["segtrain", *module.split(".")] if module else ["segtrain"]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = here[: len(here) - node.level + package] if node.level else []
            base = ".".join([*above, *(node.module.split(".") if node.module else [])])
            for alias in node.names:  # `from . import runs` names a module, `from .runs import latest` a thing in one
                inner = f"{base}.{alias.name}"
                if inner != "segtrain.__version__":  # which is no room's
                    yield inner if inner.removeprefix("segtrain.") in MODULES else base
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__"):
            yield node.args[0].value if isinstance(node.args[0], ast.Constant) else "?"


def trespasses(text: str, module: str, *, package: bool = False) -> list[str]:
    """What this module imports although the row of its room in `DOORS` does not have it."""
    own, door = room(module), DOORS[room(module)]
    allowed = {*door.rooms, *OPEN, own} - {""}
    hydra = HYDRA if door.hydra is True else {"omegaconf"} if door.hydra == "objects" else set()
    found = []
    for name in imports(text, module, package=package):
        top, _, inner = name.partition(".")
        if top == "segtrain":
            good = any(inner == other or inner.startswith(f"{other}.") for other in allowed)
        else:
            good = top not in HYDRA | LIGHTNING | {"?"} or top in hydra
            good |= (top in LIGHTNING and door.lightning) or (top == "?" and own in NAMES_TO_OBJECTS)
        if not good:
            found.append(name)
    return found


@parametrize_files("file", SOURCES)
def test_a_room_imports_what_its_door_lets_through(file: Path) -> None:
    module = module_name(file)
    assert room(module) or not module, f"{file.relative_to(ROOT)} has no row in DOORS"
    found = trespasses(file.read_text(encoding="utf-8"), module, package=file.name == "__init__.py")
    assert not found, f"{file.relative_to(ROOT)} may not import {', '.join(sorted(set(found)))}"


@pytest.mark.parametrize(
    ("module", "line", "found"),
    [
        ("losses", "from .metrics import ConfusionMatrix", ["segtrain.metrics"]),
        ("losses", "def f():\n    import segtrain.metrics", ["segtrain.metrics"]),
        ("models.fcn", "from ..losses import CrossEntropy", ["segtrain.losses"]),
        ("models.fcn", "from .blocks import Bottleneck", []),
        ("data.classes", "from .batches.augment import Augment", ["segtrain.data.batches.augment"]),
        ("data.folder", "from lightning.pytorch import Trainer", ["lightning.pytorch"]),
        ("data.batches.module", "from lightning.pytorch import LightningDataModule", []),
        ("report", "if TYPE_CHECKING:\n    from .data import FolderData", ["segtrain.data"]),
        ("report", "from .data.classes import ClassTable", []),
        (
            "machine.device",
            "from importlib import import_module\nimport_module('segtrain.losses')",
            ["segtrain.losses"],
        ),
        ("training.learner", "import importlib\nimportlib.import_module(name)", ["?"]),
        ("training.parts", "from ..inspection import inspect", ["segtrain.inspection.inspect"]),
        ("commands.train", "from .. import runs\nfrom omegaconf import DictConfig", []),
        ("commands.train", "from .evaluate import evaluate", ["segtrain.commands.evaluate"]),
        ("commands.train", "from hydra.utils import get_class", ["hydra.utils"]),
    ],
)
def test_a_closed_door_is_noticed(module: str, line: str, found: list[str]) -> None:
    assert trespasses(line, module) == found


@parametrize_files("file", sorted((ROOT / "segtrain" / "models").glob("*.py")))
def test_models_need_torch_alone(file: Path) -> None:
    outside = {name.partition(".")[0] for name in imports(file.read_text(encoding="utf-8"), module_name(file))}
    assert outside - {"torch", "torchvision", "segtrain"} <= sys.stdlib_module_names


@pytest.mark.parametrize("module", ["segtrain", "segtrain.cli"])
def test_importing_it_does_not_import_torch(module: str) -> None:
    code = f"import sys, {module}; print(*{{'torch', 'lightning', 'torchvision'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


UNIX = {"fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios", "tty"}


@parametrize_files("file", SOURCES)
def test_what_only_unix_has_is_imported_where_that_may_fail(file: Path) -> None:
    lines = [ast.unparse(node) for node in ast.parse(file.read_text(encoding="utf-8")).body]
    found = [line for line in lines if re.match(rf"(import|from) ({'|'.join(UNIX)})\b", line)]
    assert not found


# --- the house in numbers: python -m tests.test_house -----------------------------------------------------------------


class Numbers(NamedTuple):
    """What can be counted in a room: files, lines, lengths of functions, dense expressions."""

    files: int
    lines: int
    lengths: list[int]
    comprehensions: int
    conditionals: int


def place(module: str) -> str:
    """The room that a module counts for: `data.files.masks` -> `data.files`, `training.learner` -> `training`."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "data" else parts[0]


def numbers(files: list[Path]) -> Numbers:
    lines, lengths, comprehensions, conditionals = 0, [], 0, 0
    for file in files:
        text = file.read_text(encoding="utf-8")
        lines += text.count("\n")
        for node in ast.walk(ast.parse(text)):
            comprehensions += isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp)
            conditionals += isinstance(node, ast.IfExp)
            if isinstance(node, FUNCTIONS):
                lengths.append(node.end_lineno - node.lineno + 1)
    return Numbers(len(files), lines, lengths, comprehensions, conditionals)


def edges() -> dict[str, set[str]]:
    """Room -> the rooms that it imports from."""
    found: dict[str, set[str]] = {}
    for file in SOURCES:
        module = module_name(file)
        for name in imports(file.read_text(encoding="utf-8"), module, package=file.name == "__init__.py"):
            top, _, inner = name.partition(".")
            if top == "segtrain" and inner:
                found.setdefault(place(module), set()).add(place(inner))
    return {room: others - {room} for room, others in found.items()}


def floors(rooms: dict[str, set[str]]) -> dict[str, int]:
    """Room -> its floor: 1 for a room that imports from no other; raises CycleError for rooms in a circle."""
    heights: dict[str, int] = {}
    for room in TopologicalSorter(rooms).static_order():
        heights[room] = 1 + max((heights[other] for other in rooms.get(room, ())), default=0)
    return heights


def rooms_of_data() -> dict[str, set[str]]:
    inside = {room: {other for other in others if "." in other} for room, others in edges().items() if "." in room}
    return inside | {room: set() for others in inside.values() for room in others if room not in inside}


def test_no_room_is_in_a_circle() -> None:
    whole = edges()
    del whole["data"]  # its docstring's map names what configurations may name
    floors({room: others - {"data"} for room, others in whole.items()})


def test_data_are_few_rooms_on_few_floors() -> None:
    heights = floors(rooms_of_data())
    assert len(heights) <= 12, sorted(heights)
    assert max(heights.values()) <= 7, heights


def test_classes_are_short() -> None:
    assert not [place for place, _, lines in definitions(ast.ClassDef) if lines > 150]


def report() -> Iterator[str]:
    """A line for each room, one for the whole, and the arrows between rooms."""
    yield f"{'room':16} files  lines  function lines: median, p90, most   of 1,000 lines: comprehensions, conditionals"
    rooms: dict[str, list[Path]] = {}
    for file in SOURCES:
        rooms.setdefault(place(module_name(file)) or "segtrain", []).append(file)
    for name, files in [*rooms.items(), ("all", SOURCES)]:
        room = numbers(files)
        lengths = sorted(room.lengths) or [0]
        middle, high = lengths[len(lengths) // 2], lengths[9 * len(lengths) // 10]
        comprehensions, conditionals = (1000 * n / room.lines for n in (room.comprehensions, room.conditionals))
        yield (
            f"{name:16} {room.files:5} {room.lines:6} {middle:23} {high:4} {lengths[-1]:5} "
            f"{comprehensions:32.0f} {conditionals:13.0f}"
        )
    yield f"arrows between rooms: {sum(map(len, edges().values()))}; of data: {sum(map(len, rooms_of_data().values()))}"
    heights = floors(rooms_of_data())
    yield f"data: {len(heights)} rooms on {max(heights.values())} floors, no circle"


# --- code -------------------------------------------------------------------------------------------------------------

NO_NAMES = {"utils", "util", "core", "common", "base", "helpers", "helper", "registry", "manager", "misc"}


def definitions(*kinds: type[ast.AST]) -> Iterator[tuple[str, Any, int]]:
    """(place, node, lines) of every function or class of segtrain, methods and inner functions too."""
    for file in SOURCES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, kinds):
                yield f"{file.relative_to(ROOT)}:{node.lineno} {node.name}", node, node.end_lineno - node.lineno + 1


def test_functions_are_short() -> None:
    sizes = {place: lines for place, _, lines in definitions(*FUNCTIONS)}
    longer = {place: lines for place, lines in sizes.items() if lines > 40}
    assert not [place for place, lines in longer.items() if lines > 60]
    assert len(longer) <= 0.1 * len(sizes), f"of {len(sizes)} functions, more than 40 lines: {longer}"


def test_what_is_public_and_not_obvious_has_a_docstring() -> None:
    long = [(place, node) for place, node, lines in definitions(*FUNCTIONS, ast.ClassDef) if lines > 8]
    bare = [place for place, node in long if not node.name.startswith("_") and not ast.get_docstring(node)]
    assert not bare, "\n".join(["more than 8 lines and no docstring:", *bare])


def test_modules_are_named_after_what_they_hold() -> None:
    assert [file for file in SOURCES if NO_NAMES & set(file.relative_to(ROOT).with_suffix("").parts)] == []


def dangers(text: str) -> list[str]:
    """Ways to run what a file says: unpickling, builtin eval and exec, Hydra's instantiate."""
    tree, found = ast.parse(text), []
    picklers = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
    found += [name for name in imports(text, "") if name.partition(".")[0] in picklers]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            call, given = ast.unparse(node.func), {word.arg: ast.unparse(word.value) for word in node.keywords}
            unsafe = call in ("eval", "exec", "compile") or call.split(".")[-1] == "instantiate"
            unsafe |= call == "torch.load" and "weights_only" not in given
            unsafe |= given.get("weights_only", "True") != "True" or given.get("allow_pickle", "False") != "False"
            found += [ast.unparse(node)] if unsafe else []
    return found


@parametrize_files("file", SOURCES)
def test_a_file_cannot_run_code(file: Path) -> None:
    assert dangers(file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from pickle import loads",
        "eval(text)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "torch.load(path, weights_only=trusted)",
        "np.load(path, allow_pickle=True)",
        "hydra.utils.instantiate(spec)",
    ],
)
def test_a_danger_is_noticed(line: str) -> None:
    assert len(dangers(line)) == 1


def test_what_only_looks_like_a_danger_is_not_one() -> None:
    assert dangers("network.eval()\nre.compile('a')\ntorch.load(path, weights_only=True)") == []


# --- configuration ----------------------------------------------------------------------------------------------------

GROUPS = ("data", "model", "loss", "optimizer", "schedule", "augment", "trainer", "logger")
CALLS = sorted(file for group in GROUPS for file in (CONF / group).glob("*.yaml"))
PASSED = {  # parameters that code passes, so that no file lists them
    "segtrain.data.FolderData": {"augment", "seed"},
    "segtrain.data.ShapesData": {"augment", "seed"},
    "segtrain.models.AtrousPyramid": {"in_channels"},
    "segtrain.models.PyramidPooling": {"in_channels"},
    "segtrain.models.Bottleneck": {"in_channels", "out_channels", "stride", "dilation"},
    "segtrain.training.schedules.poly": {"step", "steps"},
    "segtrain.training.schedules.cosine": {"step", "steps"},
}


def read(file: Path) -> dict[str, Any]:
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """As Hydra composes a file with the one that it extends: mappings key by key, all else replaced."""
    both = {key: merge(below[key], above[key]) for key in above if isinstance(below.get(key), dict)}
    return below | above | {key: value for key, value in both.items() if isinstance(above[key], dict)}


def composed(file: Path) -> dict[str, Any]:
    """The content of a file of a group, on top of the sibling that it extends."""
    own = read(file)
    siblings = own.pop("defaults", [])
    below = read(file.with_name(f"{siblings[0]}.yaml")) if siblings else {}
    return merge(below, own)


def calls(node: Any) -> Iterator[dict[str, Any]]:
    """Every mapping with a `_target_` in a nest of mappings and lists."""
    if isinstance(node, dict) and "_target_" in node:
        yield node
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from calls(inner)


def parameters(target: str) -> list[str]:
    """The named parameters of a target, in the order of its signature, without those that code passes."""
    named = inspect.signature(resolve_name(":".join(target.rsplit(".", 1)))).parameters.values()
    names = [parameter.name for parameter in named if parameter.kind is not parameter.VAR_KEYWORD]
    return [name for name in names if name not in PASSED.get(target, ())]


@parametrize_files("file", CALLS)
def test_a_file_of_a_group_is_one_call(file: Path) -> None:
    assert next(iter(composed(file))) == "_target_"
    for call in calls(composed(file)):
        given = [key for key in call if key not in ("_target_", "_partial_")]
        names = parameters(call["_target_"])
        if call.get("_partial_"):  # segtrain.losses.Sum hands these two on to its parts
            names = [name for name in names if name not in ("weights", "ignore_index")]
        if not call["_target_"].startswith("segtrain."):
            names = [name for name in names if name in given]
        assert given == names, f"{call['_target_']} has, in this order: {', '.join(names)}"


@parametrize_files("file", CALLS)
def test_a_file_extends_one_sibling_at_most_and_no_deeper(file: Path) -> None:
    siblings = read(file).get("defaults", [])
    assert len(siblings) <= 1
    assert all("defaults" not in read(file.with_name(f"{sibling}.yaml")) for sibling in siblings)


@parametrize_files("file", [file for file in CALLS if "defaults" in read(file)])
def test_what_a_file_changes_is_in_the_order_of_its_sibling(file: Path) -> None:
    own, order = read(file), list(composed(file))
    assert [key for key in own if key != "defaults"] == [key for key in order if key in own]


@parametrize_files("file", sorted((CONF / "experiment").glob("*.yaml")))
def test_a_recipe_extends_no_recipe(file: Path) -> None:
    assert all(
        isinstance(choice, dict) and next(iter(choice)).startswith("override ") for choice in read(file)["defaults"]
    )


# --- the README's file tree -------------------------------------------------------------------------------------------

ONE_LINE = re.compile(r"tests/|conf/[^/]+/")  # folders that may stand for the files in them


def tree(text: str) -> list[str]:
    """The paths in the block below `## Files`: `name  what it is`, two spaces deeper below a line `folder/`."""
    block = re.search(r"^## Files$.*?^```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert block, "README.md has no fenced block below a heading '## Files'"
    paths, folders = [], []
    for line in block[1].splitlines():
        entry = re.fullmatch(r"((?:  )*)(?:(\S+)  +\S.*|(\S+/))", line)
        assert entry, f"file tree: {line!r} is not 'name  what it is'"
        depth, name = len(entry[1]) // 2, entry[2] or entry[3]
        assert depth <= len(folders), f"file tree: {line!r} is deeper than a line in the folder above"
        del folders[depth:]
        paths.append("".join(folders) + name)
        if name.endswith("/"):
            folders.append(name)
    return paths


def compare(paths: list[str], files: list[str]) -> dict[str, list[str]]:
    """How a file tree differs from the files: nothing, if all is well."""
    closed = [path for path in paths if path.endswith("/") and not any(p.startswith(path) for p in paths if p != path)]
    covered = {file for file in files if file in paths or any(file.startswith(folder) for folder in closed)}
    gone = [
        path for path in paths if not any(file == path or (path[-1] == "/" and file.startswith(path)) for file in files)
    ]
    differences = {
        "not in the tree": sorted(set(files) - covered),
        "no such file": gone,
        "twice": sorted({path for path in paths if paths.count(path) > 1}),
        "needs a line per file": [folder for folder in closed if not ONE_LINE.fullmatch(folder)],
    }
    return {what: where for what, where in differences.items() if where}


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="only git knows which files belong here")
def test_the_readme_shows_the_files_that_are_there() -> None:
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    files = sorted({name for name in names if name and (ROOT / name).exists()})
    differences = compare(tree((ROOT / "README.md").read_text(encoding="utf-8")), files)
    assert not differences, "\n".join(f"{what}: {' '.join(where)}" for what, where in differences.items())


def test_the_tree_is_read_line_by_line() -> None:
    text = "## Files\n\nwords\n\n```text\na/\n  b.py   two\n  c/     three\n    d.py  four\ne/f.txt  five\n```\n"
    assert tree(text) == ["a/", "a/b.py", "a/c/", "a/c/d.py", "e/f.txt"]


@pytest.mark.parametrize("line", ["b.py", "   b.py  an odd indent", "    b.py  too deep"])
def test_a_line_of_the_tree_that_says_nothing_is_noticed(line: str) -> None:
    with pytest.raises(AssertionError, match="file tree"):
        tree(f"## Files\n\n```\na/\n{line}\n```\n")


@pytest.mark.parametrize(
    ("paths", "files", "differences"),
    [
        (["a/", "a/b.py", "tests/"], ["a/b.py", "tests/x.py", "tests/y.py"], {}),
        (["a/", "a/b.py"], ["a/b.py", "a/c.py"], {"not in the tree": ["a/c.py"]}),
        (["b.py", "c.py"], ["b.py"], {"no such file": ["c.py"]}),
        (["b.py", "b.py"], ["b.py"], {"twice": ["b.py"]}),
        (["docs/"], ["docs/data.md"], {"needs a line per file": ["docs/"]}),
    ],
)
def test_a_wrong_tree_is_noticed(paths: list[str], files: list[str], differences: dict[str, list[str]]) -> None:
    assert compare(paths, files) == differences


if __name__ == "__main__":
    print("\n".join(report()))
