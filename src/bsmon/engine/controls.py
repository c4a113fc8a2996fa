"""What may be changed while a run trains: batch plan and learning rate. Every change is checked, then made whole."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bsmon.core.commands import (
    LearningRateRule,
    ScaleBatchSize,
    SetBatchSize,
    SetLearningRate,
    SetMicroBatchSize,
    Source,
)
from bsmon.core.errors import NotApplicable
from bsmon.core.ports import LearningRateScaling
from bsmon.engine.plan import BatchPlan, largest_share

_ROUNDING = 1e-14  # relative; tens of operations in double precision stay below it


@dataclass(frozen=True, slots=True)
class Bounds:
    """The batch sizes that a person allows, and the data."""

    minimum: int
    maximum: int | None
    train_samples: int

    @property
    def largest(self) -> int:
        """The largest batch size that can be set."""
        return min(self.train_samples, self.maximum or self.train_samples)

    def check(self, batch_size: int) -> None:
        """Raise NotApplicable, with the sentence for the person, when this size cannot be."""
        if batch_size < 1:
            raise NotApplicable(f"A batch needs at least 1 sample; {batch_size} cannot be.")
        if batch_size > self.train_samples:
            raise NotApplicable(f"{batch_size:,} is more than the {self.train_samples:,} training samples.")
        if batch_size < self.minimum:
            raise NotApplicable(f"{batch_size:,} is below your own limit, [batch] min = {self.minimum:,}.")
        if self.maximum is not None and batch_size > self.maximum:
            raise NotApplicable(f"{batch_size:,} is above your own limit, [batch] max = {self.maximum:,}.")


@dataclass(frozen=True, slots=True)
class BatchChange:
    """A batch change that was made: before and after, and the rule that set the learning rate."""

    old: BatchPlan
    new: BatchPlan
    old_learning_rate: float
    learning_rate: float
    rule: LearningRateRule


class Controls:
    """The batch plan and the base learning rate in force.

    The base learning rate is the schedule's value at factor 1: a change scales all that the schedule will give, not
    only the present value.
    """

    def __init__(
        self, plan: BatchPlan, learning_rate: float, bounds: Bounds, rule: LearningRateRule, scale: LearningRateScaling
    ) -> None:
        self.plan = plan
        self.base_learning_rate = learning_rate
        self.bounds = bounds
        self.rule = rule
        self.largest_micro_batch = bounds.train_samples  # lowered by what ran out of memory
        self.fit: Callable[[int], int] = lambda rows: rows  # the largest micro batch of so many expected to fit
        self.wanted_micro_batch: int | None = None  # the person's own choice
        self._scale = scale
        self.by_hand: set[str] = set()  # what a person set outranks the advisor until it is released

    def set_batch_size(self, command: SetBatchSize | ScaleBatchSize, factor: float) -> BatchChange:
        """Change the batch size; `factor` is the schedule's present one.

        Raises NotApplicable with a sentence for the person when the size cannot be.
        """
        old = self.plan
        self._claim("batch_size", command.source)
        size = command.batch_size if isinstance(command, SetBatchSize) else int(old.batch_size * command.factor)
        if size == old.batch_size:
            edge = " and cannot be smaller" if size == 1 and isinstance(command, ScaleBatchSize) else " already"
            raise NotApplicable(f"The batch size is {size:,}{edge}.")
        self.bounds.check(size)
        own = command.learning_rate if isinstance(command, SetBatchSize) else None
        if own is not None:
            check_learning_rate(own)
        ratio, rule = self._scale(command.learning_rate_rule or self.rule, old.batch_size, size)
        before = self.base_learning_rate
        after = _without_dust(before * ratio) if own is None else own / (factor or 1.0)
        if isinstance(command, SetBatchSize) and command.base_learning_rate is not None:
            check_learning_rate(command.base_learning_rate)
            after = command.base_learning_rate
        self.plan, self.base_learning_rate = self._plan(size), after
        rule = rule if own is None else LearningRateRule.UNCHANGED
        self._note_hand("batch_size", command.source)
        return BatchChange(old, self.plan, before * factor, after * factor, rule)

    def set_micro_batch_size(self, command: SetMicroBatchSize) -> BatchChange:
        """Change the samples per forward pass; the batch size and the learning rate stay."""
        wanted = command.micro_batch_size
        share = self.plan.largest_share
        if wanted is not None and not 1 <= wanted <= share:
            ranks = f" on each of {self.plan.world_size} ranks" if self.plan.world_size > 1 else ""
            raise NotApplicable(
                f"A micro batch of {wanted:,} does not go into a batch of {share:,}{ranks}; it can be 1 to {share:,}."
            )
        if wanted is not None and wanted > self.largest_micro_batch:
            raise NotApplicable(f"A micro batch of {wanted:,} ran out of memory; {self.largest_micro_batch:,} fits.")
        old, self.wanted_micro_batch = self.plan, wanted
        self.plan = self._plan(old.batch_size)
        rate = self.base_learning_rate
        return BatchChange(old, self.plan, rate, rate, LearningRateRule.UNCHANGED)

    def set_learning_rate(self, command: SetLearningRate, factor: float) -> tuple[float, float]:
        """Set the present learning rate; the schedule's shape goes on from it. Returns (before, after)."""
        check_learning_rate(command.learning_rate)
        self._claim("learning_rate", command.source)
        before = self.base_learning_rate * factor
        self.base_learning_rate = command.learning_rate / (factor or 1.0)
        self._note_hand("learning_rate", command.source)
        return before, command.learning_rate

    def refit(self) -> None:
        """Choose the micro batch anew; the batch size stays."""
        self.plan = self._plan(self.plan.batch_size)

    def release(self) -> None:
        """Let the advisor change again what was set by hand."""
        if not self.by_hand:
            raise NotApplicable("Nothing is set by hand; the advisor may change everything.")
        self.by_hand.clear()

    def _note_hand(self, what: str, source: Source) -> None:
        if source is Source.PERSON:
            self.by_hand.add(what)
        elif source is Source.ADVICE:
            self.by_hand.discard(what)

    def _claim(self, what: str, source: Source) -> None:
        if source is Source.ADVISOR and what in self.by_hand:
            raise NotApplicable(f"The {what.replace('_', ' ')} was set by hand; the advisor leaves it alone.")

    def fence(self, micro_batch_size: int) -> None:
        """This micro batch ran out of memory: stay at half of it from now on; the batch size stays."""
        self.largest_micro_batch = min(self.largest_micro_batch, -(-micro_batch_size // 2))
        self.plan = self._plan(self.plan.batch_size)

    def lift_fence(self) -> None:
        """Memory pressure has gone: the sizes that ran out of memory may be tried again."""
        self.largest_micro_batch = self.bounds.train_samples
        self.plan = self._plan(self.plan.batch_size)

    def go_back(self, plan: BatchPlan, base_learning_rate: float) -> None:
        """Return to an earlier batch size and learning rate, in micro batches that fit by now."""
        self.plan, self.base_learning_rate = self._plan(plan.batch_size), base_learning_rate

    def state(self) -> dict[str, object]:
        """What `restore` needs."""
        return {
            "batch_size": self.plan.batch_size,
            "base_learning_rate": self.base_learning_rate,
            "largest_micro_batch": self.largest_micro_batch,
            "wanted_micro_batch": self.wanted_micro_batch,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a saved plan and learning rate."""
        self.base_learning_rate = state["base_learning_rate"]
        self.largest_micro_batch = state["largest_micro_batch"]
        self.wanted_micro_batch = state["wanted_micro_batch"]
        self.plan = self._plan(state["batch_size"])

    def _plan(self, batch_size: int) -> BatchPlan:
        world_size = self.plan.world_size
        wanted = self.wanted_micro_batch or self.fit(largest_share(batch_size, world_size))
        return BatchPlan.within(batch_size, min(self.largest_micro_batch, wanted), world_size)


def _without_dust(value: float) -> float:
    """`value`, or the number of 12 digits that it misses only by rounding errors.

    So doubling the batch and halving it again gives the very learning rate that it was.
    """
    short = float(f"{value:.12g}")
    return short if math.isclose(value, short, rel_tol=_ROUNDING) else value


def check_learning_rate(value: float) -> None:
    """Raise NotApplicable unless `value` can be a learning rate."""
    if not 0 < value < float("inf"):
        raise NotApplicable(f"A learning rate is a number above 0; {value:g} cannot be.")
