"""Putting forecasts and measurements together: never falling, corrected by what was run, fences kept."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bsmon.engine.forecast import Forecast
from bsmon.engine.memory_model import ForecastModel, LinePredictor

Curve = tuple[int, int, int]
curves = st.tuples(st.integers(1, 10**9), st.integers(0, 10**9), st.integers(1, 10**7))
sizes = st.integers(1, 5000)


def true_peak(curve: Curve, rows: int) -> int:
    constant, start, slope = curve
    return max(constant, start + slope * rows)


def exact(curve: Curve) -> ForecastModel:
    return ForecastModel(lambda rows: Forecast(true_peak(curve, rows), 0.0), margin=0.0)


def blind() -> ForecastModel:
    return ForecastModel(lambda rows: Forecast(None, 0.0, "no fake tensors"), margin=0.0)


def test_nothing_known_predicts_nothing() -> None:
    assert LinePredictor().predict(8) is None
    model = blind()
    assert model.predict(8) is None
    assert model.fits(8, 100) is None
    assert model.view(8, 100) is None
    assert model.largest_that_fits(100, 64) is None
    assert model.reason(8) == "no fake tensors"


def test_the_line_goes_through_two_sizes_above_the_flat_part() -> None:
    line = LinePredictor()
    for rows, peak in ((1, 1000), (8, 1000), (64, 1400), (128, 2040)):  # 10 bytes a row above 24
        line.measured(rows, peak)
    assert line.predict(256) == 3320
    assert line.predict(4) == 1000
    assert line.predict(96) == 1720


@given(curves, st.lists(sizes, min_size=1, max_size=6, unique=True), sizes)
def test_the_line_is_never_too_low(curve: Curve, run: list[int], rows: int) -> None:
    """Up to the 1 % by which a size may hide in the flat part."""
    line = LinePredictor()
    for size in run:
        line.measured(size, true_peak(curve, size))
    predicted = line.predict(rows)
    assert predicted is not None
    assert predicted >= true_peak(curve, rows)


@given(st.dictionaries(sizes, st.integers(1, 10**9), min_size=1, max_size=6), sizes, sizes)
def test_predictions_never_fall_whatever_was_measured(peaks: dict[int, int], one: int, other: int) -> None:
    line = LinePredictor()
    for rows, peak in peaks.items():
        line.measured(rows, peak)
    small, large = line.predict(min(one, other)), line.predict(max(one, other))
    assert small is not None
    assert large is not None
    assert small <= large


@given(curves, st.dictionaries(sizes, st.floats(0.5, 2.0), max_size=5), sizes, sizes)
def test_corrected_forecasts_never_fall_when_measurements_do_not(
    curve: Curve, noise: dict[int, float], one: int, other: int
) -> None:
    model = exact(curve)
    highest = 0
    for rows in sorted(noise):
        highest = max(highest, round(true_peak(curve, rows) * noise[rows]))
        model.measured(rows, highest)
    small, large = model.predict(min(one, other)), model.predict(max(one, other))
    assert small is not None
    assert large is not None
    assert small <= large


def test_the_ratio_of_measured_to_forecast_is_learned() -> None:
    model = exact((0, 0, 100))
    assert model.predict(64) == 6400
    model.measured(8, 1000)  # 25 % more than forecast
    assert model.predict(8) == 1000
    assert model.predict(64) == 8000


def test_each_size_is_forecast_once() -> None:
    asked: list[int] = []

    def fake(rows: int) -> Forecast:
        asked.append(rows)
        return Forecast(rows, 0.0)

    model = ForecastModel(fake, margin=0.0)
    for _ in range(3):
        model.predict(8)
        model.fits(8, 100)
    assert asked == [8]


def test_a_model_that_refuses_one_row_is_taken_at_two() -> None:
    """BatchNorm over vectors does."""
    model = ForecastModel(
        lambda rows: Forecast(None, 0.0, "ValueError") if rows == 1 else Forecast(100 * rows, 0.0), margin=0.0
    )
    assert model.predict(1) == 200
    assert model.largest_that_fits(1000, 64) == 10


@given(curves, st.integers(0, 2 * 10**9), st.integers(1, 4096))
def test_the_largest_that_fits_is_the_largest(curve: Curve, limit: int, maximum: int) -> None:
    fitting = [rows for rows in (maximum, 1) if true_peak(curve, rows) <= limit]
    found = exact(curve).largest_that_fits(limit, maximum)
    assert found is not None
    if not fitting:
        assert found == 0
    else:
        assert true_peak(curve, found) <= limit
        assert found == maximum or true_peak(curve, found + 1) > limit


@given(curves, st.integers(0, 2 * 10**9))
def test_finding_it_takes_few_fake_steps(curve: Curve, limit: int) -> None:
    asked: list[int] = []

    def fake(rows: int) -> Forecast:
        asked.append(rows)
        return Forecast(true_peak(curve, rows), 0.0)

    ForecastModel(fake, margin=0.15).largest_that_fits(limit, 4096)
    assert len(asked) <= 14


def test_the_margin_is_kept_free() -> None:
    model = ForecastModel(lambda rows: Forecast(100 * rows, 0.0), margin=0.15)
    assert model.fits(8, 919) is False
    assert model.fits(8, 920) is True
    assert model.largest_that_fits(920, 64) == 8


def test_a_fence_outranks_every_forecast_until_it_is_taken_away() -> None:
    model = exact((0, 0, 1))
    model.failed(32)
    model.failed(48)
    assert model.fence == 32
    assert model.fits(32, 10**9) is False
    assert model.fits(31, 10**9) is True
    assert model.fits(32, None) is False
    assert model.largest_that_fits(10**9, 64) == 31
    assert model.largest_that_fits(None, 64) == 31
    model.unfence()
    assert model.largest_that_fits(10**9, 64) == 64


def test_a_view_carries_the_prediction_without_margin() -> None:
    view = ForecastModel(lambda rows: Forecast(100 * rows, 0.0), margin=0.15).view(8, 850)
    assert view is not None
    assert (view.micro_batch_size, view.peak_bytes, view.limit_bytes, view.fits) == (8, 800, 850, False)


def test_a_model_without_forecasts_falls_back_to_the_line() -> None:
    model = blind()
    model.measured(8, 800)
    assert model.predict(16) == 1600
    assert model.largest_that_fits(1600, 64) == 16
