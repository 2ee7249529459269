"""How a trained network is shown images: in a mirror and in other sizes too, whole or in windows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..data.batches.sides import flip_pairs
from ..errors import UserError
from ..inference.windows import Windows
from ..models.ensemble import Mirrored, Scaled
from ..runs.record import Record
from ..runs.trained import Opened


@dataclass(frozen=True)
class Views:
    """How a network is shown images, as it was typed; what is `None` is as in its training.

    Raises UserError for sizes that are none.
    """

    flip: bool
    scales: Sequence[float]  # factors on height and width
    window: int | None
    overlap: float | None

    def __post_init__(self) -> None:
        if not self.scales or not all(0 < scale < math.inf for scale in self.scales):
            raise UserError(f"scales={list(self.scales)}: expected numbers above 0, such as [0.75,1,1.25]")

    @property
    def has_scales(self) -> bool:
        return list(self.scales) != [1]

    def of(self, trained: Opened) -> Opened:
        """The network that answers by the mean of the probabilities of each image in all sizes, and in a mirror, in
        which left and right classes are exchanged."""
        network = trained.network
        if self.flip:
            network = Mirrored(network, flip_pairs(trained.record.augment.get("flip_pairs"), trained.classes.names))
        if self.has_scales:
            network = Scaled(network, self.scales)
        return trained._replace(network=network)

    def windows(self, record: Record) -> Windows:
        """The windows for large images. Raises UserError for what are none."""
        stored = record.settings["train"]
        if self.window is not None:
            return Windows(self.window, self.overlap)
        return Windows(stored.get("window"), stored.get("overlap") if self.overlap is None else self.overlap)

    def noted(self) -> dict[str, Any]:
        """What is otherwise than in the training, for the record of a score."""
        found: dict[str, Any] = {}
        if self.flip:
            found["flip"] = True
        if self.has_scales:
            found["scales"] = list(self.scales)
        if self.window is not None:
            found["window"] = self.window
        if self.overlap is not None:
            found["overlap"] = self.overlap
        return found

    def words(self) -> list[str]:
        """What `noted` holds, as words for the name of a folder."""
        words = []
        for name, value in self.noted().items():
            if value is True:
                words.append(name)
            else:
                numbers = value if isinstance(value, list) else [value]
                words.append("-".join([name, *(f"{number:g}" for number in numbers)]))
        return words
