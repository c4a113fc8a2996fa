"""An update that survives running out of memory: the same samples again, in smaller micro batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from torch import Tensor

from bsmon.core.errors import RunCannotGoOnError
from bsmon.engine.batches import Batch, split
from bsmon.engine.keeper import StepKeeper
from bsmon.engine.out_of_memory import is_out_of_memory, release
from bsmon.engine.peaks import Peaks
from bsmon.engine.update import Updater

_Result = TypeVar("_Result")
_WEIGHT_ATTEMPTS = 3


class OutOfMemoryForGoodError(RunCannotGoOnError):
    """Even one sample at a time does not fit; the message says so, and what to do."""


class TornWeightsError(RuntimeError):
    """Memory ran out within an optimizer step that is not atomic: some weights have changed, some have not."""


class Recovery:
    """Makes updates. `fence(micro_batch_size)` is told of every size that ran out of memory, and gives the next."""

    def __init__(self, updater: Updater, keeper: StepKeeper, peaks: Peaks, fence: Callable[[int, str], None]) -> None:
        self._updater = updater
        self._keeper = keeper
        self._peaks = peaks
        self._fence = fence
        self._reason = ""

    @property
    def needs_checkpoint(self) -> bool:
        """Whether running out of memory may leave torn weights, so that a checkpoint has to be there from the start."""
        return not self._keeper.optimizer_is_atomic

    def take_back(self) -> None:
        """Put back what an update that was begun and cannot be finished has changed; no weight has."""
        self._keeper.restore_before_gradients()

    def update(self, step: int, micro_batches: Sequence[Batch], sizes: Sequence[int], learning_rate: float) -> Tensor:
        """Make one update whatever it takes and return its loss, a scalar on the device.

        Raises OutOfMemoryForGoodError when no micro batch fits, TornWeightsError when the weights have to be loaded
        from a checkpoint.
        """
        self._keeper.keep()
        loss = self._gradients(step, micro_batches, sizes)
        self._weights(micro_batches)
        self._updater.settle(learning_rate)
        return loss

    def _gradients(self, step: int, micro_batches: Sequence[Batch], sizes: Sequence[int]) -> Tensor:
        while True:
            loss = self._attempt(partial(self._step_gradients, step, micro_batches, sizes))
            if loss is not None:
                return loss
            self._updater.watch.abandoned()
            self._keeper.restore_before_gradients()
            release()
            largest = max(sizes)
            if largest == 1:
                raise OutOfMemoryForGoodError(self._reason)
            micro_batches, sizes = halved(micro_batches, sizes)
            self._fence(largest, self._reason)

    def _weights(self, micro_batches: Sequence[Batch]) -> None:
        for _ in range(_WEIGHT_ATTEMPTS):
            if self._attempt(partial(self._step_weights, micro_batches)):
                return
            self._updater.watch.abandoned()
            if not self._keeper.optimizer_is_atomic:
                raise TornWeightsError(self._reason)
            self._keeper.restore_before_weights()
            release()
        raise OutOfMemoryForGoodError(self._reason)

    def _step_gradients(self, step: int, micro_batches: Sequence[Batch], sizes: Sequence[int]) -> Tensor:
        with self._peaks.watching("gradients", micro_batches):
            return self._updater.gradients(step, micro_batches, sizes)

    def _step_weights(self, micro_batches: Sequence[Batch]) -> bool:
        with self._peaks.watching("weights", micro_batches):
            self._updater.weights()
        return True

    def _attempt(self, work: Callable[[], _Result]) -> _Result | None:
        """What `work` returns; None when it ran out of memory.

        Cleaning up happens after this has returned: while the error is handled, its traceback keeps the tensors of
        the failed attempt alive.
        """
        try:
            return work()
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            self._reason = str(error).partition("\n")[0]
        return None


def halved(micro_batches: Sequence[Batch], sizes: Sequence[int]) -> tuple[list[Batch], list[int]]:
    """The same samples in the same order, with every micro batch of two or more samples cut in two."""
    parts: list[Batch] = []
    counts: list[int] = []
    for micro_batch, size in zip(micro_batches, sizes, strict=True):
        pieces = [size] if size == 1 else [size - size // 2, size // 2]
        parts += split(micro_batch, pieces)
        counts += pieces
    return parts, counts
