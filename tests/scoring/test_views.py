from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from torch import nn

from segtrain.errors import UserError
from segtrain.models.ensemble import Mirrored, Scaled
from segtrain.scoring.views import Views


def trained() -> Any:
    """What `Views` looks at in a trained network, whose classes are a left one, a right one and another."""
    record = SimpleNamespace(augment={}, settings={"train": {"window": 256, "overlap": 0.25}})
    classes = SimpleNamespace(names=("left_eye", "right_eye", "nose"))
    return Opened(record=record, network=nn.Conv2d(3, 3, 1), classes=classes, folder=Path())


class Opened(SimpleNamespace):
    def _replace(self, **changes: Any) -> "Opened":
        return Opened(**{**vars(self), **changes})


def test_nothing_typed_leaves_the_network_as_it_is() -> None:
    network = trained()
    assert Views(False, [1], None, None).of(network).network is network.network
    assert Views(False, [1.0], None, None).noted() == {}


def test_sizes_are_those_of_each_image_and_of_its_mirror_image() -> None:
    network = Views(True, [0.5, 1], None, None).of(trained()).network
    assert isinstance(network, Scaled)
    assert isinstance(network.network, Mirrored)
    assert network.network.pairs == [(0, 1)]


def test_windows_are_those_of_the_training_unless_others_are_typed() -> None:
    record = trained().record
    stored, typed = Views(False, [1], None, None).windows(record), Views(False, [1], 512, 0.5).windows(record)
    assert (stored.side, stored.overlap) == (256, 0.25)
    assert (typed.side, typed.overlap) == (512, 0.5)
    record.settings["train"] = {}  # of an older version
    older = Views(False, [1], None, None).windows(record)
    assert (older.side, older.overlap) == (None, None)
    alone = Views(False, [1], 512, None).windows(SimpleNamespace(settings={"train": {"overlap": 0.5}}))
    assert (alone.side, alone.overlap) == (512, None)


def test_a_stored_window_that_is_none_is_refused() -> None:
    record = trained().record
    record.settings["train"]["window"] = "large"
    with pytest.raises(UserError, match="window=large"):
        Views(False, [1], None, None).windows(record)


def test_what_is_otherwise_than_in_the_training_is_noted() -> None:
    views = Views(True, [0.5, 1], 512, 0.75)
    assert views.noted() == {"flip": True, "scales": [0.5, 1], "window": 512, "overlap": 0.75}
    assert views.words() == ["flip", "scales-0.5-1", "window-512", "overlap-0.75"]
