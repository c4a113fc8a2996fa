"""Is the test result much worse than the training's? C part 10 says smaller batch, B section 5 calls it secondary."""

from __future__ import annotations

from bsmon.advisor.bounds import bounds
from bsmon.advisor.building import Reason, advise, change_batch
from bsmon.advisor.evidence import Evidence, Limits
from bsmon.advisor.finding import Finding, above, any_yes, node
from bsmon.advisor.overfitting import LEAST_SHARE
from bsmon.core.advice import Advice, Certainty, Reading

MUCH_LOWER = 0.10  # accuracy; the documents say "much lower" and give no number
REGULARISE_FIRST_AT = 32
TARGET = 16  # C part 10: "try DECREASING batch size (16 or 8)"


def has_gap(evidence: Evidence) -> bool | None:
    """Whether validation is much worse than training, by the loss's course or by accuracy."""
    return any_yes(evidence.health.overfitting, above(accuracy_gap(evidence), MUCH_LOWER))


def accuracy_gap(evidence: Evidence) -> float | None:
    """Training accuracy minus validation accuracy, 0..1."""
    if evidence.train_accuracy is None or evidence.validation_accuracy is None:
        return None
    return evidence.train_accuracy - evidence.validation_accuracy


def gap(evidence: Evidence, limits: Limits) -> Finding:
    """Node 3."""
    wide, difference = has_gap(evidence), accuracy_gap(evidence)
    rise = evidence.health.validation_rise
    found = node(
        "gap",
        "Is test accuracy much lower than train?",
        wide,
        {None: "not enough evaluations yet", True: "overfitting", False: "no gap to speak of"}[wide],
        (
            Reading(
                "train minus validation", None if difference is None else 100 * difference, "%", ">", 100 * MUCH_LOWER
            ),
            Reading("validation loss over its best", None if rise is None else 100 * rise, "%", ">", 100 * LEAST_SHARE),
        ),
        source="C part 10",
    )
    return Finding((found,), _advice(evidence, limits) if wide else None)


def _advice(evidence: Evidence, limits: Limits) -> Advice:
    within = bounds(evidence, limits) if evidence.batch_size > REGULARISE_FIRST_AT else None
    sizes = [] if within is None else [size for size in within.sizes() if TARGET <= size <= evidence.batch_size / 2]
    smaller = change_batch(evidence, _smaller(), sizes[0]) if sizes else None
    return smaller if smaller is not None else advise(evidence, _regularise(evidence))


def _smaller() -> Reason:
    return Reason(
        node="gap",
        title="Smaller batch",
        why="Validation is much worse than training: the noise of a smaller batch may lead to flatter minima.",
        source="C part 10, C part 8",
        certainty=Certainty.LOW,
        certainty_reason="B section 5 calls batch size secondary to regularisation and data",
        changes_mind="A validation loss that falls again.",
    )


def _regularise(evidence: Evidence) -> Reason:
    small = evidence.batch_size <= REGULARISE_FIRST_AT
    why = "the batch is small already" if small else "the limits allow no smaller batch"
    return Reason(
        node="gap",
        title="Regularise first",
        why=f"Validation is much worse than training, {why}: weight decay, dropout, more data, lower learning rate.",
        source="B section 5, A section 3",
        certainty=Certainty.MEDIUM,
        certainty_reason="documents A and B agree on it",
        changes_mind="A validation loss that falls again.",
    )
