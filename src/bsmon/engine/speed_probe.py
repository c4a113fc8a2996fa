"""How fast other batch sizes would be: a few forward and backward passes that change nothing.

Two more sizes beside the present one tell the fixed part of a step from the part that grows with the batch, which is
what the advisor needs to say how far to go. No sample of the epoch is consumed, and random generators, buffers and
gradients are put back.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from bsmon.core.errors import RunCannotGoOnError
from bsmon.core.ports import Observer
from bsmon.core.records import EventKind, Level, ProbedSpeed
from bsmon.engine.batches import split
from bsmon.engine.feed import load_batch
from bsmon.engine.keeper import StepKeeper
from bsmon.engine.out_of_memory import is_out_of_memory, release
from bsmon.engine.plan import BatchPlan, largest_share
from bsmon.engine.training import Training
from bsmon.engine.update import Updater

_FIRST_STEP = 40  # the present size has settled by then
_REPEATS = 3  # after one to warm up; the quickest counts, because anything may hold one up
_SHARE = 0.01  # of the training time, at most
_FACTORS = (0.25, 4.0)

LargestMicroBatch = Callable[[int], int]


class SpeedProbe:
    """Times other batch sizes now and then, at step boundaries."""

    def __init__(
        self,
        training: Training,
        updater: Updater,
        keeper: StepKeeper,
        largest_micro_batch: LargestMicroBatch,
        observer: Observer,
    ) -> None:
        self._training = training
        self._observer = observer
        self._keeper = keeper
        self._largest = largest_micro_batch
        # The same passes as training's, unwatched: nothing that is measured in them belongs to the run.
        self._updater = updater.unwatched()
        self._due_at = time.perf_counter()
        self._refused: set[int] = set()  # sizes at which the model or the data raised

    def is_due(self) -> bool:
        """Whether it is time for a look, by the share of training time that looks may take."""
        if self._training.step < _FIRST_STEP:
            return False
        return time.perf_counter() >= self._due_at

    def look(self) -> list[ProbedSpeed]:
        """Time the present size, a quarter and four times of it; what is out of bounds or of memory is left out."""
        began = time.perf_counter()
        self._keeper.keep()
        found = []
        for size in self._sizes():
            seconds = self._seconds_if_taken(size)
            if seconds is not None:
                found.append(ProbedSpeed(self._training.step, size, seconds))
        self._keeper.restore_before_gradients()
        cost = time.perf_counter() - began
        self._due_at = time.perf_counter() + cost / _SHARE
        return found

    def _sizes(self) -> list[int]:
        present, bounds = self._training.plan.batch_size, self._training.controls.bounds
        least = max(bounds.minimum, 2 if self._training.parts.info.has_batchnorm else 1)
        others = {int(present * factor) for factor in _FACTORS} - self._refused
        return [present, *(size for size in sorted(others) if least <= size <= bounds.largest)]

    def _seconds_if_taken(self, size: int) -> float | None:
        """As `_seconds`; a size that the model or the data do not take is said once and left out from then on.

        At the present size the error is raised: training itself would meet it.
        """
        try:
            return self._seconds(size)
        except RunCannotGoOnError:
            raise  # another rank is lost: that is not the size's doing
        except Exception as error:
            if size == self._training.plan.batch_size:
                raise
            said = f"{type(error).__name__}: {error}".partition("\n")[0]
        self._refused.add(size)
        text = f"a batch of {size:,} could not be timed for the advisor ({said}); training goes on"
        self._observer.event(EventKind.RUN, Level.WARNING, text, self._training.step)
        return None

    def _seconds(self, size: int) -> float | None:
        """The quickest of a few passes of this size; None when it ran out of memory."""
        world_size = self._training.plan.world_size
        fits = self._largest(largest_share(size, world_size))
        plan = BatchPlan.within(size, min(fits, self._training.controls.largest_micro_batch), world_size)
        sizes = plan.micro_sizes(size)
        # The first samples, whichever they are: only their number matters here.
        batch = load_batch(self._training.parts.data.train, torch.arange(sum(sizes)))
        micro_batches = split(batch, sizes)
        times = []
        for _ in range(_REPEATS + 1):
            seconds = self._timed(micro_batches, sizes)
            if seconds is None:
                return None
            times.append(seconds)
        return min(times[1:])

    def _timed(self, micro_batches: list[object], sizes: list[int]) -> float | None:
        seconds = None
        began = time.perf_counter()
        try:
            self._updater.gradients(self._training.step, micro_batches, sizes)
            if self._updater.device.type == "cuda":
                # The one place that waits for the GPU: a time without it would be that of queueing.
                torch.cuda.synchronize(self._updater.device)
            seconds = time.perf_counter() - began
        except Exception as error:
            if not is_out_of_memory(error, probing=True):
                raise
        # After every pass: a loss scaler refuses to unscale twice without a step in between.
        self._keeper.restore_before_gradients()
        if seconds is None:
            release()
        return seconds
