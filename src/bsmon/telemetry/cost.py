"""What a probe takes: seconds of the host, or of the device where that is more."""

from __future__ import annotations

from collections import deque
from time import perf_counter
from types import TracebackType

import torch


class CostMeter:
    """A stopwatch around a probe's work: `with meter: ...`, then `take()`.

    On CUDA the work is only queued while the host's clock runs, so a pair of events times it on the device too. What
    the device took beyond the host's time is added when the events have passed, never waited for.
    """

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._seconds = 0.0
        self._began = 0.0
        self._first: torch.cuda.Event | None = None
        self._pairs: deque[tuple[torch.cuda.Event, torch.cuda.Event, float]] = deque()

    def __enter__(self) -> CostMeter:
        self._began = perf_counter()
        if self._cuda:
            self._first = _event()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        host_s = perf_counter() - self._began
        self._seconds += host_s
        if self._first is not None:
            self._pairs.append((self._first, _event(), host_s))
            self._first = None

    def add(self, seconds: float) -> None:
        """Add host time that was measured elsewhere."""
        self._seconds += seconds

    @property
    def is_waiting(self) -> bool:
        """Whether the device is still at something that it times."""
        return bool(self._pairs)

    def take(self) -> float:
        """Seconds since the last call, as far as they are known by now."""
        while self._pairs and self._pairs[0][1].query():
            first, last, host_s = self._pairs.popleft()
            device_s = first.elapsed_time(last) / 1e3
            self._seconds += max(0.0, device_s - host_s)
        taken, self._seconds = self._seconds, 0.0
        return taken


def _event() -> torch.cuda.Event:
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event
