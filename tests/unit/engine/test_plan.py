"""The batch plan: sizes add up, differ by at most one, and never go above the micro batch."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsmon.engine.plan import BatchPlan

SIZES = st.integers(1, 5000)


@given(batch=SIZES, largest=SIZES)
def test_a_plan_holds_the_whole_batch_in_the_fewest_passes(batch: int, largest: int) -> None:
    plan = BatchPlan.within(batch, largest)
    assert plan.batch_size == batch
    assert plan.micro_batch_size <= largest
    passes = plan.gradient_accumulation_steps
    assert passes == -(-batch // largest)
    assert (passes - 1) * largest < batch <= passes * plan.micro_batch_size


@given(batch=SIZES, largest=SIZES, short=st.floats(0, 1))
def test_micro_batches_add_up_and_differ_by_at_most_one(batch: int, largest: int, short: float) -> None:
    plan = BatchPlan.within(batch, largest)
    rows = max(1, int(batch * short))
    sizes = plan.micro_sizes(rows)
    assert sum(sizes) == rows
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= 1
    assert max(sizes) <= plan.micro_batch_size
    assert sizes == sorted(sizes, reverse=True)


@given(batch=SIZES, largest=SIZES, rows=SIZES, world_size=st.integers(1, 9))
def test_ranks_share_an_update_evenly_and_whole(batch: int, largest: int, rows: int, world_size: int) -> None:
    plan = BatchPlan.within(batch, largest, world_size)
    rows = min(rows, batch)
    shares = [plan.share(rows, rank) for rank in range(world_size)]
    taken = [row for first, count in shares for row in range(first, first + count)]
    assert taken == list(range(rows))
    counts = [count for _, count in shares]
    assert counts == plan.shares(rows) == sorted(counts, reverse=True)
    assert counts[0] - counts[-1] <= 1
    for rank, count in enumerate(counts):
        sizes = plan.micro_sizes(rows, rank)
        assert sum(sizes) == count
        assert max(sizes, default=0) <= plan.micro_batch_size <= largest
        assert len(sizes) <= plan.gradient_accumulation_steps
    assert len(plan.micro_sizes(batch)) == plan.gradient_accumulation_steps


@pytest.mark.parametrize(
    ("batch", "largest", "micro", "sizes"),
    [
        (32, 32, 32, [32]),
        (32, 100, 32, [32]),
        (33, 16, 11, [11, 11, 11]),
        (10, 4, 4, [4, 3, 3]),
        (7, 1, 1, [1] * 7),
        (1, 1, 1, [1]),
        (5, 0, 1, [1] * 5),
    ],
)
def test_plans(batch: int, largest: int, micro: int, sizes: list[int]) -> None:
    plan = BatchPlan.within(batch, largest)
    assert plan.micro_batch_size == micro
    assert plan.micro_sizes(batch) == sizes


@pytest.mark.parametrize(("batch", "micro"), [(4, 5), (4, 0), (0, 0)])
def test_a_plan_that_cannot_be_is_an_error_of_the_program(batch: int, micro: int) -> None:
    with pytest.raises(AssertionError):
        BatchPlan(batch, micro)
