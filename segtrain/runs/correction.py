"""The prior correction of a trained network: numbers that are added to its logits wherever they are used.

A network whose loss weighs rare classes more may answer with them too often. Taking a share of the logarithm of the
weights off the logits undoes that share of their effect, as Menon et al. 2021 ("Long-tail learning via logit
adjustment", https://arxiv.org/abs/2007.07314) take off the logarithm of the classes' frequencies to the opposite end.
`training.correction` fits the share, here it is stored and read, and `corrected` applies it.
"""

from dataclasses import dataclass, fields
from typing import Any

from ..errors import UserError

LOSS, FREQUENCY = "loss.weights", "the classes' frequencies"
LARGEST = 1000.0  # offset that a stored correction may have: logarithms of what a float holds are smaller


@dataclass(frozen=True)
class Correction:
    """What is added to the logits, and how it was found."""

    share: float  # of the logarithm of `of` that is taken off the logits, -1 to 1: a negative one is added
    of: str  # `LOSS` or `FREQUENCY`
    offsets: tuple[float, ...]  # what is added to the logits of each class
    before: float  # mIoU on val without a correction
    after: float  # mIoU on val with one, each image scored with the share that other images chose

    @classmethod
    def stored(cls, value: Any) -> "Correction | None":
        """The correction in a record, which may be a stranger's; `None` if there is none.

        Raises UserError if it is no correction.
        """
        if value is None:
            return None
        names = [field.name for field in fields(cls)]
        if not isinstance(value, dict) or value.keys() != set(names):
            raise damaged(f"it does not hold {', '.join(names)} and no more")
        offsets = value["offsets"]
        if not isinstance(offsets, list) or not all(is_number(offset, LARGEST) for offset in offsets):
            raise damaged(f"its offsets are not numbers up to {LARGEST:g}")
        if not all(is_number(value[name], 1) for name in ("share", "before", "after")):
            raise damaged("its share and its scores are not numbers up to 1")
        if value["of"] not in (LOSS, FREQUENCY):
            raise damaged("it does not say what it is a share of")
        return cls(**{**value, "offsets": tuple(offsets)})

    def refuse_others(self, classes: int) -> None:
        """Raises UserError if it is not for so many classes."""
        if len(self.offsets) != classes:
            raise damaged(f"it is for {len(self.offsets)} classes, not {classes}")

    def line(self) -> str:
        """What it does, in a sentence for the end of a table."""
        change = "taken off" if self.share > 0 else "added to"
        gain = f"mIoU {self.before:.4f} -> {self.after:.4f} out of fold"
        return (
            f"prior correction: {abs(self.share):g} of the logarithm of {self.of} is {change} the logits, "
            f"fitted on val ({gain}); correction=false scores without"
        )


def damaged(reason: str) -> UserError:
    return UserError(f"the checkpoint's prior correction cannot be read ({reason}): is it damaged?")


def is_number(value: Any, largest: float) -> bool:
    return type(value) in (int, float) and -largest <= value <= largest
