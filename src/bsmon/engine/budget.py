"""A memory limit of the person's own, and what training may hold at all.

On CUDA torch enforces it. The CPU has no such switch: there the tensors of a step are counted op by op, which costs
Python time per operator (0.4 ms became 0.9 ms on a step of 85 operators, 55 ms became 60 on one of 700). So the count
runs on the first steps at every new batch shape and on every 50th step after; between those, a step of a shape that
fitted is taken to fit again. Memory that is not tensors (Python, libraries, scratch memory inside operators) is not
counted.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager

import psutil
import torch

from bsmon.core import cgroup
from bsmon.engine.batches import Batch, tensors
from bsmon.engine.live_memory import LiveMemory

_FIRST_STEPS = 2  # the first may lack gradients or the optimizer's state
_EVERY = 50


def enforce_on_cuda(device: torch.device, budget_bytes: int) -> None:
    """Let torch's allocator on `device` hold at most `budget_bytes`; more raises torch.OutOfMemoryError."""
    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, budget_bytes / total), device)


def host_available() -> int:
    """Bytes that this process may still take: what the machine has left, or its container where that is less."""
    machine, limit = int(psutil.virtual_memory().available), cgroup.memory_limit()
    return machine if limit is None else min(machine, limit.available_bytes)


def memory_limit(device: torch.device, budget_bytes: int | None, held: Iterable[torch.Tensor] = ()) -> int | None:
    """Bytes that tensors may take on `device` all in all: what is free and what training holds, up to the budget.

    Free memory leaves out the CUDA context and other processes, so neither needs adding to a forecast. On CUDA torch
    knows what it holds; for the CPU pass the tensors of the training (`held_tensors`). None: unknown.
    """
    room: int | None = None
    if device.type == "cuda":
        room = torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device)
    elif device.type == "cpu":
        live = LiveMemory("cpu")
        live.hold(held)
        room = host_available() + live.current_bytes
    known = [limit for limit in (room, budget_bytes) if limit is not None]
    return min(known) if known else None


def shapes_of(batch: Batch) -> tuple[tuple[int, ...], ...]:
    """Return the shapes of a batch's tensors: steps with equal shapes take equal memory."""
    return tuple(tuple(tensor.shape) for tensor in tensors(batch))


class CpuMemoryMeter:
    """Measures the peak of steps on the CPU and enforces a budget there, on the steps where a count is due."""

    def __init__(self, budget_bytes: int | None = None) -> None:
        self._budget_bytes = budget_bytes
        self._steps: dict[Hashable, int] = {}
        self._peaks: dict[Hashable, int] = {}

    @contextmanager
    def watching(self, key: Hashable, held: Callable[[], Iterable[torch.Tensor]]) -> Iterator[None]:
        """Surround one whole update. `key`: what its memory depends on, say its `shapes_of` and whether it accumulates.

        `held` gives the tensors that are there already (`held_tensors`); called only when a count is due. A step that
        raised is counted again when it is retried.

        Raises:
            torch.OutOfMemoryError: An operator's result would have gone beyond the budget; it was dropped.
        """
        done = self._steps.get(key, 0)
        if done >= _FIRST_STEPS and done % _EVERY:
            yield
        else:
            live = LiveMemory("cpu", limit_bytes=self._budget_bytes)
            live.hold(held())
            with live:
                yield
            self._peaks[key] = max(live.peak_bytes, self._peaks.get(key, 0))
        self._steps[key] = done + 1

    def peak_bytes(self, key: Hashable) -> int | None:
        """Return the largest peak counted for `key`; None before the first count."""
        return self._peaks.get(key)
