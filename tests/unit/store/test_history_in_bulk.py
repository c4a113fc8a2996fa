"""Series fed in bulk are those fed value by value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsmon.core.snapshot import Series
from bsmon.store.history import BinnedSeries

ODD = st.sampled_from([None, float("nan"), float("inf"), float("-inf")])
VALUES = st.lists(st.lists(ODD | st.floats(-1e6, 1e6) | st.floats(-1e6, 1e6), max_size=60), max_size=12)


def close(series: Series) -> list[object]:
    return [
        series.width,
        series.last if series.last is None else pytest.approx(series.last, nan_ok=True),
        *[[None if x is None else pytest.approx(x, abs=1e-6) for x in part] for part in (series.mean,)],
        series.low,
        series.high,
    ]


@given(VALUES)
def test_in_bulk_or_one_by_one(portions: list[list[float | None]]) -> None:
    bulk, single = BinnedSeries(capacity=8), BinnedSeries(capacity=8)
    step = 0
    for values in portions:
        steps = list(range(step, step + len(values)))
        bulk.extend_columns(steps, values)
        single.extend(zip(steps, values, strict=True))
        step += len(values)
    assert close(bulk.freeze()) == close(single.freeze())


def test_a_copy_is_of_its_own() -> None:
    series = BinnedSeries()
    series.extend_columns([0, 1], [1.0, 2.0])
    other = series.copy()
    other.append(2, 3.0)
    assert series.freeze().mean == (1.0, 2.0)
    assert other.freeze().mean == (1.0, 2.0, 3.0)


@given(st.lists(st.tuples(st.integers(0, 40), ODD | st.floats(-1e6, 1e6)), max_size=60))
def test_one_by_one_or_all_at_once(points: list[tuple[int, float | None]]) -> None:
    points.sort(key=lambda point: point[0])
    single, whole = BinnedSeries(capacity=8), BinnedSeries(capacity=8)
    for x, value in points:
        single.append(x, value)
    whole.extend(points)
    assert close(single.freeze()) == close(whole.freeze())
