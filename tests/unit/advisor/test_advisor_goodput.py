from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsmon.advisor.goodput import (
    StepTime,
    ThroughputPoint,
    best_batch_size,
    fit_step_time,
    goodput,
    knee,
    powers_of_two,
    relative_time,
    rounded,
    statistical_efficiency,
)
from tests.unit.advisor.builders import line

fixed = st.floats(1e-5, 1.0)
per_sample = st.floats(1e-7, 1e-2)
scales = st.floats(1.0, 1e6)


@given(fixed, per_sample)
def test_the_fit_recovers_a_line(a: float, b: float) -> None:
    fit = fit_step_time(line(a, b))
    assert fit is not None
    assert fit.at(64) == pytest.approx(a + 64 * b, rel=1e-6)


def test_the_fit_is_weighted_by_relative_error() -> None:
    # The large size is 10 % off; unweighted, that would push the small ones far away.
    fit = fit_step_time((*line(0.01, 1e-4, (8, 32)), ThroughputPoint(1024, 50, 1.1 * (0.01 + 0.1024), 0.0)))
    assert fit is not None
    assert fit.at(8) == pytest.approx(0.01 + 8e-4, rel=0.05)


def test_fit_needs_two_sizes() -> None:
    assert fit_step_time(()) is None
    assert fit_step_time(line(0.01, 1e-4, (32, 32))) is None


def test_times_that_fall_or_pass_below_the_origin_stay_physical() -> None:
    falling = fit_step_time((ThroughputPoint(8, 9, 0.02), ThroughputPoint(32, 9, 0.01)))
    assert falling is not None
    assert falling.per_sample_s == 0
    assert falling.ratio() == math.inf
    steep = fit_step_time((ThroughputPoint(8, 9, 0.001), ThroughputPoint(32, 9, 0.1)))
    assert steep is not None
    assert (steep.fixed_s, steep.ratio()) == (0.0, 0.0)
    assert steep.per_sample_s > 0


def test_the_fixed_parts_error_follows_from_the_points() -> None:
    chance, found = random.Random(0), []
    points = [(8, 0.018), (32, 0.042), (128, 0.138)]
    for _ in range(2000):
        fit = fit_step_time([ThroughputPoint(b, 50, t + chance.gauss(0, 3e-4), 3e-4) for b, t in points])
        assert fit is not None
        found.append(fit.fixed_s)
    exact = fit_step_time([ThroughputPoint(b, 50, t, 3e-4) for b, t in points])
    assert exact is not None
    spread = math.sqrt(sum((a - 0.01) ** 2 for a in found) / len(found))
    assert exact.fixed_error_s == pytest.approx(spread, rel=0.1)


@given(fixed, per_sample, scales)
def test_no_size_beats_the_best(a: float, b: float, noise: float) -> None:
    fit = StepTime(a, b, 0.0, 3)
    best = best_batch_size(fit, noise)
    top = goodput(fit, noise, best)
    assert all(goodput(fit, noise, best * times) <= top * (1 + 1e-9) for times in (0.25, 0.5, 0.9, 1.1, 2, 4))


@given(fixed, per_sample, scales)
def test_how_flat_it_is(a: float, b: float, noise: float) -> None:
    """A factor of two off costs at most 11.2 %, a factor of four at most 36 %."""
    fit = StepTime(a, b, 0.0, 3)
    best = best_batch_size(fit, noise)
    top = goodput(fit, noise, best)
    assert goodput(fit, noise, 2 * best) >= (1 - 0.112) * top
    assert goodput(fit, noise, best / 4) >= (1 - 0.361) * top


def test_numbers() -> None:
    fit = StepTime(0.016, 0.001, 0.0, 3)
    assert best_batch_size(fit, 64) == pytest.approx(32)
    assert statistical_efficiency(64, 64) == 0.5
    assert statistical_efficiency(64, 0) == 0
    assert fit.samples_per_second(16) == pytest.approx(500)
    assert fit.fixed_share(16) == pytest.approx(0.5)
    assert relative_time(fit, 64, 32, 32) == pytest.approx(1)
    assert relative_time(fit, 0.0, 32, 64) is None
    assert best_batch_size(StepTime(0.01, 0.0, 0, 2), 64) == math.inf
    assert best_batch_size(StepTime(0.0, 0.001, 0, 2), 64) == 0


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_powers_of_two(low: int, high: int) -> None:
    assert powers_of_two(low, high) == [1 << p for p in range(14) if low <= 1 << p <= high]


@pytest.mark.parametrize(
    ("size", "low", "high", "power"),
    [(45, 1, 512, 32), (46, 1, 512, 64), (5, 16, 512, 16), (math.inf, 1, 100, 64), (0, 4, 9, 4), (50, 33, 63, None)],
)
def test_rounding(size: float, low: int, high: int, power: int | None) -> None:
    assert rounded(size, low, high) == power


def test_the_knee_is_the_smallest_size_near_the_best() -> None:
    fit = StepTime(0.016, 0.001, 0.0, 3)
    sizes = powers_of_two(1, 512)
    found = knee(fit, 64, sizes)
    best = max(goodput(fit, 64, size) for size in sizes)
    assert found is not None
    assert goodput(fit, 64, found) >= 0.9 * best > goodput(fit, 64, found // 2)
    assert knee(fit, 64, []) is None
