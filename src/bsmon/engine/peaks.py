"""The peak memory of updates as it really is, by micro batch; on the CPU it also enforces the budget."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

import torch

from bsmon.engine.batches import Batch
from bsmon.engine.budget import CpuMemoryMeter, shapes_of
from bsmon.engine.live_memory import held_tensors

_NOT_WATCHED = nullcontext()
_STEPS = 3  # the first ones make the optimizer's state and choose algorithms


class Peaks(Protocol):
    """Watches updates, and says once for every plan what its peak was."""

    def watching(self, part: str, micro_batches: Sequence[Batch]) -> AbstractContextManager[None]:
        """Surround one attempt at a part of an update ("gradients", "weights")."""
        ...

    def take_new(self, sizes: Sequence[int]) -> int | None:
        """After an update in micro batches of these sizes: their peak in bytes, the first time it is known."""
        ...


class CpuPeaks:
    """Counts tensors op by op in the first updates of each plan; with a budget also now and then after those.

    Raises torch.OutOfMemoryError within an attempt that goes beyond the budget.
    """

    def __init__(self, model: torch.nn.Module, optimizer: torch.optim.Optimizer, budget_bytes: int | None) -> None:
        self._model = model
        self._optimizer = optimizer
        self._has_budget = budget_bytes is not None
        self._meter = CpuMemoryMeter(budget_bytes)
        self._updates: dict[tuple[int, ...], int] = {}
        self._key: tuple[object, ...] = ()
        self._is_due = True

    def watching(self, part: str, micro_batches: Sequence[Batch]) -> AbstractContextManager[None]:
        """See Peaks."""
        if not (self._is_due or self._has_budget):
            return _NOT_WATCHED
        self._key = (part, *map(shapes_of, micro_batches))
        return self._meter.watching(self._key, lambda: held_tensors(self._model, self._optimizer, micro_batches))

    def take_new(self, sizes: Sequence[int]) -> int | None:
        """See Peaks."""
        key = tuple(sizes)
        done = self._updates.get(key, 0) + 1
        self._updates[key] = done
        # Whether the next update is counted is decided by this one: plans change rarely.
        self._is_due = done < _STEPS
        if done != _STEPS or len(self._key) < 2:
            return None
        parts = [self._meter.peak_bytes((part, *self._key[1:])) for part in ("gradients", "weights")]
        return max((peak for peak in parts if peak is not None), default=None)


class CudaPeaks:
    """Reads torch's allocator around the first updates of each plan: no counting, and nothing waits for the GPU.

    What happens between updates (an evaluation, a pass that is timed for the advisor) is no part of it.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._updates: dict[tuple[int, ...], int] = {}
        self._known: set[tuple[int, ...]] = set()
        self._peak = 0
        self._is_due = True

    def watching(self, part: str, micro_batches: Sequence[Batch]) -> AbstractContextManager[None]:  # noqa: ARG002  the allocator watches by itself
        """See Peaks."""
        return self._watched(part) if self._is_due else _NOT_WATCHED

    @contextmanager
    def _watched(self, part: str) -> Iterator[None]:
        if part == "gradients":  # with which an update begins; one that ran out of memory begins anew
            torch.cuda.reset_peak_memory_stats(self._device)
        yield
        self._peak = torch.cuda.max_memory_allocated(self._device)

    def take_new(self, sizes: Sequence[int]) -> int | None:
        """See Peaks."""
        key = tuple(sizes)
        peak, self._peak = self._peak, 0
        self._updates[key] = self._updates.get(key, 0) + 1
        is_new = peak > 0 and key not in self._known and self._updates[key] >= _STEPS
        if is_new:
            self._known.add(key)
        self._is_due = key not in self._known
        return peak if is_new else None


class NoPeaks:
    """For devices whose memory torch cannot tell."""

    def watching(self, part: str, micro_batches: Sequence[Batch]) -> AbstractContextManager[None]:  # noqa: ARG002  see Peaks
        """See Peaks."""
        return _NOT_WATCHED

    def take_new(self, sizes: Sequence[int]) -> int | None:  # noqa: ARG002  see Peaks
        """See Peaks."""
        return None
