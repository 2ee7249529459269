"""segtrain.config: every value fits the annotation of the parameter that it is passed to."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional, Protocol, TypedDict, TypeVar, Union

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from segtrain.config import check, describe, fits, nearest, plain

if TYPE_CHECKING:
    from nowhere import Ghost  # pyright: ignore[reportMissingImports]


class Network:
    pass


class Factory(Protocol):
    def __call__(self, width: int) -> Network: ...


class Record(TypedDict):
    name: str


Anything = TypeVar("Anything")
SPEC = {"_target_": "fractions.Fraction"}


@pytest.mark.parametrize(
    ("annotation", "good", "bad"),
    [
        (int, [0, -3], [1.0, True, "1", None, [1]]),
        (float, [0.5, 3, float("inf")], [False, "0.5", None, [0.5]]),
        (bool, [True, False], [0, 1, "true", None]),
        (str, ["", "a"], [1, None, True, ["a"]]),
        (None, [None], [0, "", False]),
        (Path, ["a/b"], [1, None]),
        (int | None, [1, None], ["1", 1.0]),
        (Optional[int], [1, None], ["1", 1.0]),  # noqa: UP045 the older spelling, which libraries have
        (Union[int, str], [1, "auto"], [1.5, None]),  # noqa: UP007
        (float | torch.Tensor, [0.1, 1], ["0.1", None]),
        (Literal["a", 1], ["a", 1], ["b", 1.0, True]),
        (Literal["a"] | bool | None, ["a", True, None], ["b", 1]),
        (list, [[], [1, "a"]], ["ab", {}, None]),
        (list[int], [[], [1, 2]], [[1, "a"], [1.5], 1, "12"]),
        (Sequence[float], [[1, 2.5]], ["12", [None], 2.5]),
        (Iterable[str], [["a"]], ["a", [1]]),
        (tuple[int, int], [[1, 2]], [[1], [1, 2, 3], [1, "a"], 1]),
        (tuple[float | torch.Tensor, float], [[0.9, 1]], [[0.9, None], 0.9]),
        (tuple[int, ...], [[], [1, 2, 3]], [["a"]]),
        (tuple, [[], [1, "a"]], ["a"]),
        (list[tuple[int, str]], [[[1, "a"]]], [[["a", 1]]]),
        (dict, [{}, {"a": 1}], [[], "a", None]),
        (dict[str, int], [{}, {"a": 1}], [{"a": "b"}, {1: 1}]),
        (Mapping[str, Sequence[int]] | None, [{"a": [1]}, None], [{"a": 1}]),
        (Any, [1, None, "a", [1]], []),
        (object, [1, None, "a"], []),
        (Anything, [1, None], []),
        ("Ghost", [1, None], []),
        (Network, [SPEC], [1, None, "Network", {}]),
        (Factory, [SPEC], [1, "Factory", {}]),
        (Callable[..., Network], [SPEC], [1, "f"]),
        (Record, [SPEC], [1]),
        (int, [SPEC], []),
        (list[Network], [[SPEC], []], [[1], SPEC["_target_"]]),
        (Annotated[int, "a note"], [1], ["1"]),
    ],
)
def test_fits(annotation: Any, good: list[Any], bad: list[Any]) -> None:
    assert [value for value in good if not fits(value, annotation)] == []
    assert [value for value in bad if fits(value, annotation)] == []


def as_yaml(value: Any) -> Any:
    """YAML has lists where Python has tuples."""
    if isinstance(value, dict):
        return {key: as_yaml(item) for key, item in value.items()}
    return [as_yaml(item) for item in value] if isinstance(value, list | tuple) else value


TYPES = [
    int | None,
    dict[str, list[float]],
    tuple[int, str] | bool,
    Sequence[int | None],
    list[tuple[float, ...]],
    Literal["a", 2, None],
]


@settings(suppress_health_check=[HealthCheck.too_slow])  # machines are shared
@given(st.sampled_from(TYPES).flatmap(lambda annotation: st.tuples(st.just(annotation), st.from_type(annotation))))
def test_a_value_drawn_from_a_type_fits_it(drawn: tuple[Any, Any]) -> None:
    annotation, value = drawn
    assert fits(as_yaml(value), annotation)


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (float, "a number (float), such as 0.002"),
        (int | None, "a whole number (int) or null, such as 8"),
        (bool | Literal["warn"] | None, "true, false, 'warn' or null"),
        (list[int], "a list of int"),
        (Sequence[float] | str, "a list of float or a text"),
        (tuple[float | torch.Tensor, float], "a list of 2, [float, float]"),
        (dict[str, int], "a mapping"),
        (Union[str, Network], "a text"),  # noqa: UP007
        (Network, "a Network"),
    ],
)
def test_types_are_named_in_words(annotation: Any, words: str) -> None:
    assert describe(annotation) == words


@dataclass
class Length:
    epochs: int
    ema: float | None = None
    steps: list[int] = field(default_factory=list)


def command(
    *, seed: int, length: Length, out: Path | None = None, name: str | Path = "", data: dict[str, Any] | None = None
) -> None: ...


def test_mappings_for_dataclasses_become_dataclasses_and_strings_for_paths_paths() -> None:
    found = check(command, {"seed": 1, "length": {"epochs": 3, "ema": 1}, "out": "a/b", "name": "c"})
    assert found == {"seed": 1, "length": Length(3, 1, []), "out": Path("a/b"), "name": "c"}
    assert isinstance(found["name"], str)
    command(**found)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seed": "a"}, "seed: 'a' is not a whole number (int), such as 8"),
        ({"length": {"epochs": None}}, "length.epochs: null is not a whole number (int), such as 8"),
        ({"length": {"epochs": 1, "ema": True}}, "length.ema: true is not a number (float) or null, such as 0.002"),
        ({"length": {"epoch": 1}}, "unknown setting length.epoch: did you mean epochs?"),
        ({"length": {"ema": 1}}, "the setting length.epochs is missing"),
        ({"length": 3}, "length: 3 is not a mapping"),
        ({"sead": 1}, "unknown setting sead: did you mean seed?"),
        ({"data": [1]}, "data: [1] is not a mapping or null"),
    ],
)
def test_a_value_that_does_not_fit_is_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 the whole message is compared
        check(command, {"seed": 0, "length": {"epochs": 1}, **settings})
    assert str(caught.value) == message


def test_a_missing_argument_is_named() -> None:
    with pytest.raises(ValueError, match="the setting seed is missing"):
        check(command, {"length": {"epochs": 1}})


def network(*, encoder: Network, classes: int, widths: Sequence[int] | None, free=None) -> None: ...


def loose(first: "Ghost", /, second: "Ghost", **rest: int) -> None: ...


def train(*, model: Annotated[dict[str, Any], {"classes": int | None}], parts: list[Any] | None = None) -> None: ...


NETWORK = f"{__name__}.network"


def spec(**settings: Any) -> dict[str, Any]:
    return {"_target_": NETWORK, "encoder": {"_target_": NETWORK}, "classes": None, "widths": None, **settings}


def test_below_a_target_the_signature_of_the_target_counts() -> None:
    model = spec(widths=[1], free=["x"], encoder={"_target_": NETWORK, "_partial_": True, "widths": [2]})
    assert check(train, {"model": model}) == {"model": model}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (spec(widths="a"), "model.widths: 'a' is not a list of int or null"),
        (spec(width=[1]), f"model: {NETWORK} takes no 'width': did you mean widths?"),
        (spec(encoder={"_target_": NETWORK, "classes": "a"}), "model.encoder.classes: 'a' is not a whole number"),
        (spec(encoder={"_target_": NETWORK, "classes": None}), "model.encoder.classes: null is not a whole number"),
        (spec(encoder={"_target_": f"{__name__}.netwrok"}), "did you mean network"),
        (spec(encoder=None), "model.encoder: null is not a Network"),
        (spec(free=[{"deep": spec(classes="a")}]), "model.free.0.deep.classes: 'a' is not a whole number"),
        (spec(_partial_="yes"), "model._partial_: 'yes' is not true or false"),
        (spec(classes="a"), "model.classes: 'a' is not a whole number (int) or null"),
        ({"_target_": "no_such_module.Thing"}, "model: _target_ in no_such_module: there is no module"),
    ],
)
def test_a_parameter_of_a_target_that_does_not_fit_is_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 the message is looked at below
        check(train, {"model": settings})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_targets_in_lists_are_checked_too() -> None:
    with pytest.raises(ValueError, match=r"parts\.1\.classes: 'a' is not"):
        check(train, {"model": {}, "parts": [1, spec(classes="a")]})


def test_what_only_a_type_checker_can_read_is_not_judged() -> None:
    target = {"_target_": f"{__name__}.loose", "second": 3, "anything": "x"}
    assert check(train, {"model": target}) == {"model": target}


@pytest.mark.parametrize(
    ("target", "settings", "message"),
    [
        ("torch.optim.AdamW", {"lr": 1e-3, "betas": [0.9, 0.999], "fused": True, "foreach": None}, None),
        ("torch.optim.AdamW", {"lr": "abc"}, "model.lr: 'abc' is not a number (float), such as 0.002"),
        ("torch.optim.AdamW", {"betas": [0.9]}, "model.betas: [0.9] is not a list of 2, [float, float]"),
        ("torch.optim.SGD", {"momentun": 0.9}, "model: torch.optim.SGD takes no 'momentun': did you mean momentum?"),
        ("lightning.pytorch.Trainer", {"precision": "bf16-mixed", "devices": 1, "deterministic": "warn"}, None),
        ("lightning.pytorch.Trainer", {"max_time": {"hours": 1}, "gradient_clip_val": 1}, None),
        ("lightning.pytorch.Trainer", {"deterministic": "no"}, "model.deterministic: 'no' is not true, false, 'warn'"),
        ("lightning.pytorch.Trainer", {"max_epoch": 3}, "lightning.pytorch.Trainer takes no 'max_epoch'"),
    ],
)
def test_other_peoples_signatures_are_understood(target: str, settings: dict[str, Any], message: str | None) -> None:
    settings = {"_target_": target, "_partial_": True, **settings}
    if message is None:
        assert check(train, {"model": settings}) == {"model": settings}
    else:
        with pytest.raises(ValueError) as caught:  # noqa: PT011 the message is looked at below
            check(train, {"model": settings})
        assert message in str(caught.value)


def test_the_defaults_of_other_peoples_signatures_fit_their_annotations() -> None:
    from lightning.pytorch import Trainer

    for call in (torch.optim.AdamW, torch.optim.SGD, torch.optim.Adam, Trainer):
        parameters = inspect.signature(call, eval_str=True).parameters.values()
        given = [parameter for parameter in parameters if parameter.default is not parameter.empty]
        assert [p.name for p in given if not fits(as_yaml(p.default), p.annotation)] == []


def test_settings_become_plain_with_interpolations_resolved() -> None:
    config = OmegaConf.create({"a": 1, "b": {"c": "${a}", "d": [1, None]}})
    assert plain(config, "train", {}) == {"a": 1, "b": {"c": 1, "d": [1, None]}}
    assert type(plain(config, "train", {})["b"]) is dict


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"data": {"root": "???"}}, "data=folder needs data.root=FOLDER: it has no value yet"),
        ({"images": "???"}, "predict needs images=FOLDER: it has no value yet"),
        ({"model": {"deep": {"width": "???"}}}, "predict needs model.deep.width=VALUE: it has no value yet"),
    ],
)
def test_a_setting_without_a_value_is_asked_for(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 the whole message is compared
        plain(OmegaConf.create(settings), "predict", {"data": "folder"})
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("typed", "near"),
    [
        ("train.epoch", ["train.epochs"]),
        ("epoch", ["train.epochs"]),
        ("lr", ["optimizer.lr"]),
        ("optimiser", ["optimizer"]),
        ("xyz", []),
        ("target", []),
    ],
)
def test_the_nearest_name_is_found_in_whole_and_in_part(typed: str, near: list[str]) -> None:
    names = [
        "train",
        "train.epochs",
        "train.validate_epochs",
        "optimizer",
        "optimizer.lr",
        "optimizer._target_",
        "seed",
    ]
    assert nearest(typed, names) == near
