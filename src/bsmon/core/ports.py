"""The seams: what a front end needs of a run, and what the engine needs of whoever watches it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from bsmon.core.commands import Command, LearningRateRule
from bsmon.core.gradients import Measurement
from bsmon.core.records import Evaluation, EventKind, Level, Step
from bsmon.core.snapshot import BatchState, Failure, MemoryForecast, RunInfo, RunState, Snapshot


class Session(Protocol):
    """A run as a front end sees it: live, attached from another terminal, or replayed."""

    def snapshot(self) -> Snapshot:
        """The newest snapshot; returns at once, from any thread."""
        ...

    def submit(self, command: Command) -> None:
        """Ask for something; returns at once. An event says what came of it."""
        ...


class Observer(Protocol):
    """Who the engine reports to. Every method returns at once and never raises: watching must not hurt training."""

    def steps(self, records: Sequence[Step]) -> None:
        """Updates were made; handed over a few at a time, in order, so that a step costs next to nothing."""

    def measured(self, measurement: Measurement) -> None:
        """Something about the gradients of a measured step."""

    def evaluation(self, record: Evaluation) -> None:
        """The validation set was run."""

    def state(self, state: RunState, waiting_for: str = "") -> None:
        """The run changed its state, or what it is busy with."""

    def run_info(self, info: RunInfo) -> None:
        """The task was built; what it is."""

    def batch(self, state: BatchState) -> None:
        """The batch plan in force, acknowledged; also at the start."""

    def event(self, kind: EventKind, level: Level, text: str, step: int, **data: float | int | str | None) -> None:
        """Something rare happened."""

    def memory(self, forecasts: tuple[MemoryForecast, ...], fences: tuple[int, ...], measured_peak: int | None) -> None:
        """What is expected of other micro batch sizes, which ran out of memory, and the present plan's real peak."""

    def rewound(self, step: int) -> None:
        """Training has gone back to this step: what was reported after it is no longer part of the run."""

    def failed(self, failure: Failure) -> None:
        """The run ended with an error."""


class Mailbox(Protocol):
    """Where commands wait for a step boundary."""

    def take(self) -> Command | None:
        """The oldest waiting command, or None; returns at once."""
        ...

    def find(self, kind: type[Command]) -> Command | None:
        """The oldest waiting command of this kind, left where it is."""
        ...

    def wait(self, timeout_s: float) -> None:
        """Return when a command waits, or after the time."""
        ...


LearningRateScaling = Callable[[LearningRateRule, int, int], tuple[float, LearningRateRule]]
"""(rule, old batch size, new batch size) -> (factor on the learning rate, the rule that AUTO stood for)."""

Arguments = Mapping[str, object]
"""Keyword arguments of a built-in or a target, as the config gives them."""
