"""Numbers as a person reads them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsmon.ui import numbers


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "n/a"), (0, "0"), (1, "1"), (10_080, "10,080"), (1_234_567, "1,234,567")],
)
def test_count(value: int | None, shown: str) -> None:
    assert numbers.count(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "n/a"),
        (math.nan, "NaN"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (0, "0"),
        (950, "950"),
        (0.5, "0.500"),
        (12_434, "12.4k"),
        (999_700, "1.00M"),
        (1.2e9, "1.20G"),
    ],
)
def test_compact(value: float | None, shown: str) -> None:
    assert numbers.compact(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "n/a"),
        (math.nan, "NaN"),
        (0.0, "0"),
        (0.2312, "0.231"),
        (12.34, "12.3"),
        (1234.5, "1,234"),
        (99.97, "100"),
        (1.2e-5, "1.20e-5"),
        (-0.05, "-0.0500"),
        (123_456, "1.23e5"),
    ],
)
def test_number(value: float | None, shown: str) -> None:
    assert numbers.number(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "n/a"),
        (1e-3, "1e-3"),
        (2.83e-3, "2.83e-3"),
        (1.414213e-3, "1.41e-3"),
        (0.1, "0.1"),
        (3e-5, "3e-5"),
        (0, "0"),
    ],
)
def test_learning_rate(value: float | None, shown: str) -> None:
    assert numbers.learning_rate(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "n/a"),
        (0, "0 B"),
        (512, "512 B"),
        (2**20, "1.00 MiB"),
        (6.1 * 2**30, "6.10 GiB"),
        (3 * 2**40, "3.00 TiB"),
    ],
)
def test_size(value: float | None, shown: str) -> None:
    assert numbers.size(value) == shown


def test_size_in_takes_the_unit_of_the_whole() -> None:
    assert numbers.size_in(2**29, 24 * 2**30) == "0.50"
    assert numbers.size_in(2**29, 2**29) == "512"
    assert numbers.size_in(None, 2**30) == "n/a"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, "n/a"), (0, "0:00"), (41.9, "0:41"), (3723, "1:02:03"), (200_000, "2 d 07:33"), (math.inf, "n/a")],
)
def test_duration(seconds: float | None, shown: str) -> None:
    assert numbers.duration(seconds) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(None, "n/a"), (3e-4, "300 us"), (0.0123, "12.3 ms"), (1.2, "1.20 s")])
def test_interval(seconds: float | None, shown: str) -> None:
    assert numbers.interval(seconds) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "n/a"), (0.0, "0 %"), (0.2, "<1 %"), (31.4, "31 %"), (100.0, "100 %")]
)
def test_percent(value: float | None, shown: str) -> None:
    assert numbers.percent(value) == shown


@given(st.floats(min_value=1e-2, max_value=9e4))
def test_a_number_is_shown_to_three_digits(value: float) -> None:
    assert float(numbers.number(value).replace(",", "")) == pytest.approx(value, rel=0.006)


@given(st.none() | st.floats())
def test_no_number_breaks_the_screen(value: float | None) -> None:
    for shown in (
        numbers.compact,
        numbers.number,
        numbers.learning_rate,
        numbers.size,
        numbers.duration,
        numbers.percent,
    ):
        assert shown(value).isprintable()
        assert value is not None or shown(value) == "n/a"
