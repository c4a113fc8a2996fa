"""Which samples an epoch has, in which order, and how far training has consumed them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.utils.data import WeightedRandomSampler

# Keeps the streams of neighbouring seeds apart: epoch e of seed s must not be epoch e - 1 of seed s + 1.
_SEED_STRIDE = 1_000_003


class EpochOrder:
    """The order of the training samples in every epoch; a pure function of (seed, epoch).

    `weights`, shape (n,): draw n samples an epoch with replacement by torch's WeightedRandomSampler.
    """

    def __init__(self, samples: int, *, seed: int, shuffle: bool = True, weights: Tensor | None = None) -> None:
        self.samples = samples
        self._seed = seed
        self._shuffle = shuffle
        self._weights = weights

    def indices(self, epoch: int) -> Tensor:
        """Sample indices of `epoch` (counted from 1), int64, shape (samples,)."""
        generator = torch.Generator().manual_seed(self._seed * _SEED_STRIDE + epoch)
        if self._weights is not None:
            weights = self._weights.double()
            drawn = WeightedRandomSampler(weights, self.samples, replacement=True, generator=generator)  # type: ignore[arg-type]  # the stub asks for floats; a tensor saves a million boxed numbers
            return torch.tensor(list(drawn))
        if self._shuffle:
            return torch.randperm(self.samples, generator=generator)
        return torch.arange(self.samples)


class SampleCursor:
    """A place in the stream of samples, counted in samples that updates consumed.

    Changing the batch size only changes how many samples the next update takes, so no sample of an epoch is lost or
    repeated, whatever the sequence of sizes.
    """

    def __init__(self, order: EpochOrder, *, drop_last: bool = False) -> None:
        self._order = order
        self.drop_last = drop_last
        self.epoch = 1
        self.position = 0
        self.consumed = 0  # over all epochs
        self._indices = order.indices(1)

    @property
    def epoch_samples(self) -> int:
        """Samples in an epoch."""
        return self._order.samples

    @property
    def remaining(self) -> int:
        """Samples of this epoch that no update has consumed."""
        return self._order.samples - self.position

    def next_size(self, batch_size: int) -> int:
        """How many samples the next update of this epoch takes; 0 when the epoch is over."""
        if self.drop_last and self.remaining < batch_size:
            return 0
        return min(batch_size, self.remaining)

    def peek(self, count: int, offset: int = 0) -> Tensor:
        """The indices of `count` samples that come `offset` samples after the cursor, without consuming them."""
        start = self.position + offset
        return self._indices[start : start + count]

    def advance(self, count: int) -> None:
        """An update consumed `count` samples."""
        assert count <= self.remaining, (count, self.remaining)
        self.position += count
        self.consumed += count

    def next_epoch(self) -> None:
        """Go to the start of the next epoch."""
        self.epoch += 1
        self.position = 0
        self._indices = self._order.indices(self.epoch)

    def state(self) -> dict[str, int]:
        """What `restore` needs. The order itself follows from seed and epoch."""
        return {"epoch": self.epoch, "position": self.position, "consumed": self.consumed}

    def restore(self, state: Mapping[str, int]) -> None:
        """Go back to a saved place."""
        self.epoch, self.position, self.consumed = state["epoch"], state["position"], state["consumed"]
        self._indices = self._order.indices(self.epoch)
