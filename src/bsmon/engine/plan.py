"""The batch plan: how the samples of one update are split into forward passes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """`batch_size` samples per update, at most `micro_batch_size` of them per forward pass.

    The batch size is what the statistics of training see; the micro batch is what memory and BatchNorm see
    (guidelines C, part 8, "Gradient Accumulation", and part 9).
    """

    batch_size: int
    micro_batch_size: int

    def __post_init__(self) -> None:
        assert 1 <= self.micro_batch_size <= self.batch_size, self

    @classmethod
    def within(cls, batch_size: int, largest_micro_batch: int) -> BatchPlan:
        """The plan with the fewest forward passes of at most `largest_micro_batch` samples each."""
        passes = -(-batch_size // max(1, largest_micro_batch))
        return cls(batch_size, -(-batch_size // passes))

    @property
    def gradient_accumulation_steps(self) -> int:
        """Forward passes per update."""
        return -(-self.batch_size // self.micro_batch_size)

    def micro_sizes(self, rows: int) -> list[int]:
        """Split `rows` samples (an epoch's last batch may be short) into micro batches.

        The sizes differ by at most one: a leftover of one or two samples would starve BatchNorm.
        """
        passes = -(-rows // self.micro_batch_size)
        small, larger = divmod(rows, passes)
        return [small + 1] * larger + [small] * (passes - larger)


BATCHNORM_FLOOR = 16
"""Samples of a micro batch below which BatchNorm's statistics are poor (guidelines C, part 9)."""


def batchnorm_note(plan: BatchPlan, has_batchnorm: bool | None) -> str:
    """What to add to the news of a plan whose micro batch starves BatchNorm; accumulation does not help there."""
    if not has_batchnorm or plan.micro_batch_size >= BATCHNORM_FLOOR:
        return ""
    return f"; BatchNorm sees only {plan.micro_batch_size} samples at a time, {BATCHNORM_FLOOR} or more are better"
