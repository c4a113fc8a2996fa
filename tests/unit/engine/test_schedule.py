"""The learning rate follows samples, so that no batch change stretches or compresses its course."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsmon.config.schema import Schedule
from bsmon.core.commands import LearningRateRule, SetBatchSize
from bsmon.engine.schedule import LearningRateSchedule
from tests.unit.engine.harness import config_for, play

NAMES = st.sampled_from(["constant", "step", "cosine", "linear"])
SETTINGS = st.builds(
    Schedule,
    name=NAMES,
    warmup_epochs=st.floats(0, 3),
    step_epochs=st.floats(0.5, 5),
    gamma=st.floats(0.1, 1),
    final=st.floats(0, 1),
)


@given(settings=SETTINGS, samples=st.integers(0, 2000))
def test_a_factor_is_a_share_of_the_full_rate(settings: Schedule, samples: int) -> None:
    assert 0 <= LearningRateSchedule(settings, 100, 1000).factor(samples) <= 1


@given(settings=SETTINGS, one=st.integers(0, 1500), other=st.integers(0, 1500))
def test_it_rises_in_the_warm_up_and_never_after_it(settings: Schedule, one: int, other: int) -> None:
    schedule, warmup = LearningRateSchedule(settings, 100, 1000), settings.warmup_epochs * 100
    early, late = sorted((one, other))
    if late < warmup:
        assert schedule.factor(early) <= schedule.factor(late)
    elif early >= warmup:
        assert schedule.factor(early) >= schedule.factor(late) - 1e-12


@pytest.mark.parametrize(
    ("settings", "at", "factor"),
    [
        (Schedule(), 500, 1.0),
        (Schedule(warmup_epochs=1), 0, 0.01),
        (Schedule(warmup_epochs=1), 49, 0.5),
        (Schedule(warmup_epochs=1), 100, 1.0),
        (Schedule(name="linear"), 500, 0.5),
        (Schedule(name="linear", final=0.2), 1000, 0.2),
        (Schedule(name="linear", final=0.2), 5000, 0.2),
        (Schedule(name="cosine"), 0, 1.0),
        (Schedule(name="cosine"), 500, 0.5),
        (Schedule(name="cosine", final=0.5), 500, 0.75),
        (Schedule(name="cosine", warmup_epochs=2), 200, 1.0),
        (Schedule(name="step", step_epochs=2, gamma=0.1), 199, 1.0),
        (Schedule(name="step", step_epochs=2, gamma=0.1), 200, 0.1),
        (Schedule(name="step", step_epochs=2, gamma=0.1), 400, 0.01),
    ],
)
def test_courses(settings: Schedule, at: int, factor: float) -> None:
    assert LearningRateSchedule(settings, 100, 1000).factor(at) == pytest.approx(factor)


@pytest.mark.parametrize(
    "schedule",
    [
        Schedule(name="step", warmup_epochs=1, step_epochs=1),
        Schedule(name="cosine", warmup_epochs=1),
        Schedule(name="linear", warmup_epochs=1),
    ],
    ids=lambda schedule: schedule.name,
)
def test_a_batch_change_neither_stretches_nor_compresses_it(schedule: Schedule, tmp_path: Path) -> None:
    config = config_for(batch=4, epochs=4, schedule=schedule)
    keep = LearningRateRule.UNCHANGED
    changes = [(3, SetBatchSize(8, keep)), (6, SetBatchSize(2, keep)), (9, SetBatchSize(12, keep))]
    runs = [play(config, tmp_path / str(number), given) for number, given in enumerate([[], changes])]
    rates = [{step.samples - step.batch_size: step.learning_rate for step in run.recorder.steps_made} for run in runs]
    common = rates[0].keys() & rates[1].keys()
    assert len(common) >= 8
    assert {at: rates[0][at] for at in common} == {at: rates[1][at] for at in common}
    assert len({rates[0][at] for at in common}) > 3
