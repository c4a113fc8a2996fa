"""Micro batches from the training thread and from worker processes; batches of any nesting."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import pytest
import torch

from bsmon.engine.batches import map_tensors, split, tensors
from bsmon.engine.feed import DirectFeed, Feed, WorkerFeed
from bsmon.engine.order import EpochOrder, SampleCursor
from bsmon.engine.plan import BatchPlan
from bsmon.engine.tasks.task import TensorBatches
from tests.unit.engine.index_task import IndexItems

NUMBERS = torch.arange(20.0).unsqueeze(1)


def drain(feed: Feed, cursor: SampleCursor, plans: list[BatchPlan]) -> list[list[list[int]]]:
    """Indices by update and micro batch, one update a plan, the last plan to the epoch's end."""
    updates = []
    while micro_batches := feed.take(cursor, plans[0]):
        rows = [[int(index) for index in inputs.flatten()] for inputs, _ in micro_batches]
        cursor.advance(sum(map(len, rows)))
        updates.append(rows)
        plans = plans[1:] or plans
    return updates


def expected(drop_last: bool) -> list[list[list[int]]]:
    """20 samples in updates of 6 (micro 4), 5 and 5 (micro 5), 3 (micro 2), and a rest of 1."""
    order = EpochOrder(20, seed=1).indices(1).tolist()
    cuts = [(0, 3, 3), (6, 5), (11, 5), (16, 2, 1), *([] if drop_last else [(19, 1)])]
    updates = []
    for start, *sizes in cuts:
        update = []
        for size in sizes:
            update.append(order[start : start + size])
            start += size
        updates.append(update)
    return updates


PLANS = [BatchPlan(6, 4), BatchPlan(5, 5), BatchPlan(5, 5), BatchPlan(3, 2)]


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("dataset", [IndexItems(20), TensorBatches(NUMBERS, NUMBERS)], ids=["items", "tensors"])
def test_the_training_thread_loads_what_the_plan_says(dataset: Any, drop_last: bool) -> None:
    cursor = SampleCursor(EpochOrder(20, seed=1), drop_last=drop_last)
    assert drain(DirectFeed(dataset), cursor, PLANS) == expected(drop_last)


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_load_an_update_between_them(world_size: int) -> None:
    plans = [BatchPlan(size, 2, world_size) for size in (6, 5, 2, 4)]
    feeds = [DirectFeed(IndexItems(20), rank) for rank in range(world_size)]
    cursor, seen = SampleCursor(EpochOrder(20, seed=1)), []
    while parts := [feed.take(cursor, plans[0]) for feed in feeds]:
        if not parts[0]:
            break
        rows = [int(index) for part in parts for inputs, _ in part for index in inputs.flatten()]
        assert max(len(inputs) for part in parts for inputs, _ in part) <= 2
        cursor.advance(len(rows))
        seen += rows
        plans = plans[1:] or plans
    assert seen == EpochOrder(20, seed=1).indices(1).tolist()


def test_workers_load_the_same_and_start_anew_where_the_plan_changes() -> None:
    feed = WorkerFeed(IndexItems(20), 2, pin_memory=False)
    try:
        cursor = SampleCursor(EpochOrder(20, seed=1), drop_last=True)
        assert drain(feed, cursor, PLANS) == expected(drop_last=True)
        cursor = SampleCursor(EpochOrder(20, seed=1))
        assert drain(feed, cursor, PLANS) == expected(drop_last=False)
        # Back to a place in the middle, as after undoing a change with its weights.
        cursor.restore({"epoch": 1, "position": 11, "consumed": 11})
        assert drain(feed, cursor, PLANS[2:]) == expected(drop_last=False)[2:]
    finally:
        feed.close()


def test_workers_load_a_ranks_share() -> None:
    """18 samples in updates of 5, 5, 5 and 3 over three ranks: the last rank has one of each."""
    feed = WorkerFeed(IndexItems(18), 1, pin_memory=False, rank=2)
    try:
        cursor, plan, order = (
            SampleCursor(EpochOrder(18, seed=1)),
            BatchPlan(5, 2, 3),
            EpochOrder(18, seed=1).indices(1),
        )
        for place, count in ((0, 5), (5, 5), (10, 5), (15, 3)):
            rows = [int(index) for inputs, _ in feed.take(cursor, plan) for index in inputs.flatten()]
            assert rows == order[place + count - 1 : place + count].tolist()
            cursor.advance(count)
    finally:
        feed.close()


def test_samples_that_are_given_many_at_a_time_are_asked_for_so() -> None:
    class Many(IndexItems):
        def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
            raise AssertionError("one at a time")

        def __getitems__(self, indices: list[int]) -> list[tuple[torch.Tensor, torch.Tensor]]:
            return [IndexItems.__getitem__(self, index) for index in indices]

    (batch,) = DirectFeed(Many(20)).take(SampleCursor(EpochOrder(20, seed=1, shuffle=False)), BatchPlan(3, 3))
    assert batch[0].flatten().tolist() == [0, 1, 2]


@pytest.mark.parametrize("broken", [0, 13])
def test_a_sample_that_raises_is_named(broken: int) -> None:
    cursor = SampleCursor(EpochOrder(20, seed=1, shuffle=False))
    feed = DirectFeed(IndexItems(20, broken))
    with pytest.raises(OSError, match="cut off") as raised:
        feed.take(cursor, BatchPlan(20, 5))
    assert any(f"sample {broken}" in note for note in raised.value.__notes__)


Pair = namedtuple("Pair", "left right")

NESTED = [
    NUMBERS[:6],
    (NUMBERS[:6], NUMBERS[6:12]),
    {"x": NUMBERS[:6], "more": [NUMBERS[:6], {"y": NUMBERS[6:12]}]},
    Pair(NUMBERS[:6], torch.arange(6)),
]


@pytest.mark.parametrize("batch", NESTED, ids=["tensor", "tuple", "dict", "namedtuple"])
def test_a_batch_is_cut_along_its_rows_in_any_nesting(batch: Any) -> None:
    parts = split(batch, [3, 2, 1])
    assert [[len(tensor) for tensor in tensors(part)] for part in parts] == [
        [size] * len(list(tensors(batch))) for size in (3, 2, 1)
    ]
    for whole, *cut in zip(tensors(batch), *map(tensors, parts), strict=True):
        assert torch.equal(torch.cat(cut), whole)
    assert type(parts[0]) is type(batch)


def test_texts_are_cut_with_their_rows_and_numbers_stay_whole() -> None:
    batch = {"x": NUMBERS[:3], "text": ["a", "b", "c"], "scale": torch.tensor(2.0), "note": "all"}
    first, second = split(batch, [2, 1])
    assert (first["text"], second["text"]) == (["a", "b"], ["c"])
    assert first["scale"] == second["scale"] == 2.0
    assert first["note"] == "all"


def test_tensors_are_changed_in_place_of_the_nesting() -> None:
    changed = map_tensors(lambda tensor: tensor + 1, Pair(NUMBERS[:2], [NUMBERS[:1], "text"]))
    assert type(changed) is Pair
    assert changed.left.flatten().tolist() == [1, 2]
    assert changed.right[1] == "text"
