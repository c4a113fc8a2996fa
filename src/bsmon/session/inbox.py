"""The engine's observer: takes what happens on any thread and leaves it for the session's own."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bsmon.core.gradients import Measurement
from bsmon.core.happenings import (
    Evaluated,
    Failed,
    Happening,
    HardwareRead,
    Measured,
    MemoryExpected,
    Noted,
    PlanSet,
    Rewound,
    RunDescribed,
    StateChanged,
    StepsMade,
)
from bsmon.core.records import Evaluation, EventKind, HardwareSample, Level, Step
from bsmon.core.snapshot import BatchState, Failure, MemoryForecast, RunInfo, RunState
from bsmon.session.instruments import Instruments


@dataclass(frozen=True, slots=True)
class Fitted:
    """What looks at the training is there. Only of this process: no journal can hold it."""

    instruments: Instruments


class Inbox:
    """Implements `core.ports.Observer`. Every method costs an append; none waits, none raises."""

    def __init__(self, elapsed: Callable[[], float] = lambda: 0.0) -> None:
        """`elapsed`: seconds since the run began."""
        self.elapsed = elapsed
        self._queue: deque[Happening | Fitted] = deque()
        self._urgent = threading.Event()

    def wait(self, timeout_s: float) -> None:
        """Return when something that a person waits for has arrived, or after the time."""
        self._urgent.wait(timeout_s)
        self._urgent.clear()

    def drain(self) -> list[Happening | Fitted]:
        """Take all that happened, in order. Called by one thread only."""
        taken = []
        while self._queue:
            taken.append(self._queue.popleft())
        return taken

    def steps(self, records: Sequence[Step]) -> None:
        """See Observer."""
        self._queue.append(StepsMade(records))

    def measured(self, measurement: Measurement) -> None:
        """See Observer."""
        self._queue.append(Measured(measurement))

    def evaluation(self, result: Evaluation) -> None:
        """See Observer."""
        self._leave(Evaluated(result))

    def hardware(self, sample: HardwareSample) -> None:
        """The sampler read the machine."""
        self._queue.append(HardwareRead(sample))

    def state(self, state: RunState, waiting_for: str = "") -> None:
        """See Observer."""
        self._leave(StateChanged(state, waiting_for))

    def instruments(self, instruments: Instruments) -> None:
        """What looks at the training is there."""
        self._leave(Fitted(instruments))

    def run_info(self, info: RunInfo) -> None:
        """See Observer."""
        self._leave(RunDescribed(info))

    def batch(self, state: BatchState) -> None:
        """See Observer."""
        self._leave(PlanSet(state))

    def event(self, kind: EventKind, level: Level, text: str, step: int, **data: float | int | str | None) -> None:
        """See Observer."""
        self._leave(Noted(kind, level, text, step, data))

    def memory(self, forecasts: tuple[MemoryForecast, ...], fences: tuple[int, ...], measured_peak: int | None) -> None:
        """See Observer."""
        self._leave(MemoryExpected(forecasts, fences, measured_peak))

    def rewound(self, step: int) -> None:
        """See Observer."""
        self._leave(Rewound(step))

    def failed(self, failure: Failure) -> None:
        """See Observer."""
        self._leave(Failed(failure))

    def _leave(self, happening: Happening | Fitted) -> None:
        self._queue.append(happening)
        self._urgent.set()
