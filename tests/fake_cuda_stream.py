"""Streams and events of `tests.fake_cuda`: work that is done later, and how a host learns that it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Gpus(Protocol):
    """What an event needs of the GPUs."""

    waits: int  # for a GPU, by the host
    clock_ms: float

    def current_stream(self, device: Any = None) -> Stream: ...
    def work(self, milliseconds: float) -> None: ...


class Stream:
    """Work in order, done only when somebody waits for it or has asked an event whether it is done."""

    def __init__(self) -> None:
        self._queue: list[Callable[[], None]] = []

    def put(self, work: Callable[[], None]) -> None:
        self._queue.append(work)

    def run(self) -> None:
        queue, self._queue = self._queue, []
        for work in queue:
            work()

    def wait_event(self, event: Event) -> None:
        """The GPU waits for the other event, and not the host."""
        self.put(event.come_past)


class Event:
    """As torch.cuda.Event: done when its stream has come past it; one that was never recorded counts as done."""

    cuda: Gpus

    def __init__(self, enable_timing: bool = False) -> None:
        self._timed = enable_timing
        self._stream: Stream | None = None
        self._done_ms: float | None = None

    def record(self, stream: Stream | None = None) -> None:
        self._stream, self._done_ms = stream or self.cuda.current_stream(), None
        self._stream.put(self._pass)

    def query(self) -> bool:
        """Answers for this moment; by the next question the stream has got on."""
        if self._stream is None or self._done_ms is not None:
            return True
        self._stream.run()
        return False

    def synchronize(self) -> None:
        self.cuda.waits += 1
        self.come_past()

    def come_past(self) -> None:
        if self._stream is not None and self._done_ms is None:
            self._stream.run()

    def elapsed_time(self, end_event: Event) -> float:
        assert self._timed, "torch raises: the event was made without enable_timing"
        assert self._done_ms is not None, "torch raises: the event is not done"
        assert end_event._done_ms is not None, "torch raises: the event is not done"
        assert self._stream is end_event._stream, "torch raises: the events are of different devices"
        return end_event._done_ms - self._done_ms

    def _pass(self) -> None:
        self.cuda.work(1.0)
        self._done_ms = self.cuda.clock_ms
