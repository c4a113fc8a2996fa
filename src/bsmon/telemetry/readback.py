"""Small results from the training device to the host, without ever waiting for the device.

On CUDA the copy of a result goes into a slot of pinned memory and is read only once its event has passed, usually a
step or two later. Waiting instead (`.item()`) would stop the host from running ahead of the GPU. Everywhere else the
result is read at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor

Tag = TypeVar("Tag")

SLOTS = 8
"""Results in flight at most. A measurement is read within a few steps, so more would only be staler."""


class Slot(Protocol):
    """Holds one result on its way."""

    def store(self, values: Tensor) -> None:
        """Begin to copy a 1-d tensor; whatever the slot held is lost."""

    def is_ready(self) -> bool:
        """Whether the copy has arrived; returns at once."""

    def read(self) -> list[float]:
        """The values; only after `is_ready`."""


class HostSlot:
    """Reads at once, for devices whose results are there when the call returns (and for MPS, which has no events)."""

    def __init__(self) -> None:
        self._values: list[float] = []

    def store(self, values: Tensor) -> None:
        """See Slot."""
        self._values = values.tolist()

    def is_ready(self) -> bool:
        """See Slot."""
        return True

    def read(self) -> list[float]:
        """See Slot."""
        return self._values


class PinnedSlot:
    """A piece of pinned memory and the event that says when the copy into it is done."""

    def __init__(self) -> None:
        self._memory: Tensor | None = None
        self._length = 0
        self._copied = torch.cuda.Event()
        self._used = False

    def store(self, values: Tensor) -> None:
        """See Slot."""
        stream = torch.cuda.current_stream(values.device)
        if self._used:
            # An unread result may still be on its way into this memory from another stream.
            stream.wait_event(self._copied)
        self._length = values.numel()
        host = self._memory_for(values)
        host.copy_(values, non_blocking=True)
        self._copied.record(stream)
        self._used = True

    def _memory_for(self, values: Tensor) -> Tensor:
        if self._memory is None or self._memory.numel() < self._length or self._memory.dtype != values.dtype:
            # Rounded up, so that a slightly longer result does not pin memory anew.
            self._memory = torch.empty(-(-self._length // 256) * 256, dtype=values.dtype, pin_memory=True)
        return self._memory[: self._length]

    def is_ready(self) -> bool:
        """See Slot."""
        return bool(self._copied.query())

    def read(self) -> list[float]:
        """See Slot."""
        assert self._memory is not None, "read before store"
        values: list[float] = self._memory[: self._length].tolist()
        return values


class Readback(Generic[Tag]):
    """A queue of results on their way to the host, oldest first, at most `slots` of them."""

    def __init__(
        self, device: torch.device, *, slots: int = SLOTS, slot_type: Callable[[], Slot] | None = None
    ) -> None:
        make = slot_type or (PinnedSlot if device.type == "cuda" else HostSlot)
        self._free: deque[Slot] = deque(make() for _ in range(slots))
        self._waiting: deque[tuple[Tag, Slot]] = deque()
        self.dropped = 0
        """Results given up because newer ones needed their slots."""

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, tag: Tag, values: Tensor) -> None:
        """Send a 1-d tensor; when all slots are taken, the oldest unread result is dropped."""
        if not self._free:
            self._free.append(self._waiting.popleft()[1])
            self.dropped += 1
        slot = self._free.popleft()
        slot.store(values)
        self._waiting.append((tag, slot))

    def ready(self) -> Iterator[tuple[Tag, list[float]]]:
        """Every result that has arrived, oldest first; never waits."""
        while self._waiting and self._waiting[0][1].is_ready():
            tag, slot = self._waiting.popleft()
            values = slot.read()
            self._free.append(slot)
            yield tag, values
