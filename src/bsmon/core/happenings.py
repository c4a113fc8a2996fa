"""What is reported of a run, as data: one record a method of `core.ports.Observer`, and one for the advisor.

A live session, the journal and a replay handle the same records, so that all three come to the same state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bsmon.core.advice import AdvisorView
from bsmon.core.gradients import Measurement
from bsmon.core.records import Evaluation, EventKind, HardwareSample, Level, Step
from bsmon.core.snapshot import BatchState, Failure, MeasuredSize, MemoryForecast, RunInfo, RunState


class Moment(NamedTuple):
    """When something was noted."""

    time_s: float  # since the run began, monotonic; goes on where it stopped when a run is resumed
    clock: float  # seconds since 1970


@dataclass(frozen=True, slots=True)
class StepsMade:
    """Updates were made; never empty."""

    records: Sequence[Step]


@dataclass(frozen=True, slots=True)
class Measured:
    """Something about the gradients of a measured step."""

    measurement: Measurement


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The validation set was run."""

    result: Evaluation


@dataclass(frozen=True, slots=True)
class HardwareRead:
    """The sampler read the machine."""

    sample: HardwareSample


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The run changed its state, or what it is busy with."""

    state: RunState
    waiting_for: str = ""


@dataclass(frozen=True, slots=True)
class RunDescribed:
    """The task was built."""

    info: RunInfo


@dataclass(frozen=True, slots=True)
class PlanSet:
    """The batch plan in force."""

    state: BatchState


@dataclass(frozen=True, slots=True)
class Noted:
    """Something rare that a person should be able to read later."""

    kind: EventKind
    level: Level
    text: str
    step: int
    data: Mapping[str, float | int | str | None]


@dataclass(frozen=True, slots=True)
class MemoryExpected:
    """What is expected of other micro batch sizes, which ran out of memory, and what the present one really took."""

    forecasts: tuple[MemoryForecast, ...]
    fences: tuple[int, ...]
    measured_peak_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Rewound:
    """Training has gone back to this step."""

    step: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The run ended with an error."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Advised:
    """The advisor looked at the run and sees it otherwise than before."""

    view: AdvisorView


@dataclass(frozen=True, slots=True)
class Accounted:
    """Where the time goes, and what was measured at batch sizes; a size that is not among them stands as it was."""

    time_shares: Mapping[str, float] = field(default_factory=dict)  # phase -> 0..1 of a step's time, recent steps
    probes_cost_share: float | None = None  # 0..1 of the training time that gradient measurements took
    sizes: tuple[MeasuredSize, ...] = ()


Happening = (
    StepsMade
    | Measured
    | Evaluated
    | HardwareRead
    | StateChanged
    | RunDescribed
    | PlanSet
    | Noted
    | MemoryExpected
    | Rewound
    | Failed
    | Advised
    | Accounted
)
