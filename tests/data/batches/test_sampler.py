from itertools import islice

import pytest

from segtrain.data.batches import sampler
from segtrain.data.batches.sampler import EndlessBatchSampler, generator, of_one_size


def batches(number: int, *, length: int = 10, batch_size: int = 4, seed: int = 0, **sharing: int) -> list[list[int]]:
    return list(islice(EndlessBatchSampler(length, batch_size, seed, **sharing), number))


def test_each_epoch_visits_each_sample_once_across_batch_borders():
    keys = [key for batch in batches(5) for key in batch]
    assert sorted(keys[:10]) == list(range(10))
    assert sorted(keys[10:]) == list(range(10, 20))


def test_epochs_are_shuffled_differently():
    keys = [key for batch in batches(5) for key in batch]
    assert keys[:10] != [key - 10 for key in keys[10:]]
    assert keys != [key for batch in batches(5, seed=1) for key in batch]


def test_starting_late_is_going_on():
    assert batches(6) == batches(2) + batches(4, done=2)


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_ranks_share_out_the_same_batches(ranks: int):
    shares = [batches(5, rank=rank, ranks=ranks) for rank in range(ranks)]
    assert [[key for share in shares for key in share[n]] for n in range(5)] == batches(5)


def test_a_batch_may_be_larger_than_the_data():
    (keys,) = batches(1, length=3, batch_size=8)
    assert sorted(keys) == list(range(6)) + sorted(keys)[6:]


def test_a_batch_that_cannot_be_shared_is_refused():
    with pytest.raises(ValueError, match=r"data.batch_size=4 cannot be shared by 3 processes: take a multiple"):
        EndlessBatchSampler(10, 4, 0, ranks=3)


def test_domains_and_positions_give_unrelated_draws():
    draws = {generator(0, domain, position).integers(2**60) for domain in range(3) for position in range(100)}
    assert len(draws) == 300


def test_images_of_one_size_are_scored_together_up_to_so_many_pixels(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sampler, "PIXELS", 2 * 30)
    assert of_one_size([(5, 6), (6, 5), (5, 6), (9, 9), (5, 6), (6, 5)]) == [[0, 2], [4], [1, 5], [3]]


def test_batches_of_no_images_are_none():
    assert of_one_size([]) == []
