"""The batch plan: how the samples of one update are split into forward passes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """`batch_size` samples per update, at most `micro_batch_size` of them per forward pass of one rank.

    `world_size` ranks share the update's samples: each makes the forward passes of its share. The batch size is what
    the statistics of training see; the micro batch is what memory and BatchNorm see (guidelines C, part 8, "Gradient
    Accumulation", and part 9).
    """

    batch_size: int
    micro_batch_size: int
    world_size: int = 1

    def __post_init__(self) -> None:
        assert 1 <= self.micro_batch_size <= self.batch_size, self
        assert self.world_size >= 1, self

    @classmethod
    def within(cls, batch_size: int, largest_micro_batch: int, world_size: int = 1) -> BatchPlan:
        """The plan with the fewest forward passes of at most `largest_micro_batch` samples each."""
        share = largest_share(batch_size, world_size)
        passes = -(-share // max(1, largest_micro_batch))
        return cls(batch_size, -(-share // passes), world_size)

    @property
    def largest_share(self) -> int:
        """Samples of an update that one rank takes, at most: all of them where there is one rank."""
        return largest_share(self.batch_size, self.world_size)

    @property
    def gradient_accumulation_steps(self) -> int:
        """Forward passes per update, on each rank."""
        return -(-self.largest_share // self.micro_batch_size)

    def share(self, rows: int, rank: int) -> tuple[int, int]:
        """Which of an update's `rows` samples this rank takes: (the first, how many).

        Contiguous and as even as can be; the first ranks take one more. Of fewer samples than ranks the last get none.
        """
        if self.world_size == 1:
            return 0, rows
        small, larger = divmod(rows, self.world_size)
        return rank * small + min(rank, larger), small + (rank < larger)

    def shares(self, rows: int) -> list[int]:
        """Samples of an update of `rows` that each rank takes."""
        return [self.share(rows, rank)[1] for rank in range(self.world_size)]

    def micro_sizes(self, rows: int, rank: int = 0) -> list[int]:
        """Split this rank's share of `rows` samples (an epoch's last batch may be short) into micro batches.

        The sizes differ by at most one: a leftover of one or two samples would starve BatchNorm.
        """
        rows = self.share(rows, rank)[1]
        if rows == 0:
            return []
        passes = -(-rows // self.micro_batch_size)
        small, larger = divmod(rows, passes)
        return [small + 1] * larger + [small] * (passes - larger)

    def passes_in_words(self) -> str:
        """The forward passes of an update: "8 x 4", with ranks "8 x 4 on each of 2 ranks"."""
        ranks = f" on each of {self.world_size} ranks" if self.world_size > 1 else ""
        return f"{self.micro_batch_size:,} x {self.gradient_accumulation_steps}{ranks}"


def largest_share(rows: int, world_size: int) -> int:
    """Samples that the first of so many ranks takes of `rows`; no other takes more."""
    return -(-rows // world_size)


BATCHNORM_FLOOR = 16
"""Samples of a micro batch below which BatchNorm's statistics are poor (guidelines C, part 9)."""


def batchnorm_note(plan: BatchPlan, has_batchnorm: bool | None) -> str:
    """What to add to the news of a plan whose micro batch starves BatchNorm; accumulation does not help there."""
    if not has_batchnorm or plan.micro_batch_size >= BATCHNORM_FLOOR:
        return ""
    return f"; BatchNorm sees only {plan.micro_batch_size} samples at a time, {BATCHNORM_FLOOR} or more are better"
