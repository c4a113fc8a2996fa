"""Checks on the learning rate."""

from __future__ import annotations

from bsmon.advisor.checking import Setup, Verdict, ok, problem, unknown, warning
from bsmon.advisor.scaling import OptimizerFamily, optimizer_family
from bsmon.core.commands import LearningRateRule

# A section 3. The table knows no batch size, and A section 2 scales from batch 32: so a learning rate is taken back
# to batch 32 (linearly, as in A) before it is held against the table. Only so do A's own sections agree: 3.75e-3 at
# batch 240 is 5e-4 at 32.
REFERENCE_BATCH = 32
RANGES = ((500, 1e-4, 5e-4), (5001, 5e-4, 1e-3), (None, 1e-3, 1e-2))  # (below this many samples, low, high)
# "LR: 5e-4 to 1e-3" for 480 samples (A section 4) beside "1e-4 to 5e-4" (A section 3): a factor of two is no finding.
TOLERANCE = 2.0
FAR_OFF = 10.0

RECIPE = {OptimizerFamily.ADAM: 1e-3, OptimizerFamily.SGD: 0.1}  # C part 11, at batch 32


def learning_rate_range(dataset_size: int) -> tuple[float, float]:
    """A section 3: (lowest, highest) learning rate at batch 32 for so many samples."""
    for below, low, high in RANGES:
        if below is None or dataset_size < below:
            return low, high
    raise AssertionError("the last row is open")


def dataset_learning_rate(setup: Setup) -> Verdict:
    """A section 3, for the Adam family only: C part 11 gives SGD 0.1, far off this table."""
    rate, size, batch = setup.learning_rate, setup.dataset_size, setup.batch_size
    if rate is None or size is None or batch is None or setup.optimizer is None:
        return unknown("optimizer, learning rate, batch size and the training set's size")
    if optimizer_family(setup.optimizer) is not OptimizerFamily.ADAM:
        return ok("the table is for Adam and its kin")
    low, high = learning_rate_range(size)
    at_reference = rate * REFERENCE_BATCH / batch
    found = f"{rate:g} at batch {batch} is {at_reference:.2g} at 32; {low:g} to {high:g} for {size:,} samples"
    change = f"Use {low * batch / REFERENCE_BATCH:.2g} to {high * batch / REFERENCE_BATCH:.2g} at batch {batch}."
    off = max(low / at_reference, at_reference / high)
    if off > FAR_OFF:
        return problem(found, change)
    return warning(found, change) if off > TOLERANCE else ok(found)


def learning_rate_scaled(setup: Setup) -> Verdict:
    """C part 11: is the learning rate scaled with the batch size, from where it was tuned or from the recipe?"""
    rate, batch = setup.learning_rate, setup.batch_size
    if rate is None or batch is None:
        return unknown("the learning rate and the batch size")
    if setup.base_batch_size is not None and setup.base_learning_rate is not None:
        return _against(rate, batch, setup.base_learning_rate, setup.base_batch_size, TOLERANCE)
    family = None if setup.optimizer is None else optimizer_family(setup.optimizer)
    if family is None:
        return unknown("an optimizer that the recipe names, or where the learning rate was tuned")
    return _against(rate, batch, RECIPE[family], REFERENCE_BATCH, FAR_OFF)


def _against(rate: float, batch: int, base_rate: float, base_batch: int, tolerance: float) -> Verdict:
    """OK within `tolerance` of the linear rule, and exactly so for every rule between it and the square root."""
    scaled = base_rate * batch / base_batch
    found = f"{rate:g} at batch {batch}; {base_rate:g} at {base_batch} scales to {scaled:.3g}"
    by_root = base_rate * (batch / base_batch) ** 0.5
    low, high = min(scaled, by_root) / tolerance, max(scaled, by_root) * tolerance
    if low <= rate <= high:
        return ok(found)
    return warning(found, f"Try {scaled:.3g} (linear) or {by_root:.3g} (square root), or run bsmon lr-find.")


def learning_rate_rule(setup: Setup) -> Verdict:
    """C part 10, mistake 2: the same learning rate at every batch size."""
    rule = setup.learning_rate_rule
    if rule is None:
        return unknown("[advisor] learning_rate_rule")
    if rule is LearningRateRule.UNCHANGED:
        return warning("the learning rate stays when the batch changes", 'Set [advisor] learning_rate_rule = "auto".')
    return ok(f"rule: {rule.value}")
