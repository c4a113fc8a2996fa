"""What a batch size would do, told while it is typed. Pure: a snapshot and a text in, facts out."""

from __future__ import annotations

from dataclasses import dataclass

from bsmon.advisor.scaling import learning_rate_factor, optimizer_family, resolve_rule
from bsmon.advisor.updates_per_epoch import UpdatesVerdict, updates_per_epoch, updates_verdict
from bsmon.core.commands import LearningRateRule
from bsmon.core.errors import NotApplicable
from bsmon.core.snapshot import BatchState, MemoryForecast, Snapshot


@dataclass(frozen=True, slots=True)
class Preview:
    """The consequences of a batch size; None is unknown."""

    batch_size: int
    learning_rates: dict[LearningRateRule, float | None]  # None where a rule lacks the noise scale
    rule_in_force: LearningRateRule  # what AUTO stands for
    updates_now: int | None
    updates_then: int | None
    verdict: UpdatesVerdict | None
    forecast: MemoryForecast | None


def parse_batch_size(text: str, snapshot: Snapshot) -> int:
    """The batch size that was typed.

    Raises NotApplicable with a sentence saying why it cannot be.
    """
    batch = snapshot.batch
    digits = text.strip().replace(",", "").replace("_", "")
    if not digits:
        raise NotApplicable("Type a number of samples.")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 12:
        raise NotApplicable("A batch size is a whole number of samples.")
    size = int(digits)
    if batch is not None:
        _check(size, batch, snapshot.run.train_samples)
    return size


def _check(size: int, batch: BatchState, train_samples: int | None) -> None:
    if size < 1:
        raise NotApplicable("A batch needs at least 1 sample.")
    if train_samples is not None and size > train_samples:
        raise NotApplicable(f"There are only {train_samples:,} training samples.")
    if size < batch.minimum:
        raise NotApplicable(f"Below your own limit, [batch] min = {batch.minimum:,}.")
    if batch.maximum is not None and size > batch.maximum:
        raise NotApplicable(f"Above your own limit, [batch] max = {batch.maximum:,}.")
    if size == batch.batch_size:
        raise NotApplicable(f"The batch size is {size:,} already.")


def preview(size: int, batch: BatchState, snapshot: Snapshot) -> Preview:
    """What `size` would do to learning rate, updates per epoch and memory."""
    samples = snapshot.run.train_samples
    family = optimizer_family(_class_name(snapshot.run.optimizer))
    noise = snapshot.advisor.noise_scale.value
    return Preview(
        batch_size=size,
        learning_rates={rule: _learning_rate(rule, size, batch, snapshot) for rule in LearningRateRule},
        rule_in_force=resolve_rule(LearningRateRule.AUTO, optimizer_family=family, noise_scale=noise),
        updates_now=None if samples is None else updates_per_epoch(samples, batch.batch_size),
        updates_then=None if samples is None else updates_per_epoch(samples, size),
        verdict=None if samples is None else updates_verdict(samples, size),
        forecast=_forecast(size, snapshot),
    )


def _learning_rate(rule: LearningRateRule, size: int, batch: BatchState, snapshot: Snapshot) -> float | None:
    try:
        factor = learning_rate_factor(
            rule,
            batch.batch_size,
            size,
            optimizer_family=optimizer_family(_class_name(snapshot.run.optimizer)),
            noise_scale=snapshot.advisor.noise_scale.value,
        )
    except NotApplicable:
        return None
    return batch.learning_rate * factor


def _class_name(optimizer: str) -> str:
    """The class alone, should its arguments be shown behind it."""
    return optimizer.split("(")[0].strip()


def _forecast(size: int, snapshot: Snapshot) -> MemoryForecast | None:
    """The forecast for this size in one pass, if one was made."""
    return next((forecast for forecast in snapshot.forecasts if forecast.micro_batch_size == size), None)
