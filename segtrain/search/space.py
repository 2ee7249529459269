"""What a search varies: settings of `train`, and the values that each may take."""

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from ..build import did_you_mean
from ..errors import UserError, from_user
from ..runs.resume import has_leaf, leaves

LIMITS, BESIDE = {"low", "high"}, {"log", "step"}
Space = dict[str, BaseDistribution]  # by dotted names of settings


def opened(space: Mapping[str, Any], settings: Mapping[str, Any], typed: Collection[str]) -> Space:
    """The space that YAML describes, without the settings that were `typed`. Raises UserError for what is none."""
    varied = {}
    for name, values in entries(space):
        if not has_leaf(settings, name.split(".")):
            near = did_you_mean(name, [".".join(path) for path, _ in leaves(settings)])
            raise UserError(f"space.{name}: train has no such setting here{near}; space.{name}=null leaves it out")
        varied[name] = distribution(f"space.{name}", values)
    left = {name: values for name, values in varied.items() if name not in typed}
    if not left:
        raise UserError("space: nothing is left to vary (what is typed is not)")
    return left


def entries(space: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Each setting that is varied, with its values or limits."""
    for key, value in space.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping) and not LIMITS & value.keys():
            yield from entries(value, f"{name}.")
        elif value is not None:
            yield name, value


def distribution(where: str, values: Any) -> BaseDistribution:
    """optuna's view of an entry: a list of values, as texts, or numbers between limits, whole ones if these are."""
    with from_user(ValueError, TypeError, where=f"{where}: "):
        if isinstance(values, list):
            return CategoricalDistribution(choices(where, values))
        if not isinstance(values, Mapping) or not LIMITS <= values.keys() <= LIMITS | BESIDE:
            raise UserError(f"{where}: expected a list of values, or low and high (and log: true, or step: N)")
        limits = dict(values)
        refuse_no_numbers(where, limits)
        whole = not any(isinstance(value, float) for value in limits.values())
        return IntDistribution(**limits) if whole else FloatDistribution(**limits)


def choices(where: str, values: list[Any]) -> list[str]:
    """The values of a list, as they are typed. Raises UserError for one that is there twice."""
    typed = [value if isinstance(value, str) else json.dumps(value, separators=(",", ":")) for value in values]
    for value in typed:
        if typed.count(value) > 1:
            raise UserError(f"{where}: {value} is there twice")
    return typed


def refuse_no_numbers(where: str, limits: Mapping[str, Any]) -> None:
    """Raises UserError for limits and a step that are no numbers, and for a `log` that is neither true nor false."""
    for name, value in limits.items():
        expected = bool if name == "log" else int | float
        if not isinstance(value, expected) or (name != "log" and isinstance(value, bool)):
            kind = "true or false" if name == "log" else "a number"
            raise UserError(f"{where}.{name}={value}: expected {kind}")


def text_of(value: Any) -> str:
    """A value that was drawn, as it is typed: of a number with a fraction, four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
