"""Brings the samples of the next update to the training thread, as micro batches on the host."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from bsmon.engine.batches import Batch, split
from bsmon.engine.order import SampleCursor
from bsmon.engine.plan import BatchPlan


class Feed(Protocol):
    """Where micro batches come from."""

    def take(self, cursor: SampleCursor, plan: BatchPlan) -> list[Batch]:
        """The micro batches of the next update, of one rank's share of it; the cursor is not moved.

        Empty when the epoch is over; also where an update has fewer samples than there are ranks, but for rank 0.
        """
        ...

    def close(self) -> None:
        """Let go of worker processes."""


class DirectFeed:
    """Loads in the training thread.

    A data set with `fetch(indices)` (data that lives in tensors) is asked for a whole update at once: on a step of
    0.3 ms, sample by sample through a collate function would be most of the loop. `rank` takes its share of an update.
    """

    def __init__(self, dataset: Dataset[Any], rank: int = 0) -> None:
        self._dataset = dataset
        self._rank = rank
        self._at_once = hasattr(dataset, "fetch")

    def take(self, cursor: SampleCursor, plan: BatchPlan) -> list[Batch]:
        """See Feed."""
        count = cursor.next_size(plan.batch_size)
        if count == 0:
            return []
        first, share = plan.share(count, self._rank)
        if share == 0:
            return []
        sizes = plan.micro_sizes(count, self._rank)
        indices = cursor.peek(share, first)
        if self._at_once:
            return split(load_batch(self._dataset, indices), sizes)
        return [load_batch(self._dataset, part) for part in indices.split(sizes)]

    def close(self) -> None:
        """Nothing to let go of."""


def load_batch(dataset: Dataset[Any], indices: Tensor) -> Batch:
    """One batch of a map-style data set; shape of the indices: (rows,)."""
    fetch = getattr(dataset, "fetch", None)
    if fetch is not None:
        return fetch(indices)
    return default_collate(_load_items(dataset, indices.tolist()))


def _load_items(dataset: Dataset[Any], indices: list[int]) -> list[Any]:
    many = getattr(dataset, "__getitems__", None)
    items: list[Any] = many(indices) if many is not None else [_load_item(dataset, index) for index in indices]
    return items


def _load_item(dataset: Dataset[Any], index: int) -> object:
    try:
        return dataset[index]
    except Exception as error:
        error.add_note(f"bsmon: the data set raised this for its sample {index}.")
        raise


class _InWorker(Dataset[Any]):
    """What a worker process loads from: the data set, with a sample that raises named."""

    def __init__(self, dataset: Dataset[Any]) -> None:
        self._dataset = dataset

    def __getitems__(self, indices: list[int]) -> list[Any]:
        return _load_items(self._dataset, indices)


class WorkerFeed:
    """Loads in DataLoader worker processes, ahead of training.

    The workers run ahead with the plan that stands. When the plan or the place changes, what they loaded ahead is
    thrown away and they start again from the cursor, which counts consumed samples only: nothing is lost or repeated.
    """

    def __init__(self, dataset: Dataset[Any], workers: int, *, pin_memory: bool, rank: int = 0) -> None:
        self._rank = rank
        self._ahead = _Ahead(rank)
        # Threads and fork do not mix: a forked child may hold a lock that another thread had taken.
        self._loader: DataLoader[Any] = DataLoader(
            _InWorker(dataset),
            batch_sampler=self._ahead,
            num_workers=workers,
            persistent_workers=True,
            pin_memory=pin_memory,
            multiprocessing_context="forkserver",
            worker_init_fn=_ignore_interrupt,
        )
        self._batches: Iterator[Batch] = iter(())
        self._expected: tuple[int, int, BatchPlan] | None = None

    def take(self, cursor: SampleCursor, plan: BatchPlan) -> list[Batch]:
        """See Feed."""
        count = cursor.next_size(plan.batch_size)
        if count == 0:
            return []
        if self._expected != (cursor.epoch, cursor.position, plan):
            self._ahead.start(cursor, plan)
            self._batches = iter(self._loader)
        micro_batches = [next(self._batches) for _ in plan.micro_sizes(count, self._rank)]
        self._expected = (cursor.epoch, cursor.position + count, plan)
        return micro_batches

    def close(self) -> None:
        """Stop the workers."""
        self._batches = iter(())
        iterator = getattr(self._loader, "_iterator", None)
        if iterator is not None:
            iterator._shutdown_workers()


class _Ahead:
    """A batch sampler that yields one rank's micro batches of the rest of an epoch, from a cursor's place on."""

    def __init__(self, rank: int) -> None:
        self._rank = rank
        self._batches: Sequence[list[int]] = ()

    def start(self, cursor: SampleCursor, plan: BatchPlan) -> None:
        rest = cursor.peek(cursor.remaining)
        updates = [update for update in rest.split(plan.batch_size) if _is_taken(update, cursor, plan)]
        self._batches = [part.tolist() for update in updates for part in self._micro_batches(update, plan)]

    def _micro_batches(self, update: Tensor, plan: BatchPlan) -> Sequence[Tensor]:
        first, share = plan.share(len(update), self._rank)
        return update.narrow(0, first, share).split(plan.micro_sizes(len(update), self._rank)) if share else ()

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self._batches)

    def __len__(self) -> int:
        return len(self._batches)


def _is_taken(update: Tensor, cursor: SampleCursor, plan: BatchPlan) -> bool:
    return len(update) == plan.batch_size or not cursor.drop_last


def _ignore_interrupt(worker: int) -> None:  # noqa: ARG001  torch passes the worker's number
    """A Ctrl-C in the terminal reaches the whole process group; the training thread decides when workers end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
