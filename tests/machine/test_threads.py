from collections.abc import Callable
from concurrent.futures import Future
from threading import Event
from typing import Any

import pytest

from segtrain.machine.threads import Behind


def test_results_are_taken_in_order_and_only_so_many_wait() -> None:
    gate, taken = Event(), []

    def work(number: int) -> Callable[[], int]:
        return lambda: number if gate.wait(10) else -1

    def take(future: Future[object]) -> None:
        taken.append(future.result())

    with Behind(2) as behind:
        behind.add(work(0), take)
        behind.add(work(1), take)
        assert taken == []
        gate.set()
        behind.add(work(2), take)
        assert taken == [0]
    assert taken == [0, 1, 2]


def test_an_error_of_a_piece_reaches_the_one_who_takes_its_result() -> None:
    def take(future: Future[object]) -> None:
        with pytest.raises(ZeroDivisionError):
            future.result()

    with Behind(1) as behind:
        behind.add(lambda: 1 / 0, take)


def test_on_an_error_what_has_not_begun_is_left() -> None:
    gate, done = Event(), list[int]()

    def first() -> None:
        gate.wait(10)
        done.append(0)

    def nothing(_: Future[Any]) -> None:
        pass

    behind = Behind(1)
    behind.number = 9  # so that nothing is waited for
    with pytest.raises(KeyError), behind:  # noqa: PT012
        behind.add(first, nothing)
        for number in range(1, 5):
            behind.add(lambda number=number: done.append(number), nothing)
        gate.set()
        behind._waiting.clear()
        raise KeyError
    assert len(done) < 5
