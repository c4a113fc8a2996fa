from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsmon.session.loss_slope import LossSlope, relative_progress


@given(st.floats(-2, 2), st.floats(-5, 5), st.integers(5, 60))
def test_a_line_has_its_slope(slope: float, level: float, looks: int) -> None:
    line = LossSlope()
    for second in range(looks):
        line.add(float(second), level + slope * second)
    assert line.slope() == pytest.approx(slope, abs=1e-9)


def test_few_or_unknown_losses_have_none() -> None:
    line = LossSlope()
    for second in range(4):
        line.add(float(second), 1.0 - second)
    line.add(4.0, None)
    line.add(3.0, 0.0)  # a look at the same moment again, while the run is paused
    assert line.slope() is None
    line.add(5.0, -4.0)
    assert line.slope() is not None
    line.restart()
    assert line.slope() is None


@pytest.mark.parametrize(
    ("before", "after", "ratio"),
    [
        (-0.1, -0.2, 2.0),
        (-0.2, -0.1, 0.5),
        (None, -0.1, None),
        (-0.1, None, None),
        (0.1, -0.1, None),
        (-0.1, 0.0, None),
    ],
)
def test_progress_is_told_only_where_the_loss_fell(
    before: float | None, after: float | None, ratio: float | None
) -> None:
    assert relative_progress(before, after) == (None if ratio is None else pytest.approx(ratio))
