"""A batch change is watched for a while: did it cost speed, or the loss?"""

from __future__ import annotations

import itertools
import math
import statistics
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from bsmon.core.records import Step

PROBATION_STEPS = 50
"""Updates for which a change is watched."""

_WARM_UP_STEPS = 5  # the first steps at a new size choose algorithms and make room
_MOST_BEFORE = 100
_LEAST_BEFORE = 10
_SLOWER = 1.05  # even the quicker steps take this many times longer a sample, and by more than 3 standard errors
_STANDARD_ERRORS = 3.0
_BLOW_UP = 3.0  # times the largest loss before, in two groups running (docs/guidelines.md, loss health)
_GROUP_SAMPLES = 8


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a probation ended. `reason` is a sentence; `weights`: the weights have to go back, too."""

    keep: bool
    reason: str
    weights: bool = False


class Probation:
    """Compares the steps after a change with those before it. Fed with every step, in order."""

    def __init__(self) -> None:
        self._before: deque[Step] = deque(maxlen=_MOST_BEFORE)
        self._after: list[Step] = []
        self._reference: tuple[Step, ...] = ()
        self._from_step: int | None = None
        self._grows = False
        self._verdict: Verdict | None = None

    def begin(self, step: int, *, grows: bool) -> None:
        """The batch changed after `step`; `grows`: it became larger, which should not cost speed."""
        # What came before an unfinished probation stays the reference: the change before it was never judged.
        if self._from_step is None:
            self._reference = tuple(self._before)
        self._after, self._from_step, self._grows, self._verdict = [], step, grows, None

    def cancel(self) -> None:
        """The change was taken back; start afresh."""
        self._before.clear()
        self._after, self._reference, self._from_step, self._verdict = [], (), None, None

    def watch(self, steps: Sequence[Step]) -> None:
        """Take finished steps."""
        if self._from_step is None:
            self._before.extend(steps)
            return
        began = self._from_step
        self._after += [step for step in steps if step.step > began]
        self._verdict = self._judge()
        if self._verdict is not None:
            self._before.clear()
            self._before.extend(self._after)
            self._after, self._reference, self._from_step = [], (), None

    def take_verdict(self) -> Verdict | None:
        """The verdict on the newest change, once, as soon as there is one. A change after it makes it void."""
        verdict, self._verdict = self._verdict, None
        return verdict

    def _judge(self) -> Verdict | None:
        lost = self._lost_loss()
        if lost is not None:
            return Verdict(keep=False, reason=lost, weights=True)
        if len(self._after) < PROBATION_STEPS:
            return None
        if len(self._reference) < _LEAST_BEFORE:
            return Verdict(keep=True, reason="there were too few steps before it to compare with")
        return self._speed_verdict()

    def _lost_loss(self) -> str | None:
        """Why the loss says that the change was bad; None while it does not."""
        if any(step.loss is not None and not math.isfinite(step.loss) for step in self._after):
            # Not the change's doing where the loss was gone before.
            return None if _has_nonfinite(self._reference) else "the loss is not a finite number any more"
        largest = max((step.loss for step in self._reference if step.loss is not None), default=None)
        if largest is None or len(self._reference) < _LEAST_BEFORE or not math.isfinite(largest):
            return None
        group = -(-_GROUP_SAMPLES // max(1, self._after[0].batch_size)) if self._after else 1
        losses = [step.loss for step in self._after if step.loss is not None]
        means = [statistics.fmean(losses[i : i + group]) for i in range(0, len(losses) - group + 1, group)]
        for first, second in itertools.pairwise(means):
            if min(first, second) > _BLOW_UP * largest:
                return f"the loss blew up, from at most {largest:.3g} to {second:.3g}"
        return None

    def _speed_verdict(self) -> Verdict:
        before, before_error = _middle(_seconds_per_sample(self._reference))
        seconds = _seconds_per_sample(self._after[_WARM_UP_STEPS:])
        after, after_error = _middle(seconds)
        speeds = f"{1 / after:,.0f} samples/s instead of {1 / before:,.0f}"
        noise = _STANDARD_ERRORS * math.hypot(before_error, after_error)
        # Another program that takes the cores for a while slows many steps, a batch that is too large slows all.
        quick = statistics.quantiles(seconds, n=10)[0]
        if self._grows and quick > _SLOWER * before and after - before > noise:
            return Verdict(keep=False, reason=f"it is slower, {speeds}")
        return Verdict(keep=True, reason=speeds)


def _has_nonfinite(steps: Sequence[Step]) -> bool:
    return any(step.loss is not None and not math.isfinite(step.loss) for step in steps)


def _seconds_per_sample(steps: Sequence[Step]) -> list[float]:
    return [max(step.duration_s, 1e-9) / step.batch_size for step in steps]


def _middle(values: Sequence[float]) -> tuple[float, float]:
    """Median and its standard error, both robust: single steps may be held up by anything."""
    median = statistics.median(values)
    spread = 1.4826 * statistics.median(abs(value - median) for value in values)
    return median, 1.2533 * spread / math.sqrt(len(values))
