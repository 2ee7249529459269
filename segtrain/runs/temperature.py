"""The temperature of a trained network: one number that its logits are divided by where they become probabilities.

So a network that is surer than it is right, or less sure, says how sure to be (Guo et al. 2017,
https://arxiv.org/abs/1706.04599). Its most likely class stays what it is. `training.calibration` fits the number, here
it is stored and read, and `models.ensemble.probabilities` applies it.
"""

from dataclasses import dataclass, fields
from typing import Any

from ..errors import UserError
from .correction import is_number

COLDEST, HOTTEST = 0.01, 100.0  # that a stored one may be
LARGEST = 1e6  # loss that a stored one may have


@dataclass(frozen=True)
class Temperature:
    """What logits are divided by, and how it was found."""

    value: float
    before: float  # negative log-likelihood of a pixel of val with the logits as they are
    after: float  # the same with a temperature, each image with the one that other images chose

    @classmethod
    def stored(cls, value: Any) -> "Temperature | None":
        """The temperature in a record, which may be a stranger's; `None` if there is none.

        Raises UserError if it is no temperature.
        """
        if value is None:
            return None
        names = [field.name for field in fields(cls)]
        if not isinstance(value, dict) or value.keys() != set(names):
            raise damaged(f"it does not hold {', '.join(names)} and no more")
        if not is_number(value["value"], HOTTEST) or value["value"] < COLDEST:
            raise damaged(f"it is no number from {COLDEST:g} to {HOTTEST:g}")
        if not all(is_number(value[name], LARGEST) for name in ("before", "after")):
            raise damaged("how good it is on val is no number")
        return cls(**value)

    def line(self) -> str:
        """What it does, in a sentence for the end of a table."""
        gain = f"negative log-likelihood of a pixel {self.before:.4f} -> {self.after:.4f} out of fold"
        return (
            f"temperature: for probabilities, logits are divided by {self.value:.3g}, fitted on val ({gain}); "
            "it changes no answer of a network by itself; calibration=false leaves them as they are"
        )


def soften(network: Any, temperature: Temperature | None) -> None:
    """Have a network's probabilities be those at this temperature; without one, of the logits as they are.

    What is noted is no parameter, so that the network keeps its type, its answers and the names of its parameters.
    """
    network.__dict__["temperature_of_answers"] = temperature.value if temperature else 1.0  # read by `probabilities`


def damaged(reason: str) -> UserError:
    return UserError(f"the checkpoint's temperature cannot be read ({reason}): is it damaged?")
