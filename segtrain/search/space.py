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
            return CategoricalDistribution([text_of(value) for value in values])
        if not isinstance(values, Mapping) or not LIMITS <= values.keys() <= LIMITS | BESIDE:
            raise UserError(f"{where}: expected a list of values, or low and high (and log: true, or step: N)")
        limits = dict(values)
        whole = all(isinstance(limits[name], int) for name in LIMITS)
        return IntDistribution(**limits) if whole else FloatDistribution(**limits)


def text_of(value: Any) -> str:
    """A value as it is typed; of a number with a fraction, four digits."""
    if isinstance(value, str):
        return value
    return f"{value:.4g}" if isinstance(value, float) else json.dumps(value, separators=(",", ":"))
