"""How far to move: the best batch size by goodput, and whether the evidence is good enough to say so."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bsmon.advisor.bounds import Bounds, worthwhile
from bsmon.advisor.evidence import Evidence
from bsmon.advisor.goodput import LEAST_GAIN, LEAST_MOVE, StepTime, best_batch_size, relative_time, rounded
from bsmon.advisor.noise_scale import Z_90_PERCENT
from bsmon.advisor.rules.gap import has_gap
from bsmon.advisor.updates_per_epoch import MARGINAL
from bsmon.core.advice import Certainty

SURE_RATIO = 3.0  # upper over lower end of the noise scale's interval
SURE_SIZES = 3  # of the throughput fit
BIASED = "consecutive"  # the estimator that takes the weights' movement for noise, too
LESS_SURE = {Certainty.HIGH: Certainty.MEDIUM, Certainty.MEDIUM: Certainty.LOW, Certainty.LOW: Certainty.LOW}


@dataclass(frozen=True, slots=True)
class Distance:
    """The best size within the bounds, its time to the same progress (now = 1), and whether to say anything.

    `marginal`: an epoch would have fewer updates than the documents call OK; measured noise alone carries it.
    """

    size: int
    relative_time: float
    worth_it: bool
    certainty: Certainty
    certainty_reason: str
    marginal: bool = False


def farthest(evidence: Evidence, within: Bounds) -> Distance | None:
    """The best size by goodput, in a few cases one with marginal updates per epoch (A section 2).

    Document A warns of those and calls fewer too few, so that is as far as it goes. It goes there only where the
    noise scale is measured without bias, an evaluation has shown no gap between training and validation, and the
    part of the way beyond the largest size that is OK would be advised as a move of its own.
    """
    sensible = worthwhile(evidence, within)
    near = None if sensible is None else distance(evidence, sensible)
    further = worthwhile(evidence, within, MARGINAL)
    if near is None or further is None or has_gap(evidence) is not False or evidence.noise_scale.estimator == BIASED:
        return near
    far = distance(evidence, further)
    if far is None or far.size <= near.size:
        return near
    last_step = distance(replace(evidence, batch_size=max(near.size, evidence.batch_size)), further)
    if last_step is None or not last_step.worth_it:
        return near
    return replace(far, certainty=LESS_SURE[far.certainty], marginal=True)


def distance(evidence: Evidence, within: Bounds) -> Distance | None:
    """The best size within these bounds; None while step times or the noise scale are unknown.

    A move must be a factor of two and save time worth having, and its direction must hold over the whole interval
    of the noise scale and of the step's fixed cost: the end that argues against the move decides.
    """
    fit, scale = evidence.step_time, evidence.noise_scale
    if fit is None or scale.low is None:
        return None
    value = scale.value if scale.value is not None else scale.low
    size = rounded(best_batch_size(fit, value), within.low, within.high)
    if size is None or value <= 0:
        return None
    time = relative_time(fit, value, evidence.batch_size, size)
    if time is None:
        return None
    certainty, reason = _certainty(evidence)
    return Distance(size, time, _worth_it(evidence, fit, size, time), certainty, reason)


def _worth_it(evidence: Evidence, fit: StepTime, size: int, time: float) -> bool:
    scale, now = evidence.noise_scale, evidence.batch_size
    if time > 1 - LEAST_GAIN:
        return False
    if size >= LEAST_MOVE * now:
        return best_batch_size(fit, scale.low or 0.0, -Z_90_PERCENT) > now
    if size <= now / LEAST_MOVE:
        return scale.high is not None and best_batch_size(fit, scale.high, Z_90_PERCENT) < now
    return False


def _certainty(evidence: Evidence) -> tuple[Certainty, str]:
    scale = evidence.noise_scale
    sizes = len({point.batch_size for point in evidence.throughput})
    if scale.estimator == BIASED:
        return Certainty.LOW, "the noise scale is biased high"
    if scale.high is None or not scale.low:
        return Certainty.LOW, "only a lower bound of the noise scale is known"
    if scale.high / scale.low > SURE_RATIO:
        return Certainty.MEDIUM, "the noise scale's interval is wide"
    if sizes < SURE_SIZES:
        return Certainty.MEDIUM, f"step times of {sizes} sizes only"
    return Certainty.HIGH, "noise scale and step times are well measured"
