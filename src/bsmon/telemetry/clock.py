"""Where a step's time goes: the loop marks the beginning of each phase, this adds up the shares."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, Literal, Protocol

Phase = Literal["data_wait", "host_to_device", "forward", "backward", "exchange", "optimizer", "telemetry"]

_WINDOW_STEPS = 50
_MOST_PENDING = 16
_EVERY = 4  # only every so many steps are timed


class StepTimer(Protocol):
    """Times the phases of a step. One thread marks; any thread may read the shares."""

    def mark(self, phase: Phase) -> None:
        """The phase begins now, and the one before it ends. A phase may come several times in a step."""
        ...

    def end_step(self) -> None:
        """The last phase ends; what follows until the next mark counts for nothing."""
        ...

    def shares(self) -> Mapping[str, float] | None:
        """Phase -> share of the marked time, adding up to 1, over the recent 50 to 100 steps; None before a step."""
        ...


class ShareWindow:
    """Sums over the present window of steps and the one before, so that the shares follow a change and stay calm."""

    def __init__(self, window_steps: int = _WINDOW_STEPS) -> None:
        self._window_steps = window_steps
        self._steps = 0
        self._before: dict[str, float] = {}
        self.now: dict[str, float] = {}

    def end_step(self) -> None:
        """Count a step; begin a new window when this one is full."""
        self._steps += 1
        if self._steps >= self._window_steps:
            self._before, self.now, self._steps = self.now, {}, 0

    def shares(self) -> Mapping[str, float] | None:
        """Phase -> share of the sum; None while there is nothing to share."""
        # Copies: the training thread may add a phase meanwhile, and a dict must not grow while it is walked through.
        before, now = self._before.copy(), self.now.copy()
        sums = {phase: before.get(phase, 0.0) + now.get(phase, 0.0) for phase in {**before, **now}}
        total = sum(sums.values())
        return {phase: seconds / total for phase, seconds in sums.items()} if total > 0 else None


class CpuStepTimer:
    """Times phases by the host's monotonic clock; for training on a CPU, where the calls do the work themselves.

    Only every `every`-th step is timed: on a step of 0.2 ms eight marks would be more than 1 % of it.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.perf_counter,
        every: int = 1,
        window_steps: int = _WINDOW_STEPS,
    ) -> None:
        self._clock = clock
        self._every = every
        self._steps = 0
        self._window = ShareWindow(window_steps)
        self._phase = ""
        self._since = 0.0

    def mark(self, phase: Phase) -> None:
        """See StepTimer."""
        if self._steps % self._every:
            return
        now = self._clock()
        before = self._phase
        if before:
            sums = self._window.now
            sums[before] = sums.get(before, 0.0) + now - self._since
        self._phase = phase
        self._since = now

    def end_step(self) -> None:
        """See StepTimer."""
        if self._steps % self._every == 0:
            self.mark("telemetry")
            self._phase = ""
            self._window.end_step()
        self._steps += 1

    def shares(self) -> Mapping[str, float] | None:
        """See StepTimer."""
        return self._window.shares()


class Event(Protocol):
    """A CUDA event with timing."""

    def record(self) -> None: ...  # noqa: D102 - torch.cuda.Event's
    def query(self) -> bool: ...  # noqa: D102 - torch.cuda.Event's
    def elapsed_time(self, end_event: Any) -> float: ...  # noqa: D102 - torch.cuda.Event's


class CudaStepTimer:
    """Times phases on the GPU's own clock, by events in the stream, without ever waiting for the GPU.

    The host runs ahead of the GPU, so host clocks would show who queues, not who works. Time in which the GPU had
    nothing to do counts for the phase that kept it waiting: data wait is the part of it that really hurts. Events cost
    the host microseconds, so only every `every`-th step is timed; they are read once they are known to be done.
    """

    def __init__(self, new_event: Callable[[], Event], every: int = _EVERY, window_steps: int = _WINDOW_STEPS) -> None:
        self._new_event = new_event
        self._every = every
        self._window = ShareWindow(window_steps)
        self._spare: list[Event] = []
        self._marks: list[tuple[str, Event]] = []
        self._pending: deque[list[tuple[str, Event]]] = deque()
        self._steps = 0

    def mark(self, phase: Phase) -> None:
        """See StepTimer."""
        if self._steps % self._every == 0:
            self._record(phase)

    def end_step(self) -> None:
        """See StepTimer."""
        if self._marks:
            self._record("")
            self._pending.append(self._marks)
            self._marks = []
        self._steps += 1
        self._collect()

    def shares(self) -> Mapping[str, float] | None:
        """See StepTimer."""
        return self._window.shares()

    def _record(self, phase: str) -> None:
        event = self._spare.pop() if self._spare else self._new_event()
        event.record()
        self._marks.append((phase, event))

    def _collect(self) -> None:
        """Read the steps that the GPU has finished; forget the oldest where it is very far behind."""
        while self._pending and self._pending[0][-1][1].query():
            self._add(self._pending.popleft())
        if len(self._pending) > _MOST_PENDING:
            self._pending.popleft()

    def _add(self, marks: list[tuple[str, Event]]) -> None:
        sums = self._window.now
        for (phase, begin), (_, end) in pairwise(marks):
            sums[phase] = sums.get(phase, 0.0) + begin.elapsed_time(end)
        self._window.end_step()
        self._spare += [event for _, event in marks]


def step_timer(device: str) -> StepTimer:
    """The timer for "cpu", "cuda:0", ...; on CUDA the current device must be the one that trains."""
    if device.partition(":")[0] != "cuda":
        return CpuStepTimer(every=_EVERY)
    import torch

    new_event: Callable[..., Any] = torch.cuda.Event
    return CudaStepTimer(lambda: new_event(enable_timing=True))
