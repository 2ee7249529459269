import time

import pytest

from segtrain.benchmark import stopwatch
from segtrain.benchmark.stopwatch import BETWEEN, Stopwatch


def test_each_moment_counts_for_the_innermost_part(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([0.0, 1.0, 3.0, 6.0, 10.0, 15.0])
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: next(moments))
    watch = Stopwatch("cpu")
    watch.start()
    watch.enter("outer")  # at 1
    watch.enter("inner")  # at 3
    watch.leave()  # at 6
    watch.leave()  # at 10
    assert watch.seconds() == {BETWEEN: 1 + 5, "outer": 2 + 4, "inner": 3}


def test_work_that_fails_leaves_its_part(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Stopwatch("cpu")
    watch.start()
    with pytest.raises(ZeroDivisionError):
        watch.around("part", lambda: 1 / 0)()
    much_later = time.perf_counter() + 100
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: much_later)
    parts = watch.seconds()
    assert parts[BETWEEN] > 99
    assert parts["part"] < 1


def test_what_was_measured_before_the_start_is_forgotten() -> None:
    watch = Stopwatch("cpu")
    watch.around("early", time.sleep)(0.01)
    watch.start()
    assert set(watch.seconds()) == {BETWEEN}
