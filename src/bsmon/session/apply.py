"""The one way from what happened to what is known: live sessions, resumed runs and replays all go through here."""

from __future__ import annotations

from bsmon.core.happenings import (
    Accounted,
    Advised,
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
from bsmon.session.inbox import Fitted
from bsmon.session.record import RunRecord


def apply(record: RunRecord, happening: Happening | Fitted) -> None:
    """Tell the record what happened."""
    match happening:
        case StepsMade():
            record.steps(happening.records)
        case Measured():
            record.measured(happening.measurement)
        case HardwareRead():
            record.hardware(happening.sample)
        case Evaluated():
            record.evaluation(happening.result)
        case Advised():
            record.advised(happening.view)
        case Accounted():
            record.accounted(happening)
        case _:
            _apply_rare(record, happening)


def _apply_rare(
    record: RunRecord,
    happening: StateChanged | RunDescribed | PlanSet | Noted | MemoryExpected | Rewound | Failed | Fitted,
) -> None:
    match happening:
        case StateChanged():
            record.state(happening.state, happening.waiting_for)
        case RunDescribed():
            record.run_info(happening.info)
        case PlanSet():
            record.batch(happening.state)
        case Noted():
            record.event(happening.kind, happening.level, happening.text, happening.step, happening.data)
        case MemoryExpected():
            record.memory(happening.forecasts, happening.fences, happening.measured_peak_bytes)
        case Rewound():
            record.rewound(happening.step)
        case Failed():
            record.failed(happening.failure)
        case Fitted():
            record.fit(happening.instruments)
