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
        if schedule.is_due:
            schedule.measured()
            schedule.charge(cost_s)
            measured.append(step)
        schedule.step(step_s)
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
    paid = trained = 0.0
    for number, cost_s in enumerate(costs):
        while not schedule.is_due:
            schedule.step(step_s)
            trained += step_s
        assert paid <= share * trained + 1e-9
        schedule.measured()
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
    run(schedule, 1000, 0.1, 0.02)
    while not schedule.is_due:
        schedule.step(0.1)
    schedule.measured()
    schedule.charge(1000.0)
    waited = 0
    while not schedule.is_due:
        schedule.step(0.1)
        waited += 1
    assert waited <= math.ceil(OUTLIER * 10) + 1


def test_shares_are_reported() -> None:
    schedule = Schedule(0.02)
    assert schedule.cost_share is None
    run(schedule, 10_000, 0.1, 0.02)
    assert schedule.cost_share == pytest.approx(0.02, rel=0.05)
