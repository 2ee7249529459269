"""segtrain.build: names become objects, and only those that may."""

import re
import shutil
import sys
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

import hydra.utils
import pytest
import yaml

from segtrain import build as module
from segtrain.build import Trust, build, conf_folder, locate

FRACTION = {"_target_": "fractions.Fraction", "numerator": 6, "denominator": 4}


class Box:
    """Keeps what it is given."""

    def __init__(self, content: object = None, *, label: str = "") -> None:
        self.content, self.label = content, label


BOX = f"{__name__}.Box"
WRAPS: dict[str, Callable[[object], object]] = {
    "in a list": lambda x: [x],
    "in a mapping": lambda x: {"a": x},
    "in a spec": lambda x: {"_target_": BOX, "content": x},
}


@pytest.mark.parametrize(
    "spec",
    [
        FRACTION,
        {"_target_": "datetime.timedelta", "days": 2, "hours": 3},
        {"_target_": "collections.OrderedDict"},
        {"_target_": "decimal.Decimal", "value": "1.50"},
        {"_target_": "fractions.Fraction", "numerator": FRACTION, "denominator": 2},
        {"_target_": "fractions.Fraction.from_float", "f": 0.75},
    ],
)
def test_it_builds_what_hydra_instantiates(spec: dict) -> None:
    assert build(spec) == hydra.utils.instantiate(spec)


def test_specs_in_lists_and_mappings_are_built_first() -> None:
    box = build({"_target_": BOX, "content": {"a": [FRACTION, 1], "b": {"c": FRACTION}}})
    assert box.content["a"] == [1.5, 1]
    assert box.content["b"] == {"c": 1.5}


def test_a_partial_may_lack_parameters() -> None:
    made = build({"_target_": "datetime.timedelta", "_partial_": True, "days": 1})
    assert isinstance(made, partial)
    assert made(hours=1) == timedelta(days=1, hours=1)
    assert build({"_target_": "datetime.timedelta", "_partial_": False, "days": 1}) == timedelta(days=1)


def test_extra_fills_in_and_replaces_and_is_taken_as_it_is() -> None:
    spec = {"_target_": BOX, "content": {"_target_": "no.such.thing"}, "label": None}
    box = build(spec, content=FRACTION, label="known to the data")
    assert box.content is FRACTION
    assert box.label == "known to the data"
    assert spec["label"] is None  # the settings stay as they were typed


def test_what_is_not_allowed_is_refused_at_any_depth_and_never_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "planted.py").write_text("def run(): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    spec = {"_target_": BOX, "content": [{"deep": {"_target_": "planted.run"}}]}
    with pytest.raises(ValueError, match=r"'planted\.run' .* allow=\[planted\.run\]"):
        build(spec, allow={BOX})
    with pytest.raises(ValueError, match=r"allow=\[planted\.run\]"):
        build({"_target_": "planted.run"}, allow=())
    assert "planted" not in sys.modules
    assert build(spec, allow={BOX, "planted.run"}).content == [{"deep": None}]


@pytest.mark.parametrize("name", ["fractions.Fraction.__init__", "fractions._hash_algorithm", "_thread.exit", "a..b"])
def test_private_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{re.escape(repr(name))} is not the dotted name of something public"):
        locate(name)


@pytest.mark.parametrize("allow", [None, {BOX}])
@pytest.mark.parametrize(
    "name",
    ["Fraction", "", None, 3, True, ["a.b"], {"a": 1}, b"a.b", "a.\x1b[31mb", "a.b\n", "a." * 100 + "b"],
)
def test_what_is_no_dotted_name_is_refused(name: object, allow: set[str] | None) -> None:
    with pytest.raises(ValueError, match="is not the dotted name of something public, such as") as caught:
        build({"_target_": name}, allow)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("partly", ["false", "true", 0, 1, None, [], {"_target_": "os.getcwd"}])
def test_partial_is_true_or_false(partly: object) -> None:
    with pytest.raises(ValueError, match=r"datetime\.timedelta: _partial_ is .*: expected true or false"):
        build({"_target_": "datetime.timedelta", "_partial_": partly, "days": 1})


@pytest.mark.parametrize("key", ["_args_", "_recursive_", "_convert_", "__class__", 7, None])
@pytest.mark.parametrize("target", [BOX, "builtins.dict"])
def test_what_hydra_understands_besides_is_an_unknown_parameter(target: str, key: object) -> None:
    with pytest.raises(ValueError, match=f"{target} takes no {key!r}"):
        build({"_target_": target, key: 1})


@pytest.mark.parametrize(
    "wrap", [lambda x: [x], lambda x: {"a": x}, lambda x: {"_target_": BOX, "content": x}], ids=WRAPS
)
@pytest.mark.parametrize("depth", [100, 100_000])
def test_what_is_nested_too_deeply_is_refused(wrap: Callable[[object], object], depth: int) -> None:
    nest: object = 1
    for _ in range(depth):
        nest = wrap(nest)
    with pytest.raises(ValueError, match="nested deeper than 64 levels"):
        build({"_target_": BOX, "content": nest}, {BOX})
    with pytest.raises(ValueError, match=r"'os\.system' is not a shipped one"):
        build({"_target_": BOX, "content": [[[[{"_target_": "os.system", "command": "exit 1"}]]]]}, {BOX})


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
def test_the_list_of_names_holds_at_any_depth_and_for_partials(wrap: Callable[[object], object]) -> None:
    inner = {"_target_": "os.system", "_partial_": True, "command": "exit 1"}
    with pytest.raises(ValueError, match=r"'os\.system' is not a shipped one"):
        build({"_target_": BOX, "content": wrap(inner)}, {BOX})


def test_a_name_that_is_allowed_does_not_allow_what_begins_like_it() -> None:
    for name in ("fractions.Fraction.from_float", "fractions.Fractions", "fractions"):
        with pytest.raises(ValueError, match=r"is not a shipped one|is not the dotted name"):
            build({"_target_": name, "f": 0.5}, {"fractions.Fraction"})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fractions.Fractoin", "'Fractoin' is not in fractions: did you mean Fraction?"),
        ("fractions.Fraction.from_flaot", "'from_flaot' is not in Fraction: did you mean from_float?"),
        ("no_such_module.Thing", "there is no module 'no_such_module'"),
        ("importlib.machinery", "importlib.machinery is a module"),
        ("logging.os.system", "os is a module: name what is wanted from it directly"),
        ("math.pi", "is a float, which cannot be called"),
    ],
)
def test_what_cannot_be_found_is_said_in_one_line(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        locate(name)
    assert "\n" not in str(caught.value)


def test_a_module_that_lacks_a_package_names_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "needy.py").write_text("import absent_package\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match="needy cannot be imported: No module named 'absent_package'"):
        locate("needy.Thing")


def test_wrong_and_missing_parameters_are_said_in_one_line() -> None:
    with pytest.raises(ValueError, match="Box takes no 'lable': did you mean label"):
        build({"_target_": BOX, "lable": "x"})
    with pytest.raises(ValueError, match="Box takes no 'lable'"):
        build({"_target_": BOX, "_partial_": True, "lable": "x"})
    with pytest.raises(ValueError, match=r"textwrap\.dedent: missing a required argument: 'text'"):
        build({"_target_": "textwrap.dedent"})


def test_an_error_of_the_object_itself_comes_through() -> None:
    with pytest.raises(ZeroDivisionError):
        build({**FRACTION, "denominator": 0})


def shipped_targets() -> set[tuple[str, str]]:
    """(part of the settings, name) of all that the shipped files have built, but for Hydra's own part."""
    found = set()
    for file in conf_folder().rglob("*.yaml"):
        part = file.relative_to(conf_folder()).parts[0]
        names = re.findall(r"_target_: ([\w.]+)", file.read_text(encoding="utf-8"))
        found.update((part, name) for name in names if part != "hydra")
    return found


@pytest.mark.parametrize(("part", "name"), sorted(shipped_targets()))
def test_every_shipped_target_is_there_and_trusted_in_its_place(part: str, name: str) -> None:
    assert callable(locate(name))
    assert name in Trust().names(part)


def test_what_is_added_to_conf_is_not_trusted_for_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(conf_folder(), tmp_path / "conf")
    (tmp_path / "conf" / "model" / "mine.yaml").write_text("_target_: torch.hub.load\n")
    monkeypatch.setattr("segtrain.build.conf_folder", lambda: tmp_path / "conf")
    assert "torch.hub.load" not in Trust().names("model")


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("segtrain.data.Augment", "augment"),
        ("segtrain.losses.CrossEntropy", "loss"),
        ("segtrain.models.ConvBNReLU", "model"),  # public, though no shipped file has it
        ("segtrain.training.schedules.cosine", "schedule"),
        ("torch.optim.SGD", "optimizer"),
        ("lightning.pytorch.Trainer", "trainer"),
    ],
)
def test_a_public_name_is_trusted_in_its_own_place_alone(name: str, part: str) -> None:
    parts = ("data", "augment", "model", "loss", "optimizer", "schedule", "trainer")
    trusting = {other for other in parts if name in Trust().names(other)}
    assert trusting == ({"data", "augment"} if part == "augment" else {part})


def test_what_the_user_allows_is_trusted_everywhere() -> None:
    assert BOX in Trust([BOX]).names("loss") & Trust([BOX]).names("trainer")
    assert BOX not in Trust().names("loss")


def test_a_clone_reads_its_own_folder_and_an_installed_copy_the_one_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in (tmp_path / "conf", tmp_path / "segtrain" / "conf"):
        folder.mkdir(parents=True)
    monkeypatch.setattr(module, "__file__", str(tmp_path / "segtrain" / "build.py"))
    assert conf_folder() == tmp_path / "segtrain" / "conf"  # a conf/ in site-packages may be anyone's
    (tmp_path / "pyproject.toml").touch()
    assert conf_folder() == tmp_path / "conf"


def test_the_shipped_files_are_found() -> None:
    assert yaml.safe_load((conf_folder() / "train.yaml").read_text(encoding="utf-8"))["seed"] == 0
