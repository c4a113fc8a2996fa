"""The engine's observer: takes what happens on any thread and leaves it for the session's own."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from bsmon.core.gradients import Measurement
from bsmon.core.records import Evaluation, EventKind, HardwareSample, Level, Step
from bsmon.core.snapshot import BatchState, Failure, MemoryForecast, RunInfo, RunState

if TYPE_CHECKING:
    from bsmon.session.instruments import Instruments
    from bsmon.session.record import RunRecord

Happening = Callable[["RunRecord"], None]


class Inbox:
    """Implements `core.ports.Observer`. Every method costs an append; none waits, none raises."""

    def __init__(self) -> None:
        self._queue: deque[Happening] = deque()
        self._urgent = threading.Event()

    def wait(self, timeout_s: float) -> None:
        """Return when something that a person waits for has arrived, or after the time."""
        self._urgent.wait(timeout_s)
        self._urgent.clear()

    def drain(self, record: RunRecord) -> None:
        """Tell `record` all that happened, in order. Called by one thread only."""
        while self._queue:
            self._queue.popleft()(record)

    def steps(self, records: Sequence[Step]) -> None:
        """See Observer."""
        self._queue.append(lambda record: record.steps(records))

    def measured(self, measurement: Measurement) -> None:
        """See Observer."""
        self._queue.append(lambda record: record.measured(measurement))

    def evaluation(self, result: Evaluation) -> None:
        """See Observer."""
        self._leave(lambda record: record.evaluation(result))

    def hardware(self, sample: HardwareSample) -> None:
        """The sampler read the machine."""
        self._queue.append(lambda record: record.hardware(sample))

    def state(self, state: RunState, waiting_for: str = "") -> None:
        """See Observer."""
        self._leave(lambda record: record.state(state, waiting_for))

    def instruments(self, instruments: Instruments) -> None:
        """What looks at the training is there."""
        self._leave(lambda record: record.fit(instruments))

    def run_info(self, info: RunInfo) -> None:
        """See Observer."""
        self._leave(lambda record: record.run_info(info))

    def batch(self, state: BatchState) -> None:
        """See Observer."""
        self._leave(lambda record: record.batch(state))

    def event(self, kind: EventKind, level: Level, text: str, step: int, **data: float | int | str | None) -> None:
        """See Observer."""
        self._leave(lambda record: record.event(kind, level, text, step, data))

    def memory(self, forecasts: tuple[MemoryForecast, ...], fences: tuple[int, ...], measured_peak: int | None) -> None:
        """See Observer."""
        self._leave(lambda record: record.memory(forecasts, fences, measured_peak))

    def rewound(self, step: int) -> None:
        """See Observer."""
        self._leave(lambda record: record.rewound(step))

    def failed(self, failure: Failure) -> None:
        """See Observer."""
        self._leave(lambda record: record.failed(failure))

    def _leave(self, happening: Happening) -> None:
        self._queue.append(happening)
        self._urgent.set()
