from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

import pytest

from segtrain.machine.threads import Behind, read_ahead


def test_items_come_in_order_with_what_was_read_of_them() -> None:
    with ThreadPoolExecutor(3) as threads:
        found = [(item, future.result()) for item, future in read_ahead(threads, range(9), lambda item: item**2, 3)]
    assert found == [(item, item**2) for item in range(9)]


def test_so_many_items_are_read_before_their_turn_and_no_more() -> None:
    begun: list[int] = []
    with ThreadPoolExecutor(1) as threads:
        items = read_ahead(threads, range(9), begun.append, 3)
        _, first = next(items)
        first.result()
        threads.submit(int).result()  # behind all that was handed out
        assert begun == [0, 1, 2, 3]
        list(items)
    assert begun == list(range(9))


def test_an_item_that_cannot_be_read_does_not_hide_the_others() -> None:
    with ThreadPoolExecutor(2) as threads:
        found = list(read_ahead(threads, [1, 0, 2], lambda item: 2 / item, 2))
    assert [found[0][1].result(), found[2][1].result()] == [2, 1]
    with pytest.raises(ZeroDivisionError):
        found[1][1].result()


def test_results_are_taken_in_order_and_only_so_many_wait() -> None:
    gate, taken = Event(), []

    def work(number: int) -> Callable[[], int]:
        return lambda: number if gate.wait(10) else -1

    def take(future: Future[object]) -> None:
        taken.append(future.result())

    with ThreadPoolExecutor(2) as threads:
        behind = Behind(threads, 2)
        behind.add(work(0), take)
        behind.add(work(1), take)
        assert taken == []
        gate.set()
        behind.add(work(2), take)
        assert taken == [0]
        behind.finish()
    assert taken == [0, 1, 2]
