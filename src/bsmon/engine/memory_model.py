"""Will it fit? Forecasts and measurements of the peak memory, put together.

The peak of a step is the larger of a constant (the optimizer's step) and a straight line in the micro batch (the
activations): convex, and never falling. Both predictors below rest on that.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable

from bsmon.core.snapshot import MemoryForecast
from bsmon.engine.forecast import Forecast

CUDA_MARGIN = 0.15
"""Share kept free on CUDA: fragmentation and workspaces come on top of what tensors need."""

CPU_MARGIN = 0.02
"""Share kept free on the CPU: forecasts are within 0.25 % of the tensors counted, which is what the budget counts."""

_ABOVE_FLAT = 1.01  # a peak this much above the smallest one lies on the line, not on the constant


class LinePredictor:
    """Predicts from measured peaks alone: a line through the two largest sizes that lie above the flat part.

    Before that is known (fewer than three sizes) larger sizes are taken as proportional, which is never too low for
    a convex curve that starts at or above zero.
    """

    def __init__(self) -> None:
        self._peaks: dict[int, int] = {}

    def measured(self, rows: int, peak_bytes: int) -> None:
        """A step with micro batches of `rows` samples had this peak; the largest one of a size counts."""
        self._peaks[rows] = max(peak_bytes, self._peaks.get(rows, 0))

    def predict(self, rows: int) -> int | None:
        """Bytes at `rows`, never falling in `rows`; None before anything was measured."""
        if not self._peaks:
            return None
        sizes = sorted(self._peaks)
        peaks = [max(self._peaks[size] for size in sizes[: i + 1]) for i in range(len(sizes))]
        if rows <= sizes[0]:
            return peaks[0]
        if rows >= sizes[-1]:
            return self._beyond(rows, sizes, peaks)
        after = next(i for i, size in enumerate(sizes) if size >= rows)
        share = (rows - sizes[after - 1]) / (sizes[after] - sizes[after - 1])
        return math.ceil(peaks[after - 1] + share * (peaks[after] - peaks[after - 1]))

    def _beyond(self, rows: int, sizes: list[int], peaks: list[int]) -> int:
        proportional = math.ceil(peaks[-1] * rows / sizes[-1])
        if len(sizes) < 3 or peaks[-2] < peaks[0] * _ABOVE_FLAT:
            return proportional
        slope = (peaks[-1] - peaks[-2]) / (sizes[-1] - sizes[-2])
        return min(proportional, math.ceil(peaks[-1] + slope * (rows - sizes[-1])))


class ForecastModel:
    """Predicted peaks of one run, corrected by every size that was run, and the sizes that failed.

    `fake(rows)` makes a forecast; each size is asked for once. A forecast is for one way of stepping: keep a second
    model for updates that accumulate gradients.
    """

    def __init__(self, fake: Callable[[int], Forecast], margin: float) -> None:
        self._fake = fake
        self._margin = margin
        self._forecasts: dict[int, Forecast] = {}
        self._measured: dict[int, int] = {}
        self._line = LinePredictor()
        self._fence: int | None = None

    def measured(self, rows: int, peak_bytes: int) -> None:
        """A step at `rows` had this peak, in bytes."""
        self._measured[rows] = max(peak_bytes, self._measured.get(rows, 0))
        self._line.measured(rows, peak_bytes)

    def failed(self, rows: int) -> None:
        """A step at `rows` ran out of memory: neither it nor any larger size is expected to fit."""
        self._fence = rows if self._fence is None else min(rows, self._fence)

    def unfence(self) -> None:
        """Forget the failure, when memory that others held has come free."""
        self._fence = None

    @property
    def fence(self) -> int | None:
        """The smallest size that ran out of memory."""
        return self._fence

    def reason(self, rows: int) -> str:
        """Why there is no forecast by a fake step at `rows`; "" where there is one."""
        return self._forecast(rows).reason

    def predict(self, rows: int) -> int | None:
        """Peak bytes at `rows`, without margin: measured, else forecast x (measured / forecast), else by the line."""
        if rows in self._measured:
            return self._measured[rows]
        forecast = self._forecast(rows).peak_bytes
        if forecast is None:
            return self._line.predict(rows)
        return self._between_neighbours(rows, round(forecast * self._correction()))

    def fits(self, rows: int, limit_bytes: int | None) -> bool | None:
        """Whether `rows` fits with the margin; None when the limit or the peak is unknown."""
        if self._fence is not None and rows >= self._fence:
            return False
        peak = self.predict(rows)
        if peak is None or limit_bytes is None:
            return None
        return self._needed(peak) <= limit_bytes

    def view(self, rows: int, limit_bytes: int | None) -> MemoryForecast | None:
        """Return the forecast for a front end; None when nothing can be said."""
        peak = self.predict(rows)
        return None if peak is None else MemoryForecast(rows, peak, limit_bytes, self.fits(rows, limit_bytes))

    def largest_that_fits(self, limit_bytes: int | None, maximum: int) -> int | None:
        """Return the largest size up to `maximum` that fits and lies below the fence.

        0: not even one sample fits. Without a limit only the fence counts. None: unknown.
        """
        top = maximum if self._fence is None else min(maximum, self._fence - 1)
        if limit_bytes is None or top < 1:
            return top
        if (peak := self.predict(top)) is None or (smallest := self.predict(1)) is None:
            return None
        if self._needed(peak) <= limit_bytes:
            return top
        if self._needed(smallest) > limit_bytes:
            return 0
        return self._search(limit_bytes, 1, top)

    def _search(self, limit_bytes: int, fitting: int, failing: int) -> int | None:
        """Narrow down between a size that fits and one that does not.

        The next size is where the straight line between the two meets the limit: the curve lies below that line, so
        the guess fits, and on the straight part it is right at once. Each guess costs one fake step.
        """
        while failing - fitting > 1:
            low, high = self.predict(fitting), self.predict(failing)
            if low is None or high is None:
                return None
            room, rise = limit_bytes / (1 + self._margin) - low, max(1, high - low)
            guess = fitting + int((failing - fitting) * room / rise)
            guess = min(max(guess, fitting + 1), failing - 1)
            peak = self.predict(guess)
            if peak is None:
                return None
            if self._needed(peak) <= limit_bytes:
                fitting = guess
            else:
                failing = guess
        return fitting

    def _needed(self, peak_bytes: int) -> int:
        return math.ceil(peak_bytes * (1 + self._margin))

    def _forecast(self, rows: int) -> Forecast:
        if rows not in self._forecasts:
            forecast = self._fake(rows)
            if forecast.peak_bytes is None and rows == 1:
                forecast = self._fake(2)  # BatchNorm refuses to train on one row; two rows need no less memory
            self._forecasts[rows] = forecast
        return self._forecasts[rows]

    def _correction(self) -> float:
        """Return the median of measured / forecast over all sizes run: one odd measurement does not move it."""
        pairs = [(peak, self._forecast(rows).peak_bytes) for rows, peak in self._measured.items()]
        ratios = [peak / forecast for peak, forecast in pairs if forecast]
        return statistics.median(ratios) if ratios else 1.0

    def _between_neighbours(self, rows: int, peak_bytes: int) -> int:
        """Hold a prediction between the measurements on both sides, so that a larger size never needs less."""
        below = [peak for size, peak in self._measured.items() if size < rows]
        above = [peak for size, peak in self._measured.items() if size > rows]
        return max([min([peak_bytes, *above]), *below])
