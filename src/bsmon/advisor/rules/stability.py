"""Is training unstable, and is noise or the step's length the cause? The conflict between documents B and C."""

from __future__ import annotations

from bsmon.advisor.bounds import bounds
from bsmon.advisor.building import Reason, change_batch, change_learning_rate
from bsmon.advisor.evidence import Evidence, Limits
from bsmon.advisor.finding import Finding, any_yes, node
from bsmon.advisor.loss_health import ABOVE_START_FACTOR, BLOW_UP_FACTOR, LOST_SHARE, RISES
from bsmon.advisor.noise_scale import signal_to_noise
from bsmon.core.advice import Advice, Certainty, Reading, TreeNode
from bsmon.core.commands import LearningRateRule

# Noise dominates where the gradient is less than half of its own standard deviation: noise scale above 4 B.
SIGNAL_LOST = 0.5
NOISE_TIMES_BATCH = 4.0

AFTER_BLOW_UP = 0.1  # factor on the learning rate; the note on conflicts says /2 to /10
AFTER_LOST_PROGRESS = 0.5
STEADIER_BATCH = 64  # C part 10: "increase batch size (64 or 128)"

NORM_TIMES_USUAL = 10.0
RATIO_TOO_LARGE, RATIO_TOO_SMALL = 0.1, 1e-6

BOTH = "B section 5, C part 10"


def stability(evidence: Evidence, limits: Limits) -> Finding:
    """Node 1 and the gradient norms under it."""
    health = evidence.health
    unstable = health.unstable
    found = node(
        "stability",
        "Is training unstable (loss oscillating, spikes, NaN)?",
        unstable,
        _verdict(evidence),
        (
            Reading("loss over its start", health.times_start, "x", ">", BLOW_UP_FACTOR),
            Reading("rises in the last 10 blocks", health.rises, "", ">=", RISES),
            Reading("progress lost", _percent(health.progress_lost), "%", ">", 100 * LOST_SHARE),
            Reading("gradient over its noise", _signal(evidence), "x", "<", SIGNAL_LOST),
            Reading("spikes so far", health.spikes),
        ),
        source=BOTH,
    )
    return Finding((found, norms(evidence)), _advice(evidence, limits) if unstable else None)


def norms(evidence: Evidence) -> TreeNode:
    """C, part 11: gradient norms too large or too small. It only reports; a bad norm shows in the loss soon enough."""
    usual = evidence.grad_norm_median
    times = evidence.grad_norm / usual if evidence.grad_norm is not None and usual else None
    ratio = evidence.update_ratio
    large = any_yes(
        None if times is None else times > NORM_TIMES_USUAL, None if ratio is None else ratio > RATIO_TOO_LARGE
    )
    small = None if ratio is None else ratio < RATIO_TOO_SMALL
    verdict = {None: "not measured yet", True: "too large: clip them", False: "usual"}[large]
    if small:
        verdict = "too small: nothing is learned"
    return node(
        "norms",
        "Are gradient norms too large or too small?",
        any_yes(large, small),
        verdict,
        (
            Reading("norm over its median", times, "x", ">", NORM_TIMES_USUAL),
            Reading("update over weights, at most", ratio, "x", ">", RATIO_TOO_LARGE),
            Reading("update over weights, at least", ratio, "x", "<", RATIO_TOO_SMALL),
        ),
        source="C part 11",
        depth=1,
    )


def noise_dominates(evidence: Evidence) -> bool | None:
    """Whether gradient noise outweighs the gradient: yes or no only where the whole interval says so."""
    scale, limit = evidence.noise_scale, NOISE_TIMES_BATCH * evidence.batch_size
    if scale.low is not None and scale.low > limit:
        return True
    if scale.high is not None and scale.high <= limit:
        return False
    if scale.value is not None:
        return scale.value > limit
    return None


def _verdict(evidence: Evidence) -> str:
    health = evidence.health
    if health.unstable is None:
        return "too early to say"
    if health.nonfinite:
        return "NaN or infinite"
    if health.blown_up:
        return "the loss blew up"
    if health.lost_progress:
        return "lost its progress"
    return "oscillates beyond chance" if health.oscillating else "steady"


def _signal(evidence: Evidence) -> float | None:
    scale = evidence.noise_scale.value
    return None if scale is None else signal_to_noise(scale, evidence.batch_size)


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _advice(evidence: Evidence, limits: Limits) -> Advice:
    """A long step is shortened; only noise that is seen to dominate asks for a larger batch."""
    if evidence.health.step_too_long:
        return _shorter_step(evidence)
    dominates = noise_dominates(evidence)
    if dominates:
        larger = _larger_batch(evidence, limits)
        if larger is not None:
            return larger
    return change_learning_rate(evidence, _oscillation(dominates), AFTER_LOST_PROGRESS)


def _shorter_step(evidence: Evidence) -> Advice:
    health = evidence.health
    broken = bool(health.nonfinite or health.blown_up)
    what = (
        "The loss or a gradient is NaN or infinite"
        if health.nonfinite
        else f"The loss is above {BLOW_UP_FACTOR:g} times its start"
        if health.blown_up
        else f"The loss lost a quarter of its progress, or is {ABOVE_START_FACTOR:g} times its start"
    )
    back = " Take the weights back to before it as well." if broken else ""
    reason = Reason(
        node="stability",
        title="Lower the learning rate",
        why=f"{what}: the step is too long, whatever the noise.{back}",
        source=BOTH,
        certainty=Certainty.HIGH if broken else Certainty.MEDIUM,
        certainty_reason="the loss shows it directly" if broken else "a z-test over blocks of steps says so",
        changes_mind="A finite loss that falls again.",
    )
    return change_learning_rate(evidence, reason, AFTER_BLOW_UP if broken else AFTER_LOST_PROGRESS)


def _larger_batch(evidence: Evidence, limits: Limits) -> Advice | None:
    within = bounds(evidence, limits)
    wanted = max(2 * evidence.batch_size, STEADIER_BATCH)
    sizes = [size for size in within.sizes() if evidence.batch_size < size <= wanted] if within is not None else []
    if not sizes:
        return None
    reason = Reason(
        node="stability",
        title="Larger batch",
        why="The loss oscillates and gradient noise outweighs the gradient: average more samples, at the same "
        "learning rate.",
        source="C part 10",
        certainty=Certainty.MEDIUM,
        certainty_reason="the noise scale is measured to be well above the batch size",
        changes_mind="A noise scale below four times the batch size: then the learning rate is the cause.",
    )
    return change_batch(evidence, reason, sizes[-1], LearningRateRule.UNCHANGED)


def _oscillation(dominates: bool | None) -> Reason:
    """Why the learning rate comes first."""
    if dominates is None:
        why = (
            "The loss oscillates and the noise scale is not known. C says larger batch, B says smaller; a lower "
            "learning rate helps in both cases."
        )
    elif dominates:
        why = "The loss oscillates from noise, and the limits allow no larger batch; a shorter step averages it, too."
    else:
        why = "The loss oscillates, and gradient noise is not the cause: the step is too long."
    return Reason(
        node="stability",
        title="Lower the learning rate",
        why=why,
        source=BOTH,
        certainty=Certainty.LOW if dominates is None else Certainty.MEDIUM,
        certainty_reason="noise scale not known" if dominates is None else "noise scale measured",
        changes_mind="A noise scale well above the batch size would point to a larger batch.",
    )
