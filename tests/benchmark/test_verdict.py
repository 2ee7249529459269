from typing import Any

import pytest

from segtrain.benchmark import verdict
from segtrain.benchmark.reading import Reading
from segtrain.benchmark.steps import Step
from segtrain.benchmark.verdict import Facts, sentence

STEP = Step(
    seconds=0.1, parts={"backward": 0.06, "forward": 0.03, "loss": 0.006, "loop": 0.004}, operations=None, waited=0.0
)


def facts(**changes: Any) -> Facts:
    known = {
        "trained": 212.0,
        "waited": 0.7,
        "in_memory": 840.0,
        "reading": Reading(decoded=100.0, per_worker=70.0, all=212.0, workers=3),
        "step": STEP,
        "cached": False,
        "decoded_bytes": 1 << 30,
        "memory": 64 << 30,
        "device": "cuda",
    }
    return Facts(**{**known, **changes})


@pytest.fixture(autouse=True)
def _sixteen_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdict, "cores", lambda: 16)


def test_a_training_that_waits_is_told_how_many_workers_would_do() -> None:
    assert sentence(facts()) == (
        "held up by reading: 212 of 840 images/s; data.workers=12 lifts it to about 840 or data.cache=ram (1.0 GiB) "
        "spares the decoding"
    )


def test_workers_are_named_only_where_there_are_cores_for_them() -> None:
    many = facts(reading=Reading(100.0, 20.0, 212.0, workers=3), decoded_bytes=1 << 40)
    assert sentence(many) == "held up by reading: 212 of 840 images/s; data.workers=15 lifts it to about 300"
    assert "workers" not in sentence(facts(device="cpu"))


@pytest.mark.parametrize("change", [{"cached": True}, {"decoded_bytes": 1 << 40}])
def test_a_cache_is_named_only_where_it_is_not_used_and_fits(change: dict[str, Any]) -> None:
    assert "cache" not in sentence(facts(**change))


@pytest.mark.parametrize(("trained", "waited"), [(830.0, 0.02), (830.0, 0.7)])  # a GPU had enough to do
def test_a_training_that_computes_all_the_time_is_told_where(trained: float, waited: float) -> None:
    assert sentence(facts(trained=trained, waited=waited)) == (
        f"held up by computing, as it should be: {trained} images/s, of a step backward 60 %, forward 30 %, loss 6 %"
    )


def test_a_training_that_is_slower_without_waiting_shares_its_cores() -> None:
    assert sentence(facts(waited=0.02, device="cpu")) == (
        "held up by its 3 workers or other work on the same cores: 212 of 840 images/s, without waiting for images; "
        "data.cache=ram (1.0 GiB) spares the decoding"
    )
    assert "data.workers" not in sentence(facts(waited=0.02))
    alone = facts(waited=0.02, device="cpu", cached=True, reading=Reading(100.0, 70.0, 212.0, workers=0))
    assert sentence(alone) == "held up by other work on the same cores: 212 of 840 images/s, without waiting for images"
