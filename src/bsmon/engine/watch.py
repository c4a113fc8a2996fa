"""What may look at an update while it is made. Watching never changes the training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor


class Watch(Protocol):
    """Called by the updater, on the training thread, in this order; each returns without waiting for a device."""

    def begin(self, step: int, micro_sizes: Sequence[int]) -> None:
        """The update `step` begins; samples in each of its micro batches."""

    def backward_done(self, micro_batch: int) -> None:
        """The gradients of one more micro batch (counted from 0) are in `.grad`."""

    def gradients_ready(self, norm: Tensor | None) -> None:
        """All gradients are there, unscaled, before clipping; `norm` where clipping computed it anyway."""

    def updated(self, learning_rate: float) -> None:
        """The optimizer has stepped; gradients are still there."""

    def abandoned(self) -> None:
        """The update ran out of memory and will be made again: let go of every tensor."""


class NoWatch:
    """Looks at nothing."""

    def begin(self, step: int, micro_sizes: Sequence[int]) -> None:
        """See Watch."""

    def backward_done(self, micro_batch: int) -> None:
        """See Watch."""

    def gradients_ready(self, norm: Tensor | None) -> None:
        """See Watch."""

    def updated(self, learning_rate: float) -> None:
        """See Watch."""

    def abandoned(self) -> None:
        """See Watch."""
