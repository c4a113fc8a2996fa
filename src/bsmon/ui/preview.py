"""What a batch size would do, told before it is applied. Pure: a snapshot in, facts out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from bsmon.advisor.goodput import StepTime, ThroughputPoint, fit_step_time, statistical_efficiency
from bsmon.advisor.scaling import OptimizerFamily, learning_rate_factor, optimizer_family, resolve_rule
from bsmon.advisor.updates_per_epoch import UpdatesVerdict, updates_per_epoch, updates_verdict
from bsmon.core.commands import LearningRateRule
from bsmon.core.errors import NotApplicable
from bsmon.core.snapshot import BatchState, Snapshot

_STEPS = 3  # powers of two shown on either side of the present size


@dataclass(frozen=True, slots=True)
class Preview:
    """The consequences of a batch size; None is unknown.

    `share`: what each rank takes of it, all of it where there is one. `in_one_pass`: whether that fits as one micro
    batch. `peak_bytes` is for `passes_of` samples at a time.
    """

    batch_size: int
    share: int
    updates: int | None
    verdict: UpdatesVerdict | None
    in_one_pass: bool | None
    ran_out: bool  # this size did run out of memory in one pass
    passes_of: int
    peak_bytes: int | None
    samples_per_second: float | None
    is_measured: bool  # the speed; else it is predicted
    efficiency: float | None
    is_at_least: bool  # the efficiency: only a lower bound of the noise scale is known


def parse_batch_size(text: str, snapshot: Snapshot) -> int:
    """The batch size that was typed.

    Raises NotApplicable with a sentence saying why it cannot be.
    """
    digits = text.strip().replace(",", "").replace("_", "")
    if not digits:
        raise NotApplicable("Type a number of samples, or choose with up and down.")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 12:
        raise NotApplicable("A batch size is a whole number of samples.")
    size = int(digits)
    if snapshot.batch is not None:
        _check(size, snapshot.batch, snapshot.run.train_samples)
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


def sizes_around(batch: BatchState, snapshot: Snapshot) -> list[int]:
    """The present size, powers of two around it, and what the advisor recommends, within the bounds."""
    low = max(1, batch.minimum)
    high = min(batch.maximum or 10**12, snapshot.run.train_samples or 10**12)
    nearest = max(0, batch.batch_size.bit_length() - 1)
    powers = {1 << power for power in range(max(0, nearest - _STEPS), nearest + _STEPS + 1)}
    if len(powers) > 2 * _STEPS and batch.batch_size not in powers:
        powers.discard(min(powers))
    advice = snapshot.advisor.advice
    wanted = powers | ({advice.new_batch_size} if advice is not None else set())
    return sorted({size for size in wanted if low <= size <= high} | {batch.batch_size})


def step_time(snapshot: Snapshot) -> StepTime | None:
    """The line through the measured step times; None below two sizes."""
    points = [ThroughputPoint(size.batch_size, 1, size.step_s) for size in snapshot.sizes if size.step_s is not None]
    return fit_step_time(points)


def previews(sizes: list[int], batch: BatchState, snapshot: Snapshot) -> list[Preview]:
    """What each of these sizes would do to updates per epoch, memory, speed and the worth of a sample."""
    return list(map(partial(_preview, batch=batch, snapshot=snapshot, line=step_time(snapshot)), sizes))


def _preview(size: int, *, batch: BatchState, snapshot: Snapshot, line: StepTime | None) -> Preview:
    samples, noise = snapshot.run.train_samples, snapshot.advisor.noise_scale
    known = noise.low if noise.value is None else noise.value
    share = -(-size // batch.world_size)
    fits, passes_of, peak = _memory(share, batch, snapshot)
    speed, is_measured = _speed(size, batch, snapshot, line)
    return Preview(
        batch_size=size,
        share=share,
        updates=None if samples is None else updates_per_epoch(samples, size, drop_last=snapshot.run.drop_last),
        verdict=None if samples is None else updates_verdict(samples, size),
        in_one_pass=fits,
        ran_out=any(share >= fence for fence in snapshot.fences),
        passes_of=passes_of,
        peak_bytes=peak,
        samples_per_second=speed,
        is_measured=is_measured,
        efficiency=None if known is None else statistical_efficiency(size, known),
        is_at_least=noise.value is None,
    )


def _memory(size: int, batch: BatchState, snapshot: Snapshot) -> tuple[bool | None, int, int | None]:
    """(whether so many fit in one pass, samples a pass, peak of such a pass), from the forecasts."""
    found = {forecast.micro_batch_size: forecast for forecast in snapshot.forecasts}
    whole = found.get(size)
    fits = False if any(size >= fence for fence in snapshot.fences) else whole.fits if whole else None
    if fits is not False and not (batch.micro_batch_by_hand and batch.micro_batch_size < size):
        return fits, size, whole.peak_bytes if whole else None
    fitting = [micro for micro, forecast in found.items() if forecast.fits and micro < size]
    passes_of = batch.micro_batch_size if batch.micro_batch_by_hand else max(fitting, default=batch.micro_batch_size)
    passes_of = min(passes_of, size)
    return fits, passes_of, found[passes_of].peak_bytes if passes_of in found else None


def _speed(size: int, batch: BatchState, snapshot: Snapshot, line: StepTime | None) -> tuple[float | None, bool]:
    """(samples per second, whether that was measured): of a size that was run, else by the line through those."""
    measured = next((found.step_s for found in snapshot.sizes if found.batch_size == size), None)
    if measured:
        return size / measured, True
    if size == batch.batch_size and snapshot.progress.samples_per_second is not None:
        return snapshot.progress.samples_per_second, True
    if line is not None and line.at(size) > 0:
        return line.samples_per_second(size), False
    advice = snapshot.advisor.advice
    if advice is not None and advice.new_batch_size == size:
        return advice.prediction.samples_per_second, False
    return None, False


def rule_in_force(rule: LearningRateRule, snapshot: Snapshot) -> LearningRateRule:
    """What AUTO stands for now; any other rule is itself."""
    noise = snapshot.advisor.noise_scale.value
    return resolve_rule(rule, optimizer_family=_family(snapshot), noise_scale=noise)


def learning_rate(rule: LearningRateRule, size: int, batch: BatchState, snapshot: Snapshot) -> float | None:
    """The learning rate at `size` by this rule; None where the rule needs a noise scale that is not known yet."""
    factor = _factor(rule, batch.batch_size, size, snapshot)
    return None if factor is None else batch.learning_rate * factor


def learning_rate_factors(old: int, new: int, snapshot: Snapshot) -> dict[LearningRateRule, float | None]:
    """What each rule multiplies the learning rate by; None where it needs a noise scale that is not known yet."""
    return {rule: _factor(rule, old, new, snapshot) for rule in LearningRateRule}


def _factor(rule: LearningRateRule, old: int, new: int, snapshot: Snapshot) -> float | None:
    noise = snapshot.advisor.noise_scale.value
    try:
        return learning_rate_factor(rule, old, new, optimizer_family=_family(snapshot), noise_scale=noise)
    except NotApplicable:
        return None


def _family(snapshot: Snapshot) -> OptimizerFamily | None:
    """Of the optimizer's class alone, should its arguments be shown behind it."""
    return optimizer_family(snapshot.run.optimizer.split("(")[0])
