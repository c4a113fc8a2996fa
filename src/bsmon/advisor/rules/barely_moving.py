"""Does the loss barely move? C, part 11: decrease the batch size."""

from __future__ import annotations

from bsmon.advisor.bounds import bounds
from bsmon.advisor.building import Reason, advise, change_batch
from bsmon.advisor.evidence import Evidence, Limits
from bsmon.advisor.finding import Finding, node
from bsmon.advisor.loss_health import STILL_SHARE
from bsmon.advisor.rules.stability import noise_dominates
from bsmon.core.advice import Advice, Certainty, Reading
from bsmon.core.commands import LearningRateRule

SMALL_ENOUGH = 8  # C part 11: "batch size in [8, 256] range?"


def barely_moving(evidence: Evidence, limits: Limits) -> Finding:
    """Node 1b."""
    still, improvement = evidence.health.barely_moving, evidence.health.improvement
    found = node(
        "barely_moving",
        "Is the loss barely moving?",
        still,
        {None: "too early to say", True: "hardly any progress", False: "it moves"}[still],
        (Reading("progress so far, at most", _percent(improvement), "%", "<", 100 * STILL_SHARE),),
        source="C part 11",
        depth=1,
    )
    return Finding((found,), _advice(evidence, limits) if still else None)


def _percent(improvement: float | None) -> float | None:
    """It is the upper end of an interval, which may reach beyond a loss of 0."""
    return None if improvement is None else min(100.0, 100 * improvement)


def _advice(evidence: Evidence, limits: Limits) -> Advice:
    within = bounds(evidence, limits)
    sizes = within.sizes() if within is not None and not noise_dominates(evidence) else []
    smaller = [size for size in sizes if SMALL_ENOUGH <= size <= evidence.batch_size / 2]
    change = change_batch(evidence, _smaller(), smaller[-1], LearningRateRule.UNCHANGED) if smaller else None
    return change if change is not None else advise(evidence, _learning_rate(evidence))


def _smaller() -> Reason:
    return Reason(
        node="barely_moving",
        title="Smaller batch",
        why="The loss barely moves: more updates per epoch, at the same learning rate.",
        source="C part 11",
        certainty=Certainty.LOW,
        certainty_reason="a learning rate that does not suit looks the same",
        changes_mind="A loss that falls by 5 % or more.",
    )


def _learning_rate(evidence: Evidence) -> Reason:
    noisy = noise_dominates(evidence)
    why = "noise outweighs the gradient already" if noisy else "the batch is as small as it should be"
    return Reason(
        node="barely_moving",
        title="Look for a better learning rate",
        why=f"The loss barely moves, and {why}: run the learning rate range test (bsmon lr-find).",
        source="B section 5, C part 10",
        certainty=Certainty.LOW,
        certainty_reason="model and data can be the cause as well",
        changes_mind="A loss that falls by 5 % or more.",
    )
