"""Keeps score: what was predicted beside what was measured, and what the errors teach."""

from __future__ import annotations

from collections import deque
from statistics import median

from bsmon.advisor.evidence import Corrections
from bsmon.core.advice import Advice, Prediction, Score

KEPT = 50  # applied changes
LEARN_FROM = 5  # the last so many; memory and speed drift with the run
LARGEST_CORRECTION = 2.0  # one wild measurement must not turn the next prediction upside down


class _Track:
    """One predicted quantity: its relative errors, and measured / predicted before correction."""

    def __init__(self) -> None:
        self._errors: deque[float] = deque(maxlen=KEPT)
        self._ratios: deque[float] = deque(maxlen=LEARN_FROM)

    def add(self, predicted: float | None, measured: float | None, correction: float = 1.0) -> None:
        if predicted is None or measured is None or predicted <= 0 or measured <= 0:
            return
        self._errors.append(abs(predicted - measured) / measured)
        self._ratios.append(measured / (predicted / correction))

    @property
    def error(self) -> float | None:
        return median(self._errors) if self._errors else None

    @property
    def correction(self) -> float:
        ratio = median(self._ratios) if self._ratios else 1.0
        return min(max(ratio, 1 / LARGEST_CORRECTION), LARGEST_CORRECTION)


class Scorebook:
    """Scores applied advice; a prediction that was wrong corrects the next one through `corrections`."""

    def __init__(self) -> None:
        self._applied = self._reverted = 0
        self._waiting: Prediction | None = None
        self._used = Corrections()
        self._memory, self._speed, self._progress = _Track(), _Track(), _Track()

    def applied(self, advice: Advice) -> None:
        """Advice was followed; its prediction waits for a measurement."""
        self._applied += 1
        self._waiting, self._used = advice.prediction, self.corrections

    def reverted(self) -> None:
        """The last applied change was taken back; what it measured until then counts no more."""
        self._reverted += 1
        self._waiting = None

    @property
    def waiting(self) -> bool:
        """Whether an applied change has not been measured yet."""
        return self._waiting is not None

    def measured(
        self,
        *,
        peak_bytes: int | None = None,
        samples_per_second: float | None = None,
        relative_progress: float | None = None,
    ) -> None:
        """What came of the last applied change, once, after it has settled.

        `relative_progress`: progress per second over that before the change, by the slope of the loss.
        """
        if self._waiting is None:
            return
        said, self._waiting = self._waiting, None
        self._memory.add(said.peak_bytes, peak_bytes, self._used.peak_bytes)
        self._speed.add(said.samples_per_second, samples_per_second, self._used.samples_per_second)
        # "At most so long" is met by anything quicker: only a figure can be held against a measurement.
        said_time = None if said.is_bound else said.relative_time
        self._progress.add(1 / said_time if said_time else None, relative_progress)

    @property
    def corrections(self) -> Corrections:
        """Factors for the next predictions: the median of the last five ratios, at most 2 either way."""
        return Corrections(self._memory.correction, self._speed.correction)

    @property
    def score(self) -> Score:
        """The advice so far."""
        return Score(self._applied, self._reverted, self._memory.error, self._speed.error, self._progress.error)
