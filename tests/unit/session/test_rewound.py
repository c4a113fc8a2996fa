"""What a record says after training has gone back."""

from __future__ import annotations

from bsmon.core.happenings import Moment
from bsmon.core.records import Step
from bsmon.core.snapshot import BatchState, Mark, RunInfo
from bsmon.session.record import RunRecord


def steps(first: int, last: int) -> list[Step]:
    return [Step(step, 1, step * 10, 10, 10, 0.1, 1.0, 0.0, 1.0, 0.0) for step in range(first, last + 1)]


def test_the_mark_of_an_undo_stands_where_training_went_back_to() -> None:
    record = RunRecord(RunInfo("a"), lambda: Moment(0.0, 0.0))
    record.batch(BatchState(32, 32, 1, 0.1))
    record.steps(steps(1, 20))
    record.batch(BatchState(64, 64, 1, 0.1))
    record.steps(steps(21, 50))
    record.rewound(20)
    record.batch(BatchState(32, 32, 1, 0.1))
    assert record.freeze().marks == (Mark(20, 32, 64), Mark(20, 64, 32))
    record.steps(steps(21, 25))
    assert record.step == 25
