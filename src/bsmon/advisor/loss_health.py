"""Is the loss all right? Verdicts on a stream of losses, in bounded memory, a few additions a step.

The obvious test (relative spread of the loss above 0.3) raised a false alarm on 28 of 44 good runs: noise is normal
at small batches. So every verdict compares means of blocks, and asks for a z-score. The thresholds were set on
one set of traces and checked on others (docs/measurements.md has the figures). B is the batch size: a block is a like
number of samples.
"""

from __future__ import annotations

import math
from collections import deque

from bsmon.advisor.health import Health
from bsmon.advisor.moments import Moments, join, z_score
from bsmon.advisor.overfitting import Overfitting
from bsmon.advisor.spikes import Spike, Spikes

BLOCK_SAMPLES, BLOCK_LEAST, BLOCK_MOST = 256, 20, 100  # a block is 256 samples, but 20 to 100 steps
START_SAMPLES = 32  # the starting loss is the mean over this many samples
BLOW_UP_SAMPLES, BLOW_UP_FACTOR, BLOW_UP_TIMES = 8, 3.0, 2
RISE_Z, RISE_SHARE, RISE_OF_FIRST, RISES, RISE_BLOCKS = 4.0, 0.10, 0.05, 2, 10
LOST_SHARE, LOST_FACTOR, LOST_BLOCKS, LOST_TIMES = 0.25, 1.1, 2, 2
LOST_Z = 5.0
"""The best block is the luckiest of all so far. Of 64 blocks that differ by chance alone, the highest lies up to 6.9
standard deviations above the lowest (99.9 % of the studentized range), which is 4.9 standard errors of the difference.
With 3, benchmarks/loss_health.py had 13 false alarms in 90 good runs."""
ABOVE_START_FACTOR, ABOVE_START_Z, ABOVE_START_BLOCKS = 1.05, 3.0, 5
STILL_STEPS, STILL_SAMPLES, STILL_SHARE = 200, 2048, 0.05
STILL_REFERENCE_SAMPLES = 256
"""The loss of single samples scatters by 40 %: twice the error of the mean of 64 is more than the 5 % in question."""
HISTORY_BLOCKS = 64  # even; kept for "the last quarter", and neighbours merge when there are as many


def steps_for(samples: int, batch_size: int) -> int:
    """Steps that hold at least `samples` samples: ceil(samples / batch_size)."""
    return -(-samples // batch_size)


class _Reference:
    """The mean loss over the first `samples` samples of the run."""

    def __init__(self, samples: int) -> None:
        self._wanted, self._seen = samples, 0
        self.moments = Moments()

    def add(self, loss: float, batch_size: int) -> None:
        if self._seen < self._wanted:
            self._seen += batch_size
            self.moments.add(loss)

    @property
    def mean(self) -> float | None:
        return self.moments.mean if self._seen >= self._wanted else None


class LossHealth:
    """Feed every step's loss and every evaluation; `health()` gives the verdicts at any time."""

    def __init__(self) -> None:
        self._start = _Reference(START_SAMPLES)
        self._last_group: float | None = None
        self._finite_left = 0
        self._spikes = Spikes()
        self._overfitting = Overfitting()
        self.restart()

    def restart(self) -> None:
        """Judge the course anew from here: the learning rate or the weights were changed to mend it.

        Without it a run that recovers would count as having lost its progress until it is back at its best. What the
        loss was at the very start stays known.
        """
        self._steps = self._samples = 0
        self._batch_size = self._latest_size = 0
        self._block = Moments()
        self._group = Moments()
        self._still_reference = _Reference(STILL_REFERENCE_SAMPLES)
        self._first: Moments | None = None
        self._best: Moments | None = None
        self._recent: deque[Moments] = deque(maxlen=ABOVE_START_BLOCKS)
        self._rises: deque[bool] = deque(maxlen=RISE_BLOCKS)
        self._history: list[Moments] = []
        self._history_merge = 1
        self._pending: list[Moments] = []
        self._high_groups = 0
        self._lost_times = 0

    def step(self, loss: float | None, batch_size: int, gradient_finite: bool = True) -> bool:
        """Take one update in; True when its loss is a spike. A loss of None was not read and is left out."""
        if not gradient_finite or (loss is not None and not math.isfinite(loss)):
            self._finite_left = self._block_steps(batch_size)
            return False
        if loss is None:
            return False
        if not self._is_usual(batch_size):
            return False
        self._steps += 1
        self._samples += batch_size
        self._finite_left = max(0, self._finite_left - 1)
        self._start.add(loss, batch_size)
        self._still_reference.add(loss, batch_size)
        self._add_to_group(loss)
        self._add_to_block(loss)
        return self._spikes.add(loss, batch_size)

    @property
    def last_spike(self) -> Spike | None:
        """The newest spike, with what was usual before it; None before the first."""
        return self._spikes.last

    def evaluation(self, validation_loss: float) -> None:
        """Take the loss over the validation set in, with the training loss of the last block beside it."""
        train = self._recent[-1].mean if self._recent else None
        self._overfitting.add(validation_loss, train)

    def health(self) -> Health:
        """The verdicts on what was seen so far."""
        overfitting, rise = self._overfitting.verdict()
        improvement = self._improvement()
        rises = sum(self._rises) if self._first is not None else None
        return Health(
            nonfinite=self._finite_left > 0 if self._steps or self._finite_left else None,
            blown_up=self._high_groups >= BLOW_UP_TIMES if self._last_group is not None else None,
            oscillating=None if rises is None else rises >= RISES,
            lost_progress=self._lost_progress(),
            barely_moving=None if improvement is None else improvement < STILL_SHARE,
            overfitting=overfitting,
            spikes=self._spikes.count,
            times_start=self._times_start(),
            rises=rises,
            progress_lost=self._progress_lost(),
            improvement=improvement,
            validation_rise=rise,
        )

    def _is_usual(self, batch_size: int) -> bool:
        """Whether an update of this size is like the ones before it.

        A single one that is not is an epoch's short last update: it scatters more, and is left out. From a second one
        in a row on the batch size has changed, and new blocks begin, because their spread is another.
        """
        before, self._latest_size = self._latest_size, batch_size
        if batch_size == self._batch_size:
            return True
        if self._batch_size and batch_size != before:
            return False
        self._batch_size, self._block, self._group = batch_size, Moments(), Moments()
        return True

    @staticmethod
    def _block_steps(batch_size: int) -> int:
        return min(max(steps_for(BLOCK_SAMPLES, batch_size), BLOCK_LEAST), BLOCK_MOST)

    def _add_to_group(self, loss: float) -> None:
        """Blow-up: consecutive short means far above the start."""
        self._group.add(loss)
        if self._group.count < steps_for(BLOW_UP_SAMPLES, self._batch_size):
            return
        mean, self._group = self._group.mean, Moments()
        start = self._start.mean
        if start is None:
            return
        self._last_group = mean
        high = start > 0 and mean > BLOW_UP_FACTOR * start
        self._high_groups = self._high_groups + 1 if high else 0

    def _add_to_block(self, loss: float) -> None:
        self._block.add(loss)
        if self._block.count >= self._block_steps(self._batch_size):
            block, self._block = self._block, Moments()
            self._take_block(block)

    def _take_block(self, block: Moments) -> None:
        if self._first is None:
            self._first = block
        else:
            self._rises.append(_rises(self._recent[-1], block, self._first))
        self._recent.append(block)
        self._remember(block)
        self._lost_times = self._lost_times + 1 if self._loses_progress() else 0
        if self._best is None or block.mean < self._best.mean:
            self._best = block

    def _remember(self, block: Moments) -> None:
        """Keep the whole course in at most HISTORY_BLOCKS entries of equal length."""
        self._pending.append(block)
        if len(self._pending) < self._history_merge:
            return
        self._history.append(join(self._pending))
        self._pending.clear()
        if len(self._history) == HISTORY_BLOCKS:
            pairs = zip(self._history[::2], self._history[1::2], strict=True)
            self._history = [first.joined(second) for first, second in pairs]
            self._history_merge *= 2

    def _loses_progress(self) -> bool:
        if self._first is None or self._best is None or len(self._recent) < LOST_BLOCKS:
            return False
        last = join(list(self._recent)[-LOST_BLOCKS:])
        limit = self._best.mean + LOST_SHARE * (self._first.mean - self._best.mean)
        over_best = last.mean > LOST_FACTOR * self._best.mean
        return last.mean > limit and over_best and z_score(last, self._best) > LOST_Z

    def _above_start(self) -> bool:
        start = self._start.mean
        if start is None or start <= 0 or len(self._recent) < ABOVE_START_BLOCKS or self._first is None:
            return False
        last = join(self._recent)
        # The start alone may be one step long, so the spread of single losses is taken from blocks: the calmer of the
        # first and the last, because a first block in which the loss shot up says nothing of its first steps.
        spread = min(self._first.deviation or 0.0, last.deviation or 0.0)
        error = math.hypot(last.standard_error or 0.0, spread / math.sqrt(max(1, self._start.moments.count)))
        return last.mean - ABOVE_START_FACTOR * start > ABOVE_START_Z * error

    def _lost_progress(self) -> bool | None:
        if self._first is None:
            return None
        return self._lost_times >= LOST_TIMES or self._above_start()

    def _progress_lost(self) -> float | None:
        if self._first is None or self._best is None or len(self._recent) < LOST_BLOCKS:
            return None
        gained = self._first.mean - self._best.mean
        last = join(list(self._recent)[-LOST_BLOCKS:])
        return max(0.0, (last.mean - self._best.mean) / gained) if gained > 0 else None

    def _times_start(self) -> float | None:
        start = self._start.mean
        if start is None or start <= 0 or self._last_group is None:
            return None
        return self._last_group / start

    def _last_quarter(self) -> Moments | None:
        """The last quarter of the steps, to within an entry of the history."""
        entries = [*self._history, *self._pending]
        wanted, found = self._steps / 4, Moments()
        for entry in reversed(entries):
            found = found.joined(entry)
            if found.count >= wanted:
                break
        return found if found.count > 1 else None

    def _improvement(self) -> float | None:
        """(start - now + 2 SE) / |start|; None before there are steps and samples enough."""
        if self._steps < STILL_STEPS or self._samples < STILL_SAMPLES or self._first is None:
            return None
        reference, now = self._still_reference.mean, self._last_quarter()
        if reference is None or reference == 0 or now is None:
            return None
        deviation = self._first.deviation or 0.0
        start_error = deviation / math.sqrt(max(1, self._still_reference.moments.count))
        error = math.hypot(start_error, now.standard_error or 0.0)
        return (reference - now.mean + 2 * error) / abs(reference)


def _rises(before: Moments, after: Moments, first: Moments) -> bool:
    """Whether a block lies above the one before it by more than chance, by 10 % and by 5 % of the first."""
    rise = after.mean - before.mean
    enough = rise > RISE_SHARE * abs(before.mean) and rise > RISE_OF_FIRST * abs(first.mean)
    return enough and z_score(after, before) > RISE_Z
