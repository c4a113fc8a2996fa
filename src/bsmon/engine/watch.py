"""What may look at an update while it is made. Watching never changes the training."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Literal, Protocol

from torch import Tensor

Phase = Literal["data_wait", "host_to_device", "forward", "backward", "exchange", "optimizer", "telemetry"]


class Watch(Protocol):
    """Called by the updater, on the training thread, in this order; each returns without waiting for a device."""

    def begin(self, step: int, micro_sizes: Sequence[int]) -> None:
        """The update `step` begins; samples in each of its micro batches, or of each rank where there are several."""

    def measures_ranks(self) -> AbstractContextManager[object] | None:
        """Whether this update's ranks are measured: the context to square each one's gradient in, or None."""

    def ranks_reduced(self, squares: Tensor) -> None:
        """Where the ranks are measured: their contributions' squared norms, shape (world_size,), on the device.

        A rank contributes its mean gradient times its share of the samples (and the loss scale); their sum is `.grad`.
        """

    def backward_done(self, micro_batch: int) -> None:
        """The gradients of one more micro batch (counted from 0) are in `.grad`."""

    def gradients_ready(self, norm: Tensor | None) -> None:
        """All gradients are there, unscaled, before clipping; `norm` where clipping computed it anyway."""

    def updated(self, learning_rate: float) -> None:
        """The optimizer has stepped; gradients are still there."""

    def abandoned(self) -> None:
        """The update ran out of memory and will be made again: let go of every tensor."""

    def batch_size_changed(self) -> None:
        """Updates have another batch size from now on."""

    def paused(self) -> None:
        """Something begins that is no training: a pause, an evaluation."""


class Timer(Protocol):
    """Is told where a step's time goes."""

    def mark(self, phase: Phase) -> None:
        """The phase begins now, and the one before it ends."""

    def end_step(self) -> None:
        """The last phase ends."""


class NoTimer:
    """Times nothing."""

    def mark(self, phase: Phase) -> None:
        """See Timer."""

    def end_step(self) -> None:
        """See Timer."""


class NoWatch:
    """Looks at nothing."""

    def begin(self, step: int, micro_sizes: Sequence[int]) -> None:
        """See Watch."""

    def backward_done(self, micro_batch: int) -> None:
        """See Watch."""

    def gradients_ready(self, norm: Tensor | None) -> None:
        """See Watch."""

    def measures_ranks(self) -> AbstractContextManager[object] | None:
        """See Watch."""
        return None

    def ranks_reduced(self, squares: Tensor) -> None:
        """See Watch."""

    def updated(self, learning_rate: float) -> None:
        """See Watch."""

    def abandoned(self) -> None:
        """See Watch."""

    def batch_size_changed(self) -> None:
        """See Watch."""

    def paused(self) -> None:
        """See Watch."""
