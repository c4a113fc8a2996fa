"""Series of any length in bins that never move, and the speed over the last seconds."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsmon.core.records import Step
from bsmon.core.snapshot import Series
from bsmon.session.charts import ChartSeries
from bsmon.session.pace import Pace
from bsmon.store.history import BinnedSeries

VALUES = st.lists(st.floats(-1e6, 1e6) | st.just(math.nan) | st.just(math.inf) | st.none(), max_size=300)


def filled(values: list[float | None], capacity: int = 16) -> Series:
    series = BinnedSeries(capacity=capacity)
    series.extend(enumerate(values))
    return series.freeze()


@given(values=VALUES)
def test_every_bin_has_the_extremes_and_the_mean_of_its_own_values(values: list[float | None]) -> None:
    series = filled(values)
    assert len(series.low) <= 16
    width = int(series.width)
    for index, (low, high, mean) in enumerate(zip(series.low, series.high, series.mean, strict=True)):
        own = [v for v in values[index * width : (index + 1) * width] if v is not None and math.isfinite(v)]
        if not own:
            assert (low, high, mean) == (None, None, None)
            continue
        assert (low, high) == (min(own), max(own))
        assert mean == pytest.approx(math.fsum(own) / len(own), rel=1e-9, abs=1e-6)
    assert series.end >= len(values)


@given(values=st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=200), more=st.floats(-1e6, 1e6))
def test_bins_that_are_full_stay_as_they_are(values: list[float], more: float) -> None:
    before, after = filled(list(values), 256), filled([*values, more], 256)
    assert before.low == after.low[: len(before.low)]
    assert before.width == after.width


def test_full_series_merge_neighbours_and_double_the_width() -> None:
    series = filled([float(value) for value in range(20)])
    assert series.width == 2
    assert series.low[:3] == (0, 2, 4)
    assert series.high[:3] == (1, 3, 5)
    assert series.last == 19


def test_what_is_not_known_is_a_gap() -> None:
    series = filled([1.0, None, math.nan, 4.0, None])
    assert series.mean == (1.0, None, None, 4.0, None)
    assert series.last is None


@given(values=st.lists(st.floats(-10, 10), min_size=1, max_size=100), cut=st.integers(0, 120))
def test_truncating_forgets_what_came_after(values: list[float], cut: int) -> None:
    series = BinnedSeries(capacity=256)
    series.extend(enumerate(values))
    series.truncate(cut)
    assert series.freeze().low == tuple(values[:cut])


def test_a_frozen_series_is_the_same_object_until_something_is_added() -> None:
    series = BinnedSeries()
    series.append(0, 1.0)
    frozen = series.freeze()
    assert series.freeze() is frozen
    series.append(1, 2.0)
    assert series.freeze() is not frozen
    assert frozen.mean == (1.0,)


def steps(count: int, *, batch: int = 32, seconds: float = 0.1, wait: float = 0.0, loss: float = 1.0) -> list[Step]:
    return [Step(i + 1, 1, 0, batch, batch, 0.1, loss, 0.0, seconds, wait) for i in range(count)]


def test_the_pace_is_that_of_the_last_seconds() -> None:
    pace = Pace()
    assert (pace.samples_per_second, pace.step_s, pace.data_wait_share) == (None, None, None)
    for _ in range(10):
        pace.add(steps(10, seconds=0.1))
    for _ in range(10):
        pace.add(steps(10, seconds=0.2, wait=0.05))
    assert pace.samples_per_second == pytest.approx(160)
    assert pace.step_s == pytest.approx(0.2)
    assert pace.data_wait_share == pytest.approx(0.25)
    pace.restart()
    assert pace.samples_per_second is None


def test_the_smoothed_loss_is_a_mean_without_bias_and_passes_over_gaps() -> None:
    charts = ChartSeries()
    charts.steps(steps(5, loss=2.0), None)
    assert charts.smoothed_loss == pytest.approx(2.0)
    charts.steps(steps(3, loss=math.nan), None)
    assert charts.smoothed_loss == pytest.approx(2.0)


def test_a_loss_that_is_nan_is_shown_as_nan_and_not_as_the_last_good_one() -> None:
    charts = ChartSeries()
    charts.steps(steps(5, loss=2.0), None)
    charts.steps(steps(3, loss=math.nan), None)
    for name in ("loss", "loss_smoothed"):
        last = charts.freeze()[name].last
        assert last is not None
        assert math.isnan(last)
    charts.steps(steps(1, loss=2.0), None)
    assert charts.freeze()["loss_smoothed"].last == pytest.approx(2.0)


def test_charts_go_back_with_the_training() -> None:
    charts = ChartSeries()
    charts.steps(steps(50), 10.0)
    charts.rewind(20)
    assert len(charts.freeze()["loss"].low) == 21
