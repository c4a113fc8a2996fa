"""Counters turned into rates."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bsmon.telemetry.rates import Rates


def test_a_rate_needs_two_readings() -> None:
    rates = Rates()
    assert rates.per_second("a", 10.0, 0.0) is None
    assert rates.per_second("a", 30.0, 4.0) == 5.0
    assert rates.per_second("b", 30.0, 5.0) is None


def test_a_counter_that_was_set_back_has_no_rate_once() -> None:
    rates = Rates()
    values = [(100.0, 0.0), (3.0, 1.0), (5.0, 2.0)]
    assert [rates.per_second("a", value, time_s) for value, time_s in values] == [None, None, 2.0]


def test_a_missing_reading_starts_anew() -> None:
    rates = Rates()
    values = [(1.0, 0.0), (None, 1.0), (5.0, 2.0), (6.0, 3.0)]
    assert [rates.per_second("a", value, time_s) for value, time_s in values] == [None, None, None, 1.0]


def test_forgotten_keys_begin_again_and_others_stay() -> None:
    rates = Rates()
    for key in (1, 2):
        rates.per_second(key, 0.0, 0.0)
    rates.keep_only({1, 3})
    assert [rates.per_second(key, 1.0, 1.0) for key in (1, 2)] == [1.0, None]


@given(st.lists(st.tuples(st.floats(0, 1e12), st.floats(0, 1e6)), max_size=20))
def test_a_rate_is_never_negative(readings: list[tuple[float, float]]) -> None:
    rates = Rates()
    for value, time_s in readings:
        rate = rates.per_second("a", value, time_s)
        assert rate is None or rate >= 0
