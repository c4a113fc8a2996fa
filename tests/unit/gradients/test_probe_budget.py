"""The schedule keeps its share, its rate and its stride, and does not oscillate."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsmon.telemetry.budget import EARLY_SHARE, OUTLIER, Schedule


def run(schedule: Schedule, steps: int, step_s: float, cost_s: float, planned: int | None = None) -> list[int]:
    """The steps that were measured, with constant times; `planned`: how many steps the run is planned for."""
    measured = []
    for step in range(1, steps + 1):
        if schedule.is_due(step, step * step_s):
            left = None if planned is None else max(0.0, 1 - (step - 1) / planned)
            schedule.measured(step, step * step_s, left)
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


def test_the_first_come_early_where_the_planned_run_pays_for_them() -> None:
    """One costs 0.8 steps: at 2 % one comes every 40 steps, at 10 % of the time so far every 8."""
    early = run(Schedule(0.02, early=20), 5000, 0.1, 0.08, planned=5000)
    assert {b - a for a, b in pairwise(early[1:20])} <= {8, 9}
    late = [b - a for a, b in pairwise(early[20:])]
    # The 20 of them leave 84 % of the budget for 97 % of the run.
    assert set(late) <= {45, 46, 47}
    assert len(early) in (1 + 5000 // 40, 5000 // 40)
    assert run(Schedule(0.02, early=20), 5000, 0.1, 0.08) == run(Schedule(0.02), 5000, 0.1, 0.08)


def test_a_run_too_short_for_what_is_needed_takes_none_early() -> None:
    schedule = Schedule(0.02, early=20, needed=16)
    measured = run(schedule, 500, 0.1, 0.08, planned=500)
    assert {b - a for a, b in pairwise(measured[1:])} <= {40, 41}
    assert schedule.pays_for == 13


def test_a_run_that_pays_for_what_is_needed_takes_them_early_and_no_more() -> None:
    schedule = Schedule(0.02, early=20, needed=16)
    measured = run(schedule, 700, 0.1, 0.08, planned=700)
    assert {b - a for a, b in pairwise(measured[1:16])} <= {8, 9}
    assert len(measured) == schedule.pays_for == 18


def test_what_a_run_pays_for_is_not_known_without_a_plan() -> None:
    schedule = Schedule(0.02, early=20)
    run(schedule, 700, 0.1, 0.08)
    assert schedule.pays_for is None


def test_a_change_of_pace_is_seen() -> None:
    """After 100 of 10,000 steps each takes a tenth of the time: the rest pays for fewer measurements."""
    schedule = Schedule(0.02, early=20)
    run(schedule, 100, 0.1, 0.08, planned=10_000)
    before = schedule.pays_for
    schedule.pace_changed()
    for step in (200, 300):
        schedule.measured(step, 10 + (step - 100) * 0.01, 1 - step / 10_000)
        schedule.charge(0.08)
    assert (before, schedule.pays_for) == (251, 28)


@given(
    share=st.floats(0.005, 0.2),
    needed=st.integers(0, 20),
    cost=st.floats(0.05, 5.0),
    planned=st.integers(10, 3000),
    costlier=st.floats(0.5, 2.0),
)
def test_it_never_takes_more_than_the_planned_run_pays_for(
    share: float, needed: int, cost: float, planned: int, costlier: float
) -> None:
    """Whatever a measurement costs, in steps, and if the later ones cost more or less than the first did."""
    schedule = Schedule(share, early=20, needed=needed)
    spent, usual = 0.0, cost
    for step in range(1, planned + 1):
        if not schedule.is_due(step, step):
            continue
        if 1 < schedule.count <= 20:
            assert spent <= max(EARLY_SHARE, share) * step + 1e-9
        schedule.measured(step, step, max(0.0, 1 - (step - 1) / planned))
        schedule.charge(usual)
        spent += usual if schedule.count > 1 else 0.0
        usual = cost if schedule.count < 10 else cost * costlier
    # One measurement is begun before its cost is known.
    assert spent <= share * planned + max(cost, cost * costlier) + 1e-9
