"""Which samples an epoch has, and how far they are consumed."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bsmon.engine.order import EpochOrder, SampleCursor


@given(samples=st.integers(1, 200), seed=st.integers(0, 2**32 - 1), epoch=st.integers(1, 50))
def test_a_shuffled_epoch_is_a_permutation_that_seed_and_epoch_decide(samples: int, seed: int, epoch: int) -> None:
    drawn = EpochOrder(samples, seed=seed).indices(epoch)
    assert sorted(drawn.tolist()) == list(range(samples))
    assert torch.equal(drawn, EpochOrder(samples, seed=seed).indices(epoch))


def test_neither_epochs_nor_neighbouring_seeds_repeat_an_order() -> None:
    orders = [tuple(EpochOrder(50, seed=seed).indices(epoch).tolist()) for seed in range(5) for epoch in range(1, 6)]
    assert len(set(orders)) == 25


def test_without_shuffling_the_order_is_the_data_sets_own() -> None:
    assert EpochOrder(5, seed=1, shuffle=False).indices(7).tolist() == [0, 1, 2, 3, 4]


def test_an_order_leaves_the_random_numbers_of_the_training_alone() -> None:
    before = torch.get_rng_state()
    EpochOrder(50, seed=1).indices(1)
    EpochOrder(50, seed=1, weights=torch.ones(50)).indices(1)
    assert torch.equal(before, torch.get_rng_state())


def test_weights_decide_how_often_a_sample_is_drawn() -> None:
    order = EpochOrder(1000, seed=1, weights=torch.tensor([0.0, 1.0, 3.0] + [0.0] * 997))
    counts = torch.bincount(order.indices(1), minlength=3)
    assert counts[0] == 0
    assert int(counts[1] + counts[2]) == 1000
    assert 2 < float(counts[2] / counts[1]) < 4
    assert not torch.equal(order.indices(1), order.indices(2))


@given(samples=st.integers(1, 60), sizes=st.lists(st.integers(1, 60), min_size=1, max_size=30), drop=st.booleans())
def test_a_cursor_takes_each_sample_once_whatever_the_sizes(samples: int, sizes: list[int], drop: bool) -> None:
    cursor = SampleCursor(EpochOrder(samples, seed=1), drop_last=drop)
    taken: list[int] = []
    for size in sizes:
        count = cursor.next_size(size)
        assert count == min(size, cursor.remaining) or (drop and count == 0 and cursor.remaining < size)
        taken += cursor.peek(count).tolist()
        cursor.advance(count)
    assert taken == EpochOrder(samples, seed=1).indices(1).tolist()[: len(taken)]
    assert cursor.consumed == cursor.position == len(taken)
    assert cursor.remaining == samples - len(taken)


def test_a_place_is_saved_and_found_again() -> None:
    cursor = SampleCursor(EpochOrder(10, seed=1))
    cursor.advance(10)
    cursor.next_epoch()
    cursor.advance(3)
    other = SampleCursor(EpochOrder(10, seed=1))
    other.restore(cursor.state())
    assert other.state() == {"epoch": 2, "position": 3, "consumed": 13}
    assert torch.equal(other.peek(7), cursor.peek(7))
    assert torch.equal(other.peek(2, offset=3), cursor.peek(5)[3:])


def test_no_more_than_there_is_can_be_consumed() -> None:
    with pytest.raises(AssertionError):
        SampleCursor(EpochOrder(3, seed=1)).advance(4)
