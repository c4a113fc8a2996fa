"""Updates kept as columns are the same sequence of records."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsmon.core.records import Step
from bsmon.core.step_columns import Steps, in_columns

RECORDS = [Step(n, 1 + n // 3, 32 * n, 32, 8, 0.1, None if n == 2 else 1 / n, n * 0.5, 0.5, 0.01) for n in range(1, 9)]


@given(st.slices(len(RECORDS)))
def test_they_are_taken_as_from_a_list(taken: slice) -> None:
    steps = Steps(in_columns(RECORDS))
    assert steps == RECORDS
    assert steps[taken] == RECORDS[taken]
    assert list(steps[taken]) == RECORDS[taken]


def test_one_is_a_record_again() -> None:
    steps = Steps(in_columns(RECORDS))
    assert (steps[0], steps[-1], len(steps)) == (RECORDS[0], RECORDS[-1], len(RECORDS))
    assert in_columns(steps) is steps.columns
    with pytest.raises(IndexError):
        steps[len(RECORDS)]


def test_others_are_not_equal() -> None:
    assert Steps(in_columns(RECORDS)) != RECORDS[1:]
    assert Steps(in_columns(RECORDS)) != [*RECORDS[1:], RECORDS[0]]
