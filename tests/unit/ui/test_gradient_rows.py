"""The critical batch size on its axis, and the rows beside the gradients' charts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsmon.core.advice import NoiseScale
from bsmon.core.snapshot import MeasuredSize
from bsmon.ui.batch_axis import HEIGHT, batch_axis
from bsmon.ui.gradient_rows import variance_rows, weight_rows
from bsmon.ui.roles import Row
from bsmon.ui.rows import row_width
from tests import fakes, layer_fakes


def text(row: Row) -> str:
    return "".join(part for part, _ in row)


def test_nothing_is_drawn_of_what_is_not_known() -> None:
    assert batch_axis(NoiseScale(reason="3 of 16 probes"), 32, 60) == []
    assert weight_rows(None, 30) == []
    assert variance_rows(fakes.training()) == []


def test_the_interval_and_the_present_size_stand_in_order() -> None:
    _, bar, labels, here = map(text, batch_axis(NoiseScale(214.0, 120.0, 560.0), 32, 80))
    assert labels.index("32") == here.index("▲") < bar.index("├") < bar.index("◆") < bar.index("┤")
    assert labels.index("128") >= bar.index("├")
    assert labels.index("512") <= bar.index("┤")
    assert "you are here: 32" in here


def test_an_interval_without_an_end_runs_off_the_axis() -> None:
    bar = text(batch_axis(NoiseScale(low=410.0), 32, 60)[1])
    assert bar.endswith("▶")
    assert "◆" not in bar


@given(
    st.floats(1e-3, 1e9),
    st.floats(1, 100),
    st.one_of(st.none(), st.floats(1, 100)),
    st.integers(1, 10**7),
    st.integers(20, 200),
)
def test_every_row_keeps_its_width(low: float, up: float, further: float | None, size: int, width: int) -> None:
    value = None if further is None else low * up
    high = None if value is None or further is None else value * further
    rows = batch_axis(NoiseScale(value, low, high), size, width)
    assert len(rows) == HEIGHT
    assert [row_width(row) for row in rows[:3]] == [width] * 3
    assert row_width(rows[3]) <= width
    assert "▲" in text(rows[3])


def test_predicted_variance_beside_measured() -> None:
    rows = [text(row).split() for row in variance_rows(layer_fakes.with_weight())[3:]]
    assert rows == [["16", "0.812", "0.900"], ["▸32", "0.444", "0.410"]]  # 13 / 16 and 14.2 / 32


def test_a_variance_that_is_not_known_is_not_zero() -> None:
    snapshot = replace(fakes.training(), sizes=(MeasuredSize(64, 0.1, None, 32.0), MeasuredSize(128, 0.2)))
    assert [text(row).split() for row in variance_rows(snapshot)[3:]] == [["64", "0.500", "n/a"]]


@pytest.mark.parametrize(
    ("label", "value"),
    [("SNR", "0.160"), ("mean", "-0.0180"), ("std", "0.110"), ("value", "-0.393"), ("min, max", "-0.400, 0.310")],
)
def test_the_followed_weight(label: str, value: str) -> None:
    rows = [text(row) for row in weight_rows(layer_fakes.with_weight().probed_weight, 34)]
    assert any(row.startswith(label) and row.endswith(value) for row in rows)
