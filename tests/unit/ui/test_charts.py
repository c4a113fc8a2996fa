"""Charts: what was drawn stays, spikes survive, gaps stay gaps."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsmon.core.snapshot import Mark, Series
from bsmon.ui.charts import Line, chart, choose_scale, column_width, columns_of, tick_labels, trace, x_labels
from bsmon.ui.roles import Row
from bsmon.ui.scales import Scale, settle
from tests import fakes

VALUES = st.one_of(st.none(), st.floats(min_value=-1e300, max_value=1e300))
UNIT = Scale(0.0, 1.0, (0.0, 0.5, 1.0))


def text(row: Row) -> str:
    return "".join(part for part, _ in row)


def column(rows: list[Row], index: int) -> list[str]:
    return [text(row).ljust(200)[index] for row in rows]


def dots(rows: list[Row]) -> int:
    return sum(ord(character) >= 0x2800 for row in rows for character in text(row) if ord(character) <= 0x28FF)


@given(
    st.lists(VALUES, max_size=200), st.integers(2, 90), st.integers(1, 20), st.booleans(), st.booleans(), st.booleans()
)
def test_any_series_fits_its_space(
    values: list[float | None], width: int, height: int, band: bool, bridge: bool, log: bool
) -> None:
    lines = [Line(fakes.series(values), "raw", band, bridge)]
    scale = choose_scale(lines, None, log=log)
    rows = chart(lines, scale, width + 12, height, marks=[Mark(3, 1, 2)], unit=" step")
    assert len(rows) == height
    assert all(len(text(row)) <= width + 12 for row in rows)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=119), st.floats(0, 1), st.booleans())
def test_old_columns_do_not_move(values: list[float], new: float, band: bool) -> None:
    """Appending a bin changes nothing left of it, as long as the columns keep their width."""
    before, after = fakes.series(values), fakes.series([*values, new])
    old, grown = Line(before, "raw", band), Line(after, "raw", band)
    width = column_width([old], 120)
    if column_width([grown], 120) != width:
        return
    first, second = chart([old], UNIT, 64, 9), chart([grown], UNIT, 64, 9)
    margin = len("0.5") + 1
    changed_from = margin + int((len(values) - 1) / width) // 2
    for index in range(changed_from):
        assert column(first, index) == column(second, index)


@given(st.integers(0, 299))
def test_a_spike_reaches_the_top(place: int) -> None:
    """One bin's high of 1 among lows of 0 is drawn at full height, however many bins share its column."""
    high = tuple(1.0 if index == place else 0.1 for index in range(300))
    series = Series(1.0, (0.0,) * 300, high, (0.05,) * 300, 0.05)
    assert text(chart([Line(series, "raw", band=True)], UNIT, 64, 8)[0]).strip("1┤. ")


def test_a_gap_stays_a_gap_unless_bridged() -> None:
    values: list[float | None] = [0.5] * 40 + [None] * 40 + [0.5] * 40
    gap = columns_of(fakes.series(values), 1.0, 120)
    assert set(range(40, 80)).isdisjoint(gap)
    apart = dots(chart([Line(fakes.series(values), "raw")], UNIT, 64, 8))
    joined = dots(chart([Line(fakes.series(values), "raw", bridge=True)], UNIT, 64, 8))
    assert joined > apart


@given(st.lists(st.floats(0, 1), min_size=1, max_size=400))
def test_columns_hold_the_extremes(values: list[float]) -> None:
    series = fakes.series(values)
    found = columns_of(series, column_width([Line(series, "")], 60), 60)
    assert max(high for _, high, _ in found.values()) == max(values)
    assert min(low for low, _, _ in found.values()) == min(values)
    assert all(low - 1e-9 <= mean <= high + 1e-9 for low, high, mean in found.values())


@pytest.mark.parametrize(
    ("end", "columns", "width"), [(10, 120, 0.5), (60, 120, 1.0), (120, 120, 1.0), (121, 120, 2.0), (1000, 120, 16.0)]
)
def test_column_width_doubles_as_the_run_grows(end: int, columns: int, width: float) -> None:
    assert column_width([Line(fakes.series([1.0] * end), "")], columns) == width


def test_lines_with_other_bins_share_one_axis() -> None:
    fine, coarse = fakes.series([0.2] * 100), fakes.series([0.8] * 25, width=4.0)
    assert column_width([Line(fine, "a"), Line(coarse, "b")], 60) == 4.0


def test_marks_carry_the_new_size_and_never_overlap() -> None:
    marks = [Mark(20, 32, 64), Mark(22, 64, 128), Mark(90, 128, 1_437)]
    top = text(chart([Line(fakes.series([0.0] * 120), "raw")], UNIT, 64, 8, marks=marks)[0])
    assert "64" in top
    assert "128" not in top
    assert "1.44k" in top


def test_the_later_line_is_in_front() -> None:
    line = fakes.series([0.5] * 100)
    rows = chart([Line(line, "back"), Line(line, "front")], UNIT, 64, 8)
    roles = {role for row in rows for part, role in row if any("⠀" < character <= "⣿" for character in part)}
    assert roles == {"front"}


def test_nothing_known_is_blank() -> None:
    assert chart([], None, 40, 5) == [()] * 5
    assert choose_scale([Line(fakes.series([None, None]), "raw")], None) is None


def test_a_log_axis_needs_values_above_zero() -> None:
    assert choose_scale([Line(fakes.series([-1.0, -2.0]), "raw")], None, log=True) == choose_scale(
        [Line(fakes.series([-1.0, -2.0]), "raw")], None
    )
    scale = choose_scale([Line(fakes.series([-1.0, 0.01, 10.0]), "raw")], None, log=True)
    assert scale is not None
    assert scale.log
    assert scale.low == 0.01


@given(st.floats(-1e9, 1e9), st.floats(0, 1e9))
def test_limits_hold_the_data(low: float, span: float) -> None:
    scale = settle(None, low, low + span)
    assert scale.low <= low
    assert scale.high >= low + span
    assert scale.low < scale.high
    assert all(a < b for a, b in pairwise(scale.ticks))
    assert 2 <= len(scale.ticks) <= 9


@given(st.floats(1e-12, 1e9), st.floats(1, 1e9))
def test_logarithmic_limits_hold_the_data(low: float, factor: float) -> None:
    scale = settle(None, low, low * factor, log=True)
    assert scale.low <= low
    assert scale.high >= low * factor
    assert 0 < scale.low < scale.high


def test_limits_stay_until_the_data_leaves_or_shrinks() -> None:
    first = settle(None, 0.0, 2.4)
    assert settle(first, 0.1, 2.1) is first
    assert settle(first, 0.0, 2.6).high > first.high
    assert settle(first, 0.0, 0.5).high < first.high
    assert settle(first, 0.1, 2.1, log=True).log


@pytest.mark.parametrize(
    ("ticks", "log", "shown"),
    [
        ((0.0, 0.5, 1.0), False, ["0", "0.5", "1.0"]),
        ((0.25, 0.5), False, ["0.25", "0.50"]),
        ((0.0, 20.0, 40.0), False, ["0", "20", "40"]),
        ((0.0, 20_000.0), False, ["0", "20.0k"]),
        ((1e-5, 2e-5), False, ["1.0e-5", "2.0e-5"]),
        ((0.01, 0.1, 1.0, 10.0), True, ["0.01", "0.1", "1", "10"]),
    ],
)
def test_tick_labels(ticks: tuple[float, ...], log: bool, shown: list[str]) -> None:
    assert tick_labels(ticks, log=log) == shown


@given(st.floats(0.25, 1e6), st.integers(10, 200))
def test_x_labels_fill_their_line(width: float, columns: int) -> None:
    line = x_labels(width, columns, " step")
    assert len(line) == columns
    assert line.startswith("0")
    assert line.endswith(" step")


def test_the_renderer_is_pure() -> None:
    """A static import check cannot prove it: a fresh interpreter does."""
    check = "import sys, bsmon.ui.charts; print({'rich', 'textual', 'numpy'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"


def test_a_trace_is_one_row() -> None:
    row = trace(fakes.series([1.0, 2.0, 3.0] * 20), "gradient", 10, 0.0, 3.0)
    assert 1 <= len(text(row)) <= 10
