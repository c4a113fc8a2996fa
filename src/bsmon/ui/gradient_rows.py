"""Further rows beside the gradients' charts: the followed weight over time, and the variance at every size run."""

from __future__ import annotations

from bsmon.core.gradients import ProbedWeight
from bsmon.core.snapshot import Snapshot
from bsmon.ui import numbers
from bsmon.ui.roles import BLANK, Role, Row


def entry(label: str, value: str, width: int) -> Row:
    """Label at the left, value at the right."""
    gap = width - len(label) - len(value)
    return ((label + " " * max(1, gap), Role.DIM), (value, Role.DIM if value == numbers.UNKNOWN else Role.INK))


def extremes(minimum: float | None, maximum: float | None) -> str:
    """The least and the greatest of something."""
    if minimum is None or maximum is None:
        return numbers.UNKNOWN
    return f"{numbers.number(minimum)}, {numbers.number(maximum)}"


def weight_rows(weight: ProbedWeight | None, width: int) -> list[Row]:
    """The gradient of the followed weight over time (C, part 4); nothing where none is followed."""
    if weight is None:
        return []
    return [
        BLANK,
        (("The followed weight, over time", Role.TITLE),),
        entry("value", numbers.number(weight.value), width),
        entry("gradient", numbers.number(weight.gradient), width),
        entry("SNR |mean| / std", numbers.number(weight.snr), width),
        entry("mean", numbers.number(weight.mean), width),
        entry("std", numbers.number(weight.std), width),
        entry("min, max", extremes(weight.minimum, weight.maximum), width),
        entry("measured steps", numbers.count(weight.window), width),
    ]


def variance_rows(snapshot: Snapshot) -> list[Row]:
    """Variance of the batch gradient at every size run: predicted, sigma^2 / B (C, part 5), beside measured."""
    found = [size for size in snapshot.sizes if size.sample_variance is not None]
    if not found:
        return []
    columns = "".join(f"{text:>11}" for text in ("σ²/B", "measured"))
    rows: list[Row] = [BLANK, (("Gradient variance", Role.TITLE),), ((f"{' batch':<9}{columns}", Role.DIM),)]
    present = snapshot.batch.batch_size if snapshot.batch is not None else None
    for size in found:
        predicted = None if size.sample_variance is None else size.sample_variance / size.batch_size
        values = "".join(f"{numbers.number(value):>11}" for value in (predicted, size.gradient_variance))
        role, sign = (Role.STRONG, "▸") if size.batch_size == present else (Role.INK, " ")
        rows.append(((f"{sign + numbers.count(size.batch_size):<9}{values}", role),))
    return rows
