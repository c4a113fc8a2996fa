"""The static half of the guidelines: checks on a setup before it trains, and the debugging checklist of C, part 11."""

from __future__ import annotations

from bsmon.advisor.checking import Check, Outcome, Setup, Verdict
from bsmon.advisor.checks_batch import (
    batch_range,
    batchnorm_floor,
    dataset_batch,
    domain_batch,
    memory_batch,
    updates,
)
from bsmon.advisor.checks_learning_rate import dataset_learning_rate, learning_rate_rule, learning_rate_scaled
from bsmon.advisor.checks_loop import (
    barely_moving,
    gradient_norms,
    larger_batches,
    last_batch,
    oscillating,
    regularised,
    shuffled,
    shuffled_by_loader,
    validation_batch,
)

RULES = (
    # What the documents say about size and learning rate.
    ("updates-per-epoch", "Updates per epoch", "A section 2", updates),
    ("dataset-batch", "Batch size for this much data", "A section 4, C part 6", dataset_batch),
    ("dataset-lr", "Learning rate for this much data", "A section 3", dataset_learning_rate),
    ("domain-batch", "Batch size for this kind of data", "C part 6", domain_batch),
    ("memory-batch", "Batch size for this much memory", "C part 6", memory_batch),
    ("lr-rule", "Learning rate follows batch changes", "C part 10, mistake 2", learning_rate_rule),
    ("validation-batch", "Validation batch", "C part 10, mistake 4", validation_batch),
    ("regularise", "Regularisation for little data", "A section 3", regularised),
    # "Training issues? Check:", the ten boxes in the document's order.
    ("batch-range", "Batch size in [8, 256]", "C part 11", batch_range),
    ("lr-scaled", "Learning rate scaled with batch size", "C part 11", learning_rate_scaled),
    ("shuffle", "Shuffling enabled for training", "C part 11, C part 10, mistake 3", shuffled),
    ("shuffle-loader", "Shuffled anew every epoch", "C part 11", shuffled_by_loader),
    ("batchnorm", "BatchNorm with 16 or more", "C part 9, C part 11", batchnorm_floor),
    ("drop-last", "Last batch size consistent", "C part 10, mistake 1, C part 11", last_batch),
    ("larger-batches", "Larger batches tested", "C part 11", larger_batches),
    ("gradient-norms", "Gradient norms", "C part 11", gradient_norms),
    ("oscillating", "Loss oscillating wildly", "C part 11", oscillating),
    ("barely-moving", "Loss barely moving", "C part 11", barely_moving),
)
CHECKLIST = (
    *("batch-range", "lr-scaled", "shuffle", "shuffle-loader", "batchnorm"),
    *("drop-last", "larger-batches", "gradient-norms", "oscillating", "barely-moving"),
)


def check(setup: Setup) -> tuple[Check, ...]:
    """Every check on a setup, in a fixed order; what it does not know is answered with UNKNOWN."""
    return tuple(_named(name, title, source, rule(setup)) for name, title, source, rule in RULES)


def _named(name: str, title: str, source: str, verdict: Verdict) -> Check:
    return Check(name, title, verdict.outcome, verdict.found, verdict.change, source)


def worst(checks: tuple[Check, ...]) -> Outcome:
    """PROBLEM before WARNING before OK; UNKNOWN only where nothing is known."""
    outcomes = {check.outcome for check in checks}
    for outcome in (Outcome.PROBLEM, Outcome.WARNING, Outcome.OK):
        if outcome in outcomes:
            return outcome
    return Outcome.UNKNOWN


__all__ = ["CHECKLIST", "Check", "Outcome", "Setup", "check", "worst"]
