"""How much of a run is left, in samples and in time."""

from __future__ import annotations

import pytest

from bsmon.core.happenings import Moment
from bsmon.core.records import Evaluation, Step
from bsmon.core.snapshot import BatchState, RunInfo, RunState
from bsmon.session.record import RunRecord
from bsmon.session.remaining import Evaluations, seconds_left


@pytest.mark.parametrize(
    ("evaluations", "seconds"),
    [
        (Evaluations(), 10.0),
        (Evaluations().and_one(2.0, 1000), 12.0),
        (Evaluations().and_one(2.0, 1000).and_one(4.0, 2000), 13.0),
        (Evaluations().and_one(2.0, 0), 10.0),  # before the first step: nothing is known of how often
    ],
)
def test_evaluations_take_of_the_time_that_is_left(evaluations: Evaluations, seconds: float) -> None:
    assert seconds_left(1000, 100.0, evaluations) == pytest.approx(seconds)


def test_a_runs_time_left_reckons_with_its_evaluations() -> None:
    record = RunRecord(RunInfo("a"), lambda: Moment(0.0, 0.0))
    record.run_info(RunInfo("a", epochs=3, train_samples=100))
    record.batch(BatchState(10, 10, 1, 0.1))
    record.state(RunState.TRAINING, "")
    record.steps([Step(i, 1, i * 10, 10, 10, 0.1, 1.0, 0.0, 1.0, 0.0) for i in range(1, 11)])
    assert record.freeze().progress.eta_s == pytest.approx(20.0)
    record.evaluation(Evaluation(10, 1, 1.0, None, 20, 3.0))
    assert record.freeze().progress.eta_s == pytest.approx(26.0)
