"""The schedule keeps its share, its rate and its stride, and does not oscillate."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsmon.telemetry.budget import OUTLIER, Schedule


def run(schedule: Schedule, steps: int, step_s: float, cost_s: float) -> list[int]:
    """The steps that were measured, with constant times."""
    measured = []
    for step in range(1, steps + 1):
        if schedule.is_due(step, step * step_s):
            schedule.measured(step, step * step_s)
            schedule.charge(cost_s)
            measured.append(step)
    return measured


@pytest.mark.parametrize(
    ("share", "step_s", "cost_s", "stride"),
    [
        (0.02, 0.1, 0.002, 1),
        (0.02, 0.1, 0.02, 10),
        (0.02, 0.1, 0.0201, 11),
        (0.02, 0.0003, 0.0001, 17),
        (0.005, 0.16, 0.005, 7),
    ],
)
def test_the_stride_is_the_cost_over_the_share(share: float, step_s: float, cost_s: float, stride: int) -> None:
    schedule = Schedule(share)
    measured = run(schedule, 40 * stride, step_s, cost_s)
    assert measured[0] == 1
    assert {b - a for a, b in pairwise(measured[2:])} <= {stride, stride + 1}
    assert schedule.stride in (stride, stride + 1)


@given(
    share=st.floats(0.02, 0.5),
    step_s=st.floats(0.01, 1.0),
    costs=st.lists(st.floats(0.01, 0.08), min_size=2, max_size=8),
)
def test_what_was_paid_before_a_measurement_is_within_the_share(
    share: float, step_s: float, costs: list[float]
) -> None:
    schedule = Schedule(share)
    paid, step = 0.0, 1
    for number, cost_s in enumerate(costs):
        while not schedule.is_due(step, step * step_s):
            step += 1
        assert paid <= share * step * step_s + 1e-9
        schedule.measured(step, step * step_s)
        schedule.charge(cost_s)
        paid += cost_s if number else 0.0  # the first is free


def test_the_rate_is_limited() -> None:
    measured = run(Schedule(0.5, max_rate_hz=4), 10_000, 0.001, 1e-6)
    assert {b - a for a, b in pairwise(measured)} <= {250, 251}


def test_the_least_stride_is_kept() -> None:
    measured = run(Schedule(0.5, min_stride=10), 100, 0.001, 1e-9)
    assert measured == list(range(1, 101, 10))


def test_one_hiccup_of_the_machine_does_not_silence_the_probe() -> None:
    schedule = Schedule(0.02)
    last = run(schedule, 1000, 0.1, 0.02)[-1]
    schedule.measured(last + 10, (last + 10) * 0.1)
    schedule.charge(1000.0)
    waited = next(n for n in range(10_000) if schedule.is_due(last + 10 + n, (last + 10 + n) * 0.1))
    assert 10 < waited <= math.ceil(OUTLIER * 10) + 1


def test_costs_are_added_up() -> None:
    schedule = Schedule(0.02)
    measured = run(schedule, 10_000, 0.1, 0.02)
    assert schedule.count == len(measured)
    assert schedule.cost_s == pytest.approx(0.02 * len(measured))
    assert schedule.cost_s / (10_000 * 0.1) == pytest.approx(0.02, rel=0.05)


def test_a_late_part_of_a_cost_counts_too() -> None:
    schedule = Schedule(0.1)
    run(schedule, 20, 1.0, 0.1)
    schedule.measured(30, 30.0)
    schedule.charge(0.2)
    schedule.charge(0.3)
    assert not schedule.is_due(34, 34.9)
    assert schedule.is_due(35, 35.1)
