"""From a decision to a whole recommendation: the plan, the learning rate and what to expect."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bsmon.advisor.bounds import BATCHNORM_FLOOR, fits, predicted_peak
from bsmon.advisor.evidence import Evidence
from bsmon.advisor.explanations import trade_off
from bsmon.advisor.goodput import relative_time, statistical_efficiency
from bsmon.advisor.scaling import adam_surge, learning_rate_factor, resolve_rule
from bsmon.core.advice import Action, Advice, Certainty, Prediction
from bsmon.core.commands import LearningRateRule


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something is recommended, and how sure it is."""

    node: str
    title: str
    why: str
    source: str
    certainty: Certainty = Certainty.LOW
    certainty_reason: str = ""
    changes_mind: str = ""


def advise(evidence: Evidence, reason: Reason, action: Action = Action.NONE) -> Advice:
    """A recommendation that leaves the batch size and the learning rate alone."""
    return Advice(
        action=action,
        title=reason.title,
        why=reason.why,
        node=reason.node,
        source=reason.source,
        batch_size=evidence.batch_size,
        new_batch_size=evidence.batch_size,
        learning_rate=evidence.learning_rate,
        new_learning_rate=evidence.learning_rate,
        micro_batch_size=evidence.micro_batch_size,
        new_micro_batch_size=evidence.micro_batch_size,
        accumulation_steps=evidence.accumulation_steps,
        new_accumulation_steps=evidence.accumulation_steps,
        certainty=reason.certainty,
        certainty_reason=reason.certainty_reason,
        changes_mind=reason.changes_mind,
        trade_off=trade_off(evidence.batch_size),
    )


def change_learning_rate(evidence: Evidence, reason: Reason, factor: float) -> Advice:
    """Multiply the learning rate; the batch stays."""
    plain = advise(evidence, reason, Action.LEARNING_RATE)
    return replace(plain, new_learning_rate=evidence.learning_rate * factor, learning_rate_rule="")


def even_micro_batch(batch_size: int, at_most: int) -> int:
    """The micro batch of the evenest split into as few passes as `at_most` samples each allow."""
    passes = -(-batch_size // at_most)
    return -(-batch_size // passes)


def change_micro_batch(evidence: Evidence, reason: Reason, at_most: int) -> Advice:
    """Split the same batch into other forward passes of at most so many samples."""
    share = evidence.share(evidence.batch_size)
    micro = even_micro_batch(share, at_most)
    return replace(
        advise(evidence, reason, Action.MICRO_BATCH),
        new_micro_batch_size=micro,
        new_accumulation_steps=-(-share // micro),
        prediction=Prediction(peak_bytes=predicted_peak(evidence, micro)),
    )


def change_batch(
    evidence: Evidence, reason: Reason, batch_size: int, rule: LearningRateRule | None = None
) -> Advice | None:
    """Another batch size with its learning rate; None where no split of it fits memory and BatchNorm.

    `rule` None: the run's own.
    """
    micro = micro_batch_for(evidence, batch_size)
    if micro is None:
        return None
    noise = evidence.noise_scale.value
    family = evidence.optimizer_family
    wanted = evidence.learning_rate_rule if rule is None else rule
    if wanted is LearningRateRule.GAIN and noise is None:
        wanted = LearningRateRule.AUTO  # the run's own rule cannot be followed yet
    resolved = resolve_rule(wanted, optimizer_family=family, noise_scale=noise)
    factor = learning_rate_factor(resolved, evidence.batch_size, batch_size, optimizer_family=family, noise_scale=noise)
    changes_mind = reason.changes_mind
    if factor > 1 and adam_surge(batch_size, optimizer_family=family, noise_scale=noise):
        changes_mind += " Above the noise scale Adam's best learning rate falls again: watch the loss."
    return replace(
        advise(evidence, reason, Action.BATCH),
        new_batch_size=batch_size,
        new_learning_rate=evidence.learning_rate * factor,
        new_micro_batch_size=micro,
        new_accumulation_steps=-(-evidence.share(batch_size) // micro),
        learning_rate_rule=resolved.value,
        prediction=predict(evidence, batch_size, micro),
        changes_mind=changes_mind.strip(),
        trade_off=trade_off(batch_size),
    )


def micro_batch_for(evidence: Evidence, batch_size: int) -> int | None:
    """The largest even split of a rank's share that is not known to run out of memory and not below BatchNorm's floor.

    None where there is none. Where memory is unknown and the run accumulates already, the present micro batch is
    kept: somebody chose it.
    """
    share = evidence.share(batch_size)
    passes = -(-share // evidence.micro_batch_size) if evidence.accumulation_steps > 1 else 1
    for steps in range(1, share + 1):
        micro = -(-share // steps)
        if evidence.has_batchnorm and micro < BATCHNORM_FLOOR:
            return None
        fit = fits(evidence, micro)
        if fit or (fit is None and steps >= passes):
            return micro
    return None


def predict(evidence: Evidence, batch_size: int, micro_batch_size: int) -> Prediction:
    """What to expect at another size; what cannot be told is None."""
    fit, scale = evidence.step_time, evidence.noise_scale
    noise, is_bound = (scale.value, False) if scale.value is not None else (scale.low or None, True)
    speed = None
    if fit is not None:
        steps = -(-evidence.share(batch_size) // micro_batch_size)
        speed = batch_size / (steps * fit.at(batch_size / steps)) * evidence.corrections.samples_per_second
    efficiency = None if noise is None else statistical_efficiency(batch_size, noise)
    time = None if fit is None or noise is None else relative_time(fit, noise, evidence.batch_size, batch_size)
    if is_bound and batch_size < evidence.batch_size:
        time = None  # the true noise scale may make it longer or shorter
    peak = predicted_peak(evidence, micro_batch_size)
    return Prediction(peak, speed, efficiency, time, is_bound=is_bound and noise is not None)
